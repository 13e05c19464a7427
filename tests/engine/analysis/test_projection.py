"""Maps: that neighbours and scores are what they say, that noise is not read as learning, and what is written."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openTSNE import TSNEEmbedding
from openTSNE.tsne import kl_divergence_bh
from PIL import Image
from sklearn import manifold

from clip_atelier.engine.analysis import map_folder, reading
from clip_atelier.engine.analysis.projection import coarse, layouts, optimisation, quality
from clip_atelier.engine.analysis.projection.drawing import draw
from clip_atelier.engine.analysis.projection.forces import GridForces
from clip_atelier.engine.analysis.projection.neighbours import nearest
from clip_atelier.engine.core import (
    Control,
    Event,
    Phase,
    Preview,
    Progress,
    Stopped,
    UserError,
    WorkError,
    drive,
)
from clip_atelier.engine.models import Models
from clip_atelier.engine.search import ModelRef
from clip_atelier.engine.settings import HardwareSettings
from clip_atelier.engine.storage import BlobCache

CPU = HardwareSettings(device="cpu", threads=1)


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def clusters(count: int, groups: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    of = np.arange(count) % groups
    return unit(rng.standard_normal((groups, 32))[of] + 0.6 * rng.standard_normal((count, 32))), of


# --- neighbours and scores --------------------------------------------------------------------------------------


@given(st.integers(2, 40), st.integers(1, 6), st.integers(0, 2**32 - 1), st.booleans())
@settings(max_examples=100)
def test_neighbours_are_those_of_all_distances(count: int, dim: int, seed: int, double: bool) -> None:
    rng = np.random.default_rng(seed)
    vectors = unit(rng.standard_normal((count, dim)) + 1e-3)
    if double:
        vectors[: count // 2] = vectors[-(count // 2) :]
    k = int(rng.integers(1, count))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("clip_atelier.engine.analysis.projection.neighbours._CELLS", 3 * count)
        indices, distances = drive(nearest(vectors, k, Control()))
    exact = np.linalg.norm(vectors[:, None].astype(float) - vectors[None], axis=2)
    np.fill_diagonal(exact, np.inf)
    assert all(len({*row, i}) == k + 1 for i, row in enumerate(indices.tolist()))
    np.testing.assert_allclose(distances, np.sort(exact, axis=1)[:, :k], atol=2e-3)
    np.testing.assert_allclose(np.take_along_axis(exact, indices, axis=1), distances, atol=2e-3)


@pytest.mark.parametrize(("count", "k"), [(5, 2), (40, 7), (300, 15)])
def test_trustworthiness_is_scikit_learns(count: int, k: int) -> None:
    vectors, _of = clusters(count, 4)
    layout = np.random.default_rng(1).standard_normal((count, 2))
    layout[: count // 2] = vectors[: count // 2, :2]
    ours = quality.trustworthiness(vectors, quality.map_neighbours(layout, k))
    theirs = manifold.trustworthiness(vectors, layout, n_neighbors=k, metric="cosine")
    assert ours == pytest.approx(theirs, abs=1e-6)


def test_trustworthiness_of_a_sample_is_that_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors, _of = clusters(900, 6)
    near = quality.map_neighbours(vectors[:, :2].astype(float), 10)
    whole = quality.trustworthiness(vectors, near)
    monkeypatch.setattr(quality, "_SAMPLE", 400)
    assert quality.trustworthiness(vectors, near) != whole
    assert quality.trustworthiness(vectors, near) == pytest.approx(whole, abs=0.02)


def test_points_on_one_spot_are_not_their_own_neighbours() -> None:
    near = quality.map_neighbours(np.zeros((12, 2)), 4)
    assert near.shape == (12, 4)
    assert all(len({*row, i}) == 5 for i, row in enumerate(near.tolist()))


def test_overlap_counts_common_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quality, "_CELLS", 40)
    rng = np.random.default_rng(0)
    first = np.stack([rng.permutation(20)[:5] for _ in range(30)])
    second = np.stack([rng.permutation(20)[:5] for _ in range(30)])
    expected = [len({*a} & {*b}) / 5 for a, b in zip(first.tolist(), second.tolist(), strict=True)]
    np.testing.assert_allclose(quality.overlap(first, second), expected)
    assert quality.overlap(first, first[:, ::-1]).tolist() == [1] * 30


def test_turning_moving_and_scaling_a_map_is_no_motion() -> None:
    layout = np.random.default_rng(0).standard_normal((50, 2))
    turned = 3 * layout @ np.array([[0.6, 0.8], [0.8, -0.6]]) + [5, -2]  # mirrored, too
    assert quality.motion(quality.aligned(turned, layout), layout).max() < 1e-9
    pushed = turned.copy()
    pushed[7] += [9, 0]
    assert np.argmax(quality.motion(quality.aligned(pushed, layout), layout)) == 7


# --- t-SNE ------------------------------------------------------------------------------------------------------


def test_a_map_shows_the_groups_of_the_embedding() -> None:
    vectors, of = clusters(240, 6)
    result = drive(layouts.tsne(vectors, None, Control()))
    assert result.adapted is None
    assert result.scores["base/trustworthiness"] > 0.9
    near = quality.map_neighbours(result.base, 5)
    assert (of[near] == of[:, None]).mean() > 0.95
    assert len(reading(result.scores)) == 1


def test_the_same_seed_gives_the_same_map_and_another_one_another() -> None:
    vectors, _of = clusters(80, 4)
    other = unit(vectors + 0.1)
    first, second = (drive(layouts.tsne(vectors, other, Control())) for _ in range(2))
    third = drive(layouts.tsne(vectors, other, Control(), seed=5))
    np.testing.assert_array_equal(first.base, second.base)
    np.testing.assert_array_equal(first.adapted, second.adapted)
    assert first.scores == second.scores
    assert not np.array_equal(first.base, third.base)


def test_where_nothing_was_learned_the_control_shows_all_the_motion() -> None:
    vectors, _of = clusters(200, 5)
    # Not quite the same vectors, or there would be nothing to draw.
    noise = 1e-6 * np.random.default_rng(0).standard_normal(vectors.shape)
    nothing = drive(layouts.tsne(vectors, unit(vectors + noise), Control()))
    assert nothing.scores["neighbours_kept"] > 0.999
    assert nothing.scores["motion_in_control"] > 0.6
    assert nothing.scores["moved"] < 0.15


def test_equal_embeddings_have_the_same_map() -> None:
    vectors, _of = clusters(80, 4)
    same = drive(layouts.tsne(vectors, vectors.copy(), Control()))
    np.testing.assert_array_equal(same.adapted, same.base)
    assert same.scores["motion"] == same.scores["moved"] == 0
    assert same.scores["neighbours_kept"] == same.scores["motion_in_control"] == 1
    assert same.scores["adapted/trustworthiness"] == same.scores["base/trustworthiness"]
    assert reading(same.scores)[1].startswith("Nothing moved")


def phases(work: Any) -> tuple[Any, list[str]]:
    seen: list[Event] = []
    result = drive(work, seen.append)
    return result, [event.title for event in seen if isinstance(event, Phase)]


def test_the_map_before_and_its_control_are_drawn_once_for_all_strengths(tmp_path: Path) -> None:
    vectors, _of = clusters(80, 4)
    weak, strong = unit(vectors + 0.02), unit(vectors + 0.1)
    store = BlobCache(tmp_path / "kept.sqlite", 10**9)
    try:
        alone, titles = phases(layouts.tsne(vectors, None, Control(), store=store))
        assert titles == ["Finding neighbours", "Drawing the map of the base"]
        first, titles = phases(layouts.tsne(vectors, strong, Control(), store=store))
        assert "Drawing the map of the base" not in titles
        assert sum("control" in title for title in titles) == 1
        second, titles = phases(layouts.tsne(vectors, weak, Control(), store=store))
        assert titles == ["Finding neighbours after the adaptation", "Drawing the map of the adapted model"]
        again, titles = phases(layouts.tsne(vectors, strong, Control(), store=store))
        assert titles == []
    finally:
        store.close()
    # The same as with nothing kept, whatever was drawn in between.
    for result, adapted in ((first, strong), (second, weak), (again, strong)):
        fresh = drive(layouts.tsne(vectors, adapted, Control()))
        for name in ("base", "adapted", "control", "motion", "control_motion"):
            np.testing.assert_array_equal(getattr(result, name), getattr(fresh, name))
        assert result.scores == fresh.scores
    np.testing.assert_array_equal(alone.base, first.base)


def test_a_kept_map_that_is_damaged_is_drawn_again(tmp_path: Path) -> None:
    vectors, _of = clusters(40, 4)
    store = BlobCache(tmp_path / "kept.sqlite", 10**9)
    try:
        first = drive(layouts.tsne(vectors, None, Control(), store=store))
        ((key,),) = store._db.execute("SELECT key FROM blobs").fetchall()
        for damage in (b"", b"PK\x03\x04", store.get([key])[key][:-200]):
            store.put({key: damage})
            again, titles = phases(layouts.tsne(vectors, None, Control(), store=store))
            assert titles
            np.testing.assert_array_equal(again.base, first.base)
    finally:
        store.close()


def test_what_was_learned_moves_farther_than_the_control() -> None:
    vectors, of = clusters(200, 5)
    moved = vectors.copy()
    moved[of == 2] = vectors[of == 3] + 0.05 * vectors[of == 2]  # one group joins another
    learned = drive(layouts.tsne(vectors, unit(moved), Control()))
    assert learned.motion is not None
    assert learned.control_motion is not None
    noise = np.percentile(learned.control_motion, 95)
    assert (learned.motion[of == 2] > noise).mean() > 0.9
    assert learned.motion[of == 2].mean() > 3 * learned.motion[of == 0].mean()
    assert learned.scores["neighbours_kept"] < 0.9
    assert 0 < learned.scores["motion_in_control"] < 1


def test_working_in_slices_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors, _of = clusters(60, 3)
    affinities = optimisation.affinities_of(drive(nearest(vectors, 59, Control())), 20)
    weights = affinities.P.data.copy()
    start = optimisation.principal(vectors, 0)
    steps = ((50, 12.0), (50, 1.0))
    monkeypatch.setattr(optimisation, "_SLICE", (7, 7))
    seen: list[Event] = []
    ours = drive(optimisation.optimised(affinities, start.copy(), steps, Control()), seen.append)
    assert len(seen) == 16
    np.testing.assert_array_equal(affinities.P.data, weights)
    straight = TSNEEmbedding(start.copy(), affinities, n_jobs=1)
    straight.optimize(50, inplace=True, exaggeration=12.0, momentum=0.8)
    affinities.P.data[:] = weights
    straight.optimize(50, inplace=True, exaggeration=1.0, momentum=0.8)
    np.testing.assert_array_equal(ours, np.array(straight))


@pytest.mark.parametrize("spread", [1e-4, 0.1, 5.0, 15.0])
def test_forces_on_the_grid_are_those_between_all_pairs(spread: float) -> None:
    rng = np.random.default_rng(0)
    places = spread * (rng.standard_normal((8, 2))[np.arange(600) % 8] + 0.2 * rng.standard_normal((600, 2)))
    between = places[:, None] - places
    near = 1 / (1 + (between**2).sum(axis=2))
    exact = (near[..., None] ** 2 * between).sum(axis=1)
    forces, total = GridForces().repulsion(places)
    assert total == pytest.approx(near.sum() - len(places), rel=5e-3)
    assert np.linalg.norm(forces - exact) < 0.01 * np.linalg.norm(exact)


def test_the_gradient_is_that_of_opentsne() -> None:
    vectors, _of = clusters(400, 5)
    affinities = optimisation.affinities_of(drive(nearest(vectors, 90, Control())), 30)
    places = 10 * np.random.default_rng(0).standard_normal((400, 2))
    _error, ours = GridForces()(places, affinities.P, dof=1)
    _error, theirs = kl_divergence_bh(places, affinities.P, dof=1, bh_params={"theta": 0.1})
    assert np.linalg.norm(ours - theirs) < 0.03 * np.linalg.norm(theirs)


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is done for large maps is done for a few hundred points."""
    monkeypatch.setattr(optimisation, "_ON_GRID", 100)
    monkeypatch.setattr(coarse, "SAMPLE", 120)
    monkeypatch.setattr(layouts, "SAMPLE", 120)


@pytest.mark.usefixtures("large")
def test_a_large_map_is_seen_coarsely_first_and_the_rest_grows_from_it() -> None:
    vectors, of = clusters(300, 6)
    seen: list[Event] = []
    result = drive(layouts.tsne(vectors, unit(vectors + 0.02), Control()), seen.append)
    first, whole = (event.result for event in seen if isinstance(event, Preview))
    assert first.base.shape == (300, 2)
    assert first.adapted is whole.adapted is None
    np.testing.assert_array_equal(whole.base, result.base)
    near = quality.map_neighbours(first.base, 5)
    assert (of[near] == of[:, None]).mean() > 0.95
    # Where a group was seen first, there it is in the end.
    centres = [np.stack([m[of == n].mean(axis=0) for n in range(6)]) for m in (first.base, result.base)]
    assert quality.motion(quality.aligned(*centres), centres[1]).max() < 0.5
    assert result.scores["base/trustworthiness"] > 0.9


@pytest.mark.usefixtures("large")
def test_one_bar_runs_from_the_first_neighbours_to_the_last_score() -> None:
    vectors, _of = clusters(300, 6)
    seen: list[Event] = []
    drive(layouts.tsne(vectors, unit(vectors + 0.02), Control()), seen.append)
    bars = [event for event in seen if isinstance(event, Progress)]
    done = [bar.done for bar in bars]
    assert {bar.total for bar in bars} == {1000}
    assert done == sorted(done)
    assert done[-1] == 1000
    assert bars[-1].seconds_left == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("count", [5, 6, 9, 31])
def test_few_or_equal_images_make_a_finite_map(count: int) -> None:
    vectors, _of = clusters(count, 2)
    for before in (vectors, np.tile(vectors[:1], (count, 1))):
        result = drive(layouts.tsne(before, vectors, Control()))
        assert result.adapted is not None
        assert np.isfinite(result.base).all()
        assert np.isfinite(result.adapted).all()
        assert all(np.isfinite(value) for value in result.scores.values())
        assert result.scores["perplexity"] <= (count - 1) / 3


def test_too_few_images_are_refused() -> None:
    with pytest.raises(UserError, match="at least 5"):
        drive(layouts.tsne(clusters(4, 2)[0], None, Control()))


def test_a_stop_ends_it_at_the_next_boundary() -> None:
    control, seen = Control(), []

    def stop(event: Event) -> None:
        seen.append(event)
        if isinstance(event, Progress) and event.done >= 50:
            control.stop()

    with pytest.raises(Stopped):
        drive(layouts.tsne(clusters(60, 3)[0], clusters(60, 3, 1)[0], control), stop)
    assert isinstance(seen[-1], Progress)
    assert 50 <= seen[-1].done < 500


# --- a folder ---------------------------------------------------------------------------------------------------


@pytest.fixture
def do_map(home: Path, tiny_clip: Path) -> Callable[..., dict[str, Any]]:
    def go(folder: Path, on_event: Callable[[Event], object] | None = None, **options: Any) -> dict[str, Any]:
        options = {"model": str(tiny_clip)} | options if "run" not in options else options
        looked = {name: options.pop(name) for name in ("run", "strength", "model") if name in options}
        return drive(
            map_folder(folder, ModelRef(**looked, hardware=CPU), Models(home), Control(), **options), on_event
        ).as_json()

    return go


def test_the_map_of_a_run_has_both_places_of_every_image(
    tiny_pairs: Path, adapted_run: Callable[..., str], do_map: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    out = tmp_path / "map.png"
    seen: list[Event] = []
    result = do_map(tiny_pairs, seen.append, run=adapted_run(tiny_pairs), out=out)
    assert [point["path"] for point in result["points"]] == sorted(
        path.relative_to(tiny_pairs).as_posix() for path in tiny_pairs.rglob("*.png")
    )
    assert all(len(point["base"]) == len(point["adapted"]) == 2 for point in result["points"])
    assert {point["split"] for point in result["points"]} == {"train", "validation", "test"}
    assert result["scores"]["points"] == 48
    assert 0 <= result["scores"]["motion_in_control"] <= 1
    assert any("control" in sentence for sentence in result["reading"])
    assert {event.name for event in seen if isinstance(event, Phase)} >= {"load", "scan", "index", "project"}
    with Image.open(out) as picture:
        assert picture.width > 1.5 * picture.height  # two panels
        assert len(picture.convert("RGB").getcolors(1 << 24)) > 10
    assert sorted(path.name for path in tmp_path.iterdir() if "map" in path.name) == ["map.png"]


def test_every_strength_is_placed_on_the_same_map(
    tiny_pairs: Path, adapted_run: Callable[..., str], do_map: Callable[..., dict[str, Any]]
) -> None:
    run = adapted_run(tiny_pairs)
    maps = {strength: do_map(tiny_pairs, run=run, strength=strength) for strength in (1.0, 0.0, 0.5, 1.0)}
    base = [point["base"] for point in maps[1.0]["points"]]
    noise = [point["control_motion"] for point in maps[1.0]["points"]]
    for strength, found in maps.items():
        assert found["strength"] == strength
        assert [point["base"] for point in found["points"]] == base
        assert [point["control_motion"] for point in found["points"]] == noise
    assert [point["adapted"] for point in maps[0.0]["points"]] == base
    assert maps[0.0]["scores"]["motion"] == 0
    assert [p["adapted"] for p in maps[0.5]["points"]] != [p["adapted"] for p in maps[1.0]["points"]]
    assert maps[0.5]["scores"]["neighbours_kept"] > maps[1.0]["scores"]["neighbours_kept"]


@pytest.mark.fault(26)
def test_the_table_of_a_map_holds_no_formulas(
    tiny_collection: Path, do_map: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    (tiny_collection / "red-ring.png").rename(tiny_collection / "=cmd()빨강.png")
    out = tmp_path / "map.csv"
    result = do_map(tiny_collection, out=out)
    assert result["files"] == [str(out)]
    with out.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 24
    assert rows[0]["path"] == "'=cmd()빨강.png"
    assert rows[0]["adapted_x"] == ""
    for row, point in zip(rows, result["points"], strict=True):
        assert [float(row["base_x"]), float(row["base_y"])] == point["base"]
        assert point["adapted"] is None


def test_a_wrong_place_to_write_is_said_before_the_work(
    tiny_collection: Path, do_map: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    seen: list[Event] = []
    with pytest.raises(UserError, match=r"map\.pdf"):
        do_map(tiny_collection, seen.append, out=tmp_path / "map.pdf")
    with pytest.raises(UserError, match="no such place"):
        do_map(tiny_collection, seen.append, out=tmp_path / "no such place" / "map.csv")
    assert seen == []
    (tmp_path / "map.csv").mkdir()
    with pytest.raises(WorkError, match=r"map\.csv"):
        do_map(tiny_collection, out=tmp_path / "map.csv")
    assert not list(tmp_path.glob(".*partial"))


def test_a_large_folder_is_sampled_and_says_so(
    tiny_collection: Path, do_map: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clip_atelier.engine.analysis.projection.folder_map.MOST", 10)
    seen: list[Event] = []
    first = do_map(tiny_collection, seen.append)
    assert len(first["points"]) == 10
    assert any("10 of 24" in getattr(event, "text", "") for event in seen)
    assert do_map(tiny_collection)["points"] == first["points"]


def test_the_picture_takes_any_label() -> None:
    vectors, of = clusters(30, 10)
    result = drive(layouts.tsne(vectors, None, Control()))
    names = ["", "<table>", "그림 " * 60, "a\nb", "\udcff.png", *(f"label {i}" for i in range(5))]
    picture = draw(result, [names[i] for i in of])
    assert picture.mode == "RGB"
