"""Galleries whose vectors lie in mapped files: the coarse first pass changes no answer, and the files change none either."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clip_atelier.engine.core import Control, Event, Notice, Stopped, drive
from clip_atelier.engine.models import Models
from clip_atelier.engine.search import (
    ModelRef,
    codes,
    graphs,
    large_gallery,
    nearest_graph,
    open_search,
    parse_query,
)
from clip_atelier.engine.search.codes import codes_of
from clip_atelier.engine.search.vectors import VectorSearch
from clip_atelier.engine.settings import HardwareSettings
from clip_atelier.engine.upkeep import verify

CPU = HardwareSettings(device="cpu", threads=1)


def rows(kind: str, count: int = 6000, dim: int = 96) -> np.ndarray:
    rng = np.random.default_rng(5)
    if kind == "random":
        found = rng.standard_normal((count, dim))
    elif kind == "clustered":  # many within less than the bytes can tell apart, on one far-off mean
        centres = rng.standard_normal((30, dim)) * 0.5 + 3 * rng.standard_normal(dim)
        found = centres[rng.integers(0, 30, count)] + rng.standard_normal((count, dim)) * 0.01
    elif kind == "equal":
        found = np.repeat(rng.standard_normal((count // 5, dim)), 5, axis=0)
    else:  # one number carries nearly everything, and a row carries nothing
        found = rng.standard_normal((count, dim)) * 0.01
        found[:, 3] = 1.0
        found[7] = 0
    return VectorSearch(found).vectors


@pytest.mark.parametrize("kind", ["random", "clustered", "equal", "lopsided"])
def test_the_answer_through_bytes_is_that_of_all_true_scores(kind: str) -> None:
    rng = np.random.default_rng(6)
    vectors = rows(kind)
    search = VectorSearch(vectors, codes_of(vectors))
    for number in range(12):
        query = vectors[rng.integers(len(vectors))] + 0.3 * number / 12 * rng.standard_normal(96)
        exclude = rng.integers(0, len(vectors), 4)
        ranking = search.rank(query, exclude)
        true = (vectors.astype(np.float64) * ranking.query.astype(np.float64)).sum(axis=1)
        left = np.setdiff1d(np.arange(len(vectors)), exclude)
        assert np.all(np.abs(ranking.first_pass - true)[left] <= ranking.off[left])
        order = left[np.argsort(-true[left], kind="stable")]
        items, scores = ranking.top(10)
        assert items.tolist() == order[:10].tolist()
        np.testing.assert_array_equal(scores, true[order[:10]])
        some = np.array([0, 9, 400, 3000])
        assert ranking.places(order[some]).tolist() == (some + 1).tolist()


def test_products_of_bytes_have_no_rounding(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(7)
    ours = rng.integers(-127, 128, (300, 700), dtype=np.int8)
    asked = np.full(700, 127, np.int8)
    wanted = (ours.astype(np.int64) @ asked.astype(np.int64)).tolist()
    assert codes._products(ours, asked).tolist() == wanted
    # A library whose product is wrong for this order in memory.
    monkeypatch.setattr(torch, "_int_mm", lambda one, _: torch.zeros((len(one), 1), dtype=torch.int32))
    assert codes._products(ours, asked).tolist() == wanted


@pytest.fixture
def find(home: Path, tiny_clip: Path) -> Callable[..., tuple[dict[str, Any], list[Event]]]:
    def go(folder: Path, control: Control | None = None, **ref: Any) -> tuple[dict[str, Any], list[Event]]:
        told: list[Event] = []
        looked = ModelRef(**(ref or {"model": str(tiny_clip)}), hardware=CPU)
        opened = drive(open_search(folder, looked, Models(home), control or Control()), told.append)
        try:
            return opened.find(parse_query("a red circle"), 7).as_json(), told
        finally:
            opened.loaded.release()

    return go


def made(home: Path) -> dict[str, int]:
    return {path.name: path.stat().st_ino for path in (home / large_gallery.PLACE).glob("*")}


def test_a_large_gallery_answers_as_one_in_memory(
    home: Path,
    tiny_pairs: Path,
    adapted_run: Callable[..., str],
    find: Callable[..., tuple[dict[str, Any], list[Event]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = adapted_run(tiny_pairs)
    small, _ = find(tiny_pairs, run=run)
    assert not made(home)
    monkeypatch.setattr(large_gallery, "LARGE", 20)
    assert find(tiny_pairs, run=run)[0] == small
    first = made(home)
    assert len(first) == 2  # as the base sees it, and the adapted model
    assert find(tiny_pairs, run=run)[0] == small
    assert made(home) == first  # read again, not made again

    next(tiny_pairs.rglob("*.png")).unlink()
    monkeypatch.setattr(large_gallery, "_KEPT", 3)
    changed, _ = find(tiny_pairs, run=run)
    assert changed["images"] == small["images"] - 1
    assert len(made(home)) == 3
    assert len(made(home).keys() & first.keys()) == 1

    # What was damaged is found by `verify`, and what was cut short is made again.
    damaged = sorted((home / large_gallery.PLACE).glob("*"))
    for folder in damaged:
        with (folder / "codes.npy").open("r+b") as stream:
            stream.truncate(200)
    verified = drive(verify(home, Control())).as_json()
    assert sum("codes.npy" in str(finding) for finding in verified["findings"]) == len(damaged)
    assert find(tiny_pairs, run=run)[0] == changed
    for folder in damaged:
        (folder / "centre.npy").write_bytes(b"")
    assert find(tiny_pairs, run=run)[0] == changed


def test_without_room_for_the_files_memory_does(
    home: Path,
    tiny_collection: Path,
    find: Callable[..., tuple[dict[str, Any], list[Event]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    small, _ = find(tiny_collection)
    monkeypatch.setattr(large_gallery, "LARGE", 20)
    monkeypatch.setattr(large_gallery, "_reserved", full)
    found, told = find(tiny_collection)
    assert found == small
    assert any(isinstance(event, Notice) and "No space left" in event.text for event in told)
    assert not made(home)


def test_stopped_while_the_files_are_made_nothing_is_left(
    home: Path,
    tiny_collection: Path,
    find: Callable[..., tuple[dict[str, Any], list[Event]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    find(tiny_collection)
    control = Control()
    filled = large_gallery._filled

    def stopping(*arrays: Any) -> Any:
        control.stop()
        yield from filled(*arrays)

    monkeypatch.setattr(large_gallery, "LARGE", 20)
    monkeypatch.setattr(large_gallery, "_filled", stopping)
    with pytest.raises(Stopped):
        find(tiny_collection, control)
    assert not made(home)


def test_vectors_that_are_not_finite_are_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        list(large_gallery._filled(np.full((3, 4), np.nan, np.float32), None, None))


def neighbours_of(vectors: np.ndarray, folder: Path) -> nearest_graph.Neighbours:
    pytest.importorskip("usearch")
    assert list(nearest_graph.build(vectors, folder, 1))[-1] == len(vectors)
    return nearest_graph.opened(folder, *vectors.shape)


def reach_of(
    neighbours: nearest_graph.Neighbours, words: np.ndarray, pictures: list[int], vectors: np.ndarray
) -> nearest_graph.Reach:
    search = VectorSearch(vectors)
    return nearest_graph.measured(
        neighbours, words, pictures, vectors, lambda query, count, out: search.top(query, count, out)[0]
    )


def test_a_graph_is_measured_against_the_exact_answers(tmp_path: Path) -> None:
    vectors = rows("random", 3000, 64)
    neighbours = neighbours_of(vectors, tmp_path)
    # Nothing can be left out of vectors that differ in every direction alike.
    assert neighbours.directions.along.shape == (64, 64)
    search = VectorSearch(vectors)
    words = VectorSearch(np.random.default_rng(8).standard_normal((30, 64))).vectors
    reach = reach_of(neighbours, words, list(range(0, 3000, 100)), vectors)
    assert reach.asked == 60
    assert reach.least >= nearest_graph.WANTED
    # The share that is told is the share that is found when it is used, with exact scores.
    graph = nearest_graph.Graph(neighbours, reach)
    quick = VectorSearch(vectors, graph=graph)
    shares = []
    for query in words:
        (items, scores), (true, exact) = quick.top(query, 10), search.top(query, 10)
        shares.append(np.isin(true, items).mean())
        both = np.isin(items, true)
        np.testing.assert_array_equal(scores[both], exact[np.isin(true, items)])
        assert quick.rank(query).places(true).tolist() == list(range(1, 11))
    assert np.mean(shares) == pytest.approx(reach.words)
    # Images that are left out are no results, and long lists are exact.
    assert 7 not in quick.top(vectors[7], 10, np.array([7]))[0]
    assert quick.top(words[0], 250)[0].tolist() == search.top(words[0], 250)[0].tolist()


def as_of_a_model(count: int, dim: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Pictures with most of their length in common, in clusters that differ along forty directions; words apart from them."""
    rng = np.random.default_rng(seed)
    axes = np.linalg.qr(rng.standard_normal((dim, 42)))[0].T
    centres = rng.standard_normal((count // 20, 40))
    inner = centres[rng.integers(0, len(centres), count)] + rng.standard_normal((count, 40))
    spread = np.exp(-np.arange(40) / 20)
    pictures = 4 * axes[40] + (inner * spread) @ axes[:40] + 0.002 * rng.standard_normal((count, dim))
    towards = centres[np.arange(30) % len(centres)] * spread + 0.3 * rng.standard_normal((30, 40))
    words = -3 * axes[40] + 9 * axes[41] + towards @ axes[:40] + 0.05 * rng.standard_normal((30, dim))
    return VectorSearch(pictures).vectors, VectorSearch(words).vectors


def test_a_graph_compares_along_the_directions_in_which_a_gallery_differs(tmp_path: Path) -> None:
    vectors, words = as_of_a_model(3000, 768, 4)
    assert np.max(words @ vectors.T) < 0.25  # no picture is anywhere near a word
    neighbours = neighbours_of(vectors, tmp_path)
    directions = neighbours.directions
    found = directions.along.shape[1]
    assert 32 <= found <= 64
    np.testing.assert_allclose(directions.along.T @ directions.along, np.eye(found), atol=1e-5)
    np.testing.assert_allclose(directions.mean, vectors.mean(axis=0), atol=1e-6)
    seen = directions.of_vectors(vectors)
    assert np.square(seen).sum() >= 0.995 * np.square(vectors - directions.mean).sum() * (1 - 1e-5)
    np.testing.assert_allclose(directions.of_vectors(words[3]), directions.of_vectors(words)[3], atol=1e-5)
    reach = reach_of(neighbours, words, list(range(0, 3000, 100)), vectors)
    assert reach.least >= nearest_graph.WANTED


@pytest.mark.parametrize("count", [1, 2, 40])
def test_few_or_equal_vectors_have_a_graph_too(tmp_path: Path, count: int) -> None:
    vectors = np.repeat(rows("random", 1, 20), count, axis=0)
    neighbours = neighbours_of(vectors, tmp_path)
    found = neighbours.nearest(vectors[0], 1, 64).tolist()
    assert len(set(found)) == min(count, 4)
    assert set(found) <= set(range(count))


def test_a_graph_that_does_not_fit_is_not_opened(tmp_path: Path) -> None:
    vectors, _words = as_of_a_model(400, 96, 5)
    neighbours_of(vectors, tmp_path)
    for count, dim in ((399, 96), (400, 95)):
        with pytest.raises(ValueError, match="no "):
            nearest_graph.opened(tmp_path, count, dim)
    path = tmp_path / "directions.npy"
    told = np.load(path)
    broken = told.copy()
    broken[1, 0] = np.nan
    for other in (told[:-1], told.astype(np.float64), broken):
        np.save(path, other)
        with pytest.raises(ValueError, match="no directions"):
            nearest_graph.opened(tmp_path, 400, 96)
    path.unlink()
    with pytest.raises(OSError, match="directions"):
        nearest_graph.opened(tmp_path, 400, 96)
    # One that compares otherwise, as older versions made them.
    from usearch.index import Index

    np.save(path, told)
    old = Index(ndim=len(told) - 1, metric="cos", dtype="bf16")
    old.add(np.arange(400), vectors[:, : len(told) - 1])
    old.save(str(tmp_path / "graph.usearch"))
    with pytest.raises(ValueError, match="no graph"):
        nearest_graph.opened(tmp_path, 400, 96)


def test_a_graph_that_finds_too_little_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    class Blind:
        expansion_search = 0

        def search(self, query: np.ndarray, count: int, threads: int) -> Any:
            return type("Found", (), {"keys": np.arange(count)})

    vectors = rows("random", 3000, 64)
    search = VectorSearch(vectors)
    index: Any = Blind()
    blinded = nearest_graph.Neighbours(index, nearest_graph.Directions.of(vectors))
    reach = reach_of(blinded, vectors[2000:2010], [2500, 2600], vectors)
    assert reach.least < 0.2
    blind = VectorSearch(vectors, graph=nearest_graph.Graph(blinded, reach))
    assert blind.top(vectors[2900], 5)[0].tolist() == search.top(vectors[2900], 5)[0].tolist()
    assert graphs.told(10, blind) == (None, ())


def test_beyond_a_million_what_is_found_is_told(
    home: Path,
    tiny_collection: Path,
    find: Callable[..., tuple[dict[str, Any], list[Event]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("usearch")
    exact, _ = find(tiny_collection)
    assert "recall" not in exact
    monkeypatch.setattr(large_gallery, "LARGE", 20)
    monkeypatch.setattr(nearest_graph, "BEYOND", 20)
    found, _ = find(tiny_collection)
    (folder,) = (home / large_gallery.PLACE).iterdir()
    graph = folder / graphs.GRAPH / "graph.usearch"
    assert found["recall"] == 1.0
    assert "100 of 100" in found["remarks"][-1]
    assert {**found, "remarks": [], "recall": 0} == {**exact, "remarks": [], "recall": 0}
    made = graph.stat().st_mtime_ns
    assert find(tiny_collection)[0] == found
    assert graph.stat().st_mtime_ns == made
    for damaged, content in (
        ("graph.usearch", b"of another version"),
        ("directions.npy", b""),
        ("reach.json", b"{"),
    ):
        (graph.parent / damaged).write_bytes(content)
        assert find(tiny_collection)[0] == found
        assert (graph.parent / damaged).stat().st_size > len(content)

    # What older versions left behind, which compared all numbers, is neither read nor kept.
    reach = (graph.parent / "reach.json").read_bytes()
    for name, content in (("graph.usearch", graph.read_bytes()), ("reach.json", reach)):
        (folder / name).write_bytes(content)
    shutil.rmtree(graph.parent)
    assert find(tiny_collection)[0] == found
    assert graph.exists()
    assert not {path.name for path in folder.iterdir()} & {"graph.usearch", "reach.json"}
    assert not list(folder.glob("*.partial"))

    monkeypatch.setattr(nearest_graph, "installed", lambda: False)
    without, told = find(tiny_collection)
    assert without == exact
    assert any(isinstance(event, Notice) and "clip-atelier[large]" in event.text for event in told)
