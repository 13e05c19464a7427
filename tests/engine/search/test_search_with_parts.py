"""Searching with a run that keeps parts beside its update, on the tiny real model."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clip_atelier.engine.analysis import strength_sweep, word_changes
from clip_atelier.engine.core import Control, drive, write_document
from clip_atelier.engine.data import ImageCache, scan
from clip_atelier.engine.models import Models, adapters, features
from clip_atelier.engine.parts import (
    PLAIN,
    AskedDrawings,
    FittedParts,
    Threshold,
    Variant,
    Variants,
    distinct_captions,
    embedded_variants,
    run_evaluation,
    teaching,
)
from clip_atelier.engine.parts.picture_head import PictureHead, PictureSetting
from clip_atelier.engine.parts.selection import Setting
from clip_atelier.engine.parts.word_questions import BASE_WORDS, WordModel, WordSetting
from clip_atelier.engine.runs import Runs, TrainResult, open_run
from clip_atelier.engine.search import ModelRef, Query, open_search, parse_query, search
from clip_atelier.engine.search.embedding_store import EmbeddingStore, Space
from clip_atelier.engine.search.gallery import index, load_model
from clip_atelier.engine.settings import DataSettings, HardwareSettings

EXACT = HardwareSettings(device="cpu", threads=1, precision="fp32")
LEARNED = WordSetting(learned=5.0, hub=0.5)
FROM = ("red", "green", "blue")


@pytest.fixture
def find(home: Path) -> Callable[..., dict[str, Any]]:
    def go(folder: Path, query: str | Query, run: str, **options: Any) -> dict[str, Any]:
        query = parse_query(query) if isinstance(query, str) else query
        top = options.pop("top", 100)
        model_ref = ModelRef(run, hardware=EXACT, **options)
        return drive(search(folder, query, model_ref, Models(home), Control(), top)).as_json()

    return go


def embedded(
    home: Path, folder: Path, run: str, *variants: Variant
) -> tuple[Variants, tuple[str, ...], tuple[str, ...]]:
    """The folder in some embeddings, and the digests and paths of its drawings."""
    models = Models(home)
    found = drive(scan(folder, DataSettings(), Control(), home / "scan.sqlite"))
    opened = open_run(Runs(home).open(run), models, hardware=EXACT)
    pictures = ImageCache(found.root, found.items, opened.clip.frame, DataSettings())
    places = range(len(found.items))
    drive(pictures.prepare(places, Control()))
    work = embedded_variants(
        opened.clip, pictures, places, distinct_captions(found.items), variants, Control(), opened.adapter
    )
    try:
        return drive(work), tuple(i.digest for i in found.items), tuple(i.path for i in found.items)
    finally:
        adapters.detach(opened.clip)


def keep(
    home: Path,
    folder: Path,
    run: str,
    settings: dict[str, Setting],
    threshold: float | None = None,
    strength: float = 1.0,
) -> FittedParts:
    """Learns parts from the folder's drawings of three colours and saves them into the run."""
    used = {setting.variant for setting in settings.values()}
    variants, digests, paths = embedded(home, folder, run, *sorted({PLAIN, *used}))
    train = np.array([i for i, path in enumerate(paths) if Path(path).name.startswith(FROM)])
    parts = FittedParts(
        strength,
        settings,
        {v: WordModel.fit(c, train) for v, c in variants.items()},
        {s.variant: PictureHead.fit(variants[s.variant], train) for s in settings.values()
         if isinstance(s, PictureSetting)},
        Threshold(threshold, 50),
        frozenset(digests[i] for i in train),
    )  # fmt: skip
    parts.save(Runs(home).open(run).path)
    return parts


def listed(hits: list[dict[str, Any]]) -> list[tuple[str, float]]:
    return [(hit["path"], hit["score"]) for hit in hits]


def own_places(find: Callable[..., dict[str, Any]], folder: Path, run: str, pane: str) -> float:
    """The mean place of some drawings when they are asked for with their own captions."""
    places = []
    for name in ("red cross", "green ring", "blue line", "red circle"):
        hits = find(folder, f"a {name}", run)[pane]
        places.append([hit["path"] for hit in hits].index(f"{name.replace(' ', '-')}.png"))
    return float(np.mean(places))


@pytest.mark.parametrize("variant", [PLAIN, Variant(1.0, False), Variant(0.0, True), Variant(0.5, True)])
@pytest.mark.parametrize("dial", [1.0, 0.5])
def test_words_are_ranked_by_the_parts_in_the_embeddings_they_stand_on(
    home: Path,
    tiny_collection: Path,
    adapted_run: Callable[..., str],
    find: Callable[..., dict[str, Any]],
    variant: Variant,
    dial: float,
) -> None:
    run, words = adapted_run(tiny_collection), "a blue ring"
    setting = replace(LEARNED, mean=1.0, variant=variant)
    parts = keep(home, tiny_collection, run, {"text_to_image": setting})
    used = parts.setting("text_to_image", dial).variant
    variants, _digests, paths = embedded(home, tiny_collection, run, used)
    seen = variants[used]
    asked = [seen.strings.index(words)]
    scores = parts.word_scores("text_to_image", seen.texts[asked], [words], seen.images, dial=dial)[0]

    # Half and double precision of the whole way lie a little apart.
    result = find(tiny_collection, words, run, strength=dial)
    wanted = dict(zip(paths, scores, strict=True))
    assert len(result["adapted"]) == len(paths)
    for hit in result["adapted"]:
        assert hit["score"] == pytest.approx(wanted[hit["path"]], abs=2e-4)
    assert [hit["path"] for hit in result["adapted"]] != [hit["path"] for hit in result["base"]]
    places = {hit["path"]: place for place, hit in enumerate(result["base"], 1)}
    assert all(hit["base_rank"] == places[hit["path"]] for hit in result["adapted"])


def test_a_learned_caption_finds_its_drawing_and_the_dial_turns_it_off(
    home: Path, tiny_collection: Path, adapted_run: Callable[..., str], find: Callable[..., dict[str, Any]]
) -> None:
    run = adapted_run(tiny_collection)
    before = find(tiny_collection, "a red cross", run)
    assert "learned" in before["adapted"][0]
    assert before["adapted"][0]["learned"] is before["adapted"][0]["fits"] is None
    keep(home, tiny_collection, run, {"text_to_image": LEARNED}, threshold=-100.0)
    after = find(tiny_collection, "a red cross", run)
    assert own_places(find, tiny_collection, run, "adapted") < own_places(find, tiny_collection, run, "base")
    assert listed(after["base"]) == listed(before["base"])
    assert "fits" not in after["base"][0]
    assert all(hit["fits"] for hit in after["adapted"])
    for hit in (*after["base"], *after["adapted"]):
        assert hit["learned"] == hit["path"].startswith(FROM)
    off = find(tiny_collection, "a red cross", run, strength=0.0)
    assert listed(off["adapted"]) == listed(off["base"]) == listed(before["base"])
    assert off["adapted"][0]["fits"] is None


def test_a_question_that_keeps_the_base_is_answered_by_the_base_and_what_is_mixed_by_the_update(
    home: Path, tiny_collection: Path, adapted_run: Callable[..., str], find: Callable[..., dict[str, Any]]
) -> None:
    run = adapted_run(tiny_collection)
    mixed = Query.of("a red cross", tiny_collection / "green-ring.png")
    asked = (mixed, "a ring - a line", Query.of(tiny_collection / "green-ring.png"))
    before = [listed(find(tiny_collection, query, run)["adapted"]) for query in asked]
    keep(home, tiny_collection, run, {"text_to_image": BASE_WORDS, "image_to_text": LEARNED})
    found = find(tiny_collection, "a red cross", run)
    assert listed(found["adapted"]) == listed(found["base"])
    assert [listed(find(tiny_collection, query, run)["adapted"]) for query in asked] == before


def test_parts_without_an_update_go_by_the_dial_alone(
    home: Path, tiny_collection: Path, adapted_run: Callable[..., str], find: Callable[..., dict[str, Any]]
) -> None:
    run = adapted_run(tiny_collection)
    keep(home, tiny_collection, run, {"text_to_image": LEARNED}, strength=0.0)
    result = find(tiny_collection, "a ring - a line", run)
    assert listed(result["adapted"]) == listed(result["base"])
    result = find(tiny_collection, "a red cross", run)
    assert result["strength"] == 1.0
    assert own_places(find, tiny_collection, run, "adapted") < own_places(find, tiny_collection, run, "base")


def test_the_dial_is_relative_to_the_recommended_strength(
    home: Path, tiny_collection: Path, adapted_run: Callable[..., str]
) -> None:
    run, models = adapted_run(tiny_collection), Models(home)
    for recommended, asked, dial in ((0.5, None, 1.0), (0.5, 0.25, 0.5), (0.0, 0.75, 0.75), (0.0, None, 1.0)):
        write_document(
            Runs(home).open(run).path / "evaluation.json",
            TrainResult(best_step=1, steps=99, strength=recommended),
        )
        opened = load_model(ModelRef(run, asked, hardware=EXACT), models)
        assert opened.dial == dial
        assert opened.wanted == (recommended if asked is None else asked)
        opened.release()


def test_several_views_are_kept_in_a_space_of_their_own(
    home: Path, tiny_collection: Path, adapted_run: Callable[..., str], find: Callable[..., dict[str, Any]]
) -> None:
    run = adapted_run(tiny_collection)

    def again(**options: Any) -> int:
        model_ref = ModelRef(run, hardware=EXACT, **options)
        return drive(index(tiny_collection, model_ref, Models(home), Control())).embedded

    assert again() == 24
    assert again() == 0
    plain = find(tiny_collection, "a ring - a line", run)
    keep(home, tiny_collection, run, {"text_to_image": replace(LEARNED, variant=Variant(1.0, True))})
    assert again() == 24
    assert again() == 0
    assert find(tiny_collection, "a ring - a line", run) | {"base": 0, "adapted": 0} == plain | {
        "base": 0, "adapted": 0}  # fmt: skip
    assert listed(find(tiny_collection, "a ring - a line", run)["adapted"]) == listed(plain["adapted"])
    assert again(strength=0.5) == 24
    assert again(strength=0.5) == 0
    assert again(strength=0.0) == 0


def test_spaces_of_views_are_told_apart_and_older_names_stay(tmp_path: Path) -> None:
    plain = Space("model", "letterbox", "update", 0.5)
    assert plain.key == "1|model|letterbox|fp32|update|0.500"
    assert Space("model", "letterbox").key == "1|model|letterbox|fp32|"
    views = replace(plain, views=True)
    assert len({s.key for s in (plain, views, replace(views, strength=0), replace(plain, strength=0))}) == 4
    row = np.eye(1, 4, dtype=np.float32)
    with EmbeddingStore(tmp_path / "index.sqlite") as store:
        store.add(plain, ["00" * 32], row)
        assert store.missing(views, ["00" * 32]) == [0]
        store.add(views, ["00" * 32], -row)
        store.forget_strengths(views)
        np.testing.assert_array_equal(store.load(plain, ["00" * 32], 4), row)
        np.testing.assert_array_equal(store.load(views, ["00" * 32], 4), -row)


def test_what_does_not_stand_out_does_not_fit_but_a_drawing_fits_its_own_caption(
    home: Path, tiny_collection: Path, adapted_run: Callable[..., str], find: Callable[..., dict[str, Any]]
) -> None:
    run = adapted_run(tiny_collection)
    keep(home, tiny_collection, run, {"text_to_image": LEARNED}, threshold=1000.0)
    gibberish = find(tiny_collection, "qwzx vvbn", run)
    assert [hit["fits"] for hit in gibberish["adapted"]] == [False] * 24
    own = find(tiny_collection, "CROSS, a red", run)
    assert [hit["path"] for hit in own["adapted"] if hit["fits"]] == ["red-cross.png"]
    assert find(tiny_collection, "a ring - a line", run)["adapted"][0]["fits"] is None
    keep(home, tiny_collection, run, {"text_to_image": LEARNED}, threshold=None)
    assert find(tiny_collection, "qwzx vvbn", run)["adapted"][0]["fits"] is None


def test_a_sketch_ranks_artworks_by_the_picture_head_and_leaves_sketches_where_they_are(
    home: Path, tiny_pairs: Path, adapted_run: Callable[..., str], find: Callable[..., dict[str, Any]]
) -> None:
    run = adapted_run(tiny_pairs)
    for own, side, question in (
        ("sketches/red ring.png", "artworks", "sketch_to_artwork"),
        ("artworks/red ring.png", "sketches", "artwork_to_sketch"),
    ):
        (Runs(home).open(run).path / "parts.json").unlink(missing_ok=True)
        before = find(tiny_pairs, Query.of(tiny_pairs / own), run)["adapted"]
        setting = PictureSetting(1.0, 3.0, 0.5, 0.5, Variant(1.0, True))
        parts = keep(home, tiny_pairs, run, {question: setting})
        after = find(tiny_pairs, Query.of(tiny_pairs / own), run)["adapted"]
        here, there = (
            [hit["path"] for hit in hits if hit["path"].startswith(side)] for hits in (before, after)
        )
        assert here != there
        assert sorted(here) == sorted(there)
        assert [hit["path"].split("/")[0] for hit in before] == [hit["path"].split("/")[0] for hit in after]
        assert [hit["score"] for hit in before] == [hit["score"] for hit in after]

        variants, _digests, paths = embedded(home, tiny_pairs, run, setting.variant)
        images = variants[setting.variant].images
        mine = np.array([i for i, path in enumerate(paths) if path.startswith(side)])
        query = images[[paths.index(own)]]
        sides = (query, images[mine]) if side == "artworks" else (images[mine], query)
        scores = parts.picture_scores(question, *sides)[0]
        place = {paths[i]: score for i, score in zip(mine, scores, strict=True)}
        ranked = [place[path] for path in there]
        assert np.all(np.diff(ranked) < 1e-4)
        assert there.index(f"{side}/red ring.png") <= here.index(f"{side}/red ring.png")
        off = find(tiny_pairs, Query.of(tiny_pairs / own), run, strength=0.0)
        assert listed(off["adapted"]) == listed(off["base"])


def test_a_picture_from_elsewhere_is_ranked_by_the_update(
    home: Path,
    tiny_pairs: Path,
    adapted_run: Callable[..., str],
    find: Callable[..., dict[str, Any]],
    tmp_path: Path,
) -> None:
    run = adapted_run(tiny_pairs)
    other = tmp_path / "other.png"
    shutil.copy(tiny_pairs / "artworks" / "red ring.png", other)
    with other.open("ab") as file:
        file.write(b"\0")  # the same picture in another file
    before = find(tiny_pairs, Query.of(other), run)
    keep(home, tiny_pairs, run, {"artwork_to_sketch": PictureSetting(1.0)})
    assert listed(find(tiny_pairs, Query.of(other), run)["adapted"]) == listed(before["adapted"])


def test_an_open_search_follows_parts_that_are_changed(
    home: Path, tiny_collection: Path, adapted_run: Callable[..., str]
) -> None:
    run = adapted_run(tiny_collection)
    keep(home, tiny_collection, run, {"text_to_image": LEARNED})
    opened = drive(open_search(tiny_collection, ModelRef(run, hardware=EXACT), Models(home), Control()))
    first = opened.find(Query.of("a red cross"), 100)
    assert opened.find(Query.of("a red cross"), 100) == first
    keep(home, tiny_collection, run, {"text_to_image": replace(LEARNED, learned=0.3)})
    second = opened.find(Query.of("a red cross"), 100)
    assert second.base == first.base
    assert second.adapted != first.adapted


def test_equal_drawings_have_equal_scores(
    home: Path, tiny_collection: Path, adapted_run: Callable[..., str]
) -> None:
    run = adapted_run(tiny_collection)
    parts = keep(home, tiny_collection, run, {"text_to_image": LEARNED})
    variants, _digests, _paths = embedded(home, tiny_collection, run, PLAIN)
    images = np.repeat(variants[PLAIN].images[:7], 700, axis=0).astype(np.float32)  # more than one block
    scores = AskedDrawings(parts, images, None).scores(
        variants[PLAIN].texts[0].astype(np.float32), variants[PLAIN].strings[0]
    )
    assert scores is not None
    assert len(np.unique(scores)) <= 7


@pytest.mark.parametrize(
    "setting", [BASE_WORDS, LEARNED, replace(LEARNED, words=False, variant=Variant(0.5, True))]
)
def test_a_taught_word_is_ranked_as_the_parts_do_and_its_drawings_fit(
    home: Path,
    tiny_collection: Path,
    adapted_run: Callable[..., str],
    find: Callable[..., dict[str, Any]],
    setting: WordSetting,
) -> None:
    run, word = adapted_run(tiny_collection), "quorvex"
    keep(home, tiny_collection, run, {"text_to_image": setting}, threshold=1000.0)
    untaught = find(tiny_collection, word, run)
    named = [tiny_collection / f"red-{shape}.png" for shape in ("ring", "circle", "cross")]
    drive(teaching.teach(home, run, "Quorvex", named, Models(home), Control()))
    parts = FittedParts.read(Runs(home).open(run).path)
    assert parts is not None
    result = find(tiny_collection, word, run)
    assert listed(result["base"]) == listed(untaught["base"])
    names = [path.name for path in named]
    before, after = (
        np.mean([n for n, hit in enumerate(found["adapted"]) if hit["path"] in names])
        for found in (untaught, result)
    )
    assert after < before
    assert {hit["path"] for hit in result["adapted"] if hit["fits"]} == {path.name for path in named}
    variants, _digests, paths = embedded(home, tiny_collection, run, setting.variant)
    models = Models(home)
    opened = open_run(Runs(home).open(run), models, setting.variant.strength, EXACT)
    text = features.texts(opened.clip, [word]).astype(np.float64)
    adapters.detach(opened.clip)
    scores = parts.word_scores("text_to_image", text, [word], variants[setting.variant].images)[0]
    wanted = dict(zip(paths, scores, strict=True))
    for hit in result["adapted"]:
        assert hit["score"] == pytest.approx(wanted[hit["path"]], abs=2e-4)


def test_words_and_strengths_are_measured_with_the_parts(
    home: Path, tiny_collection: Path, tiny_pairs: Path, adapted_run: Callable[..., str]
) -> None:
    run, models = adapted_run(tiny_collection), Models(home)
    folder = Runs(home).open(run).folder

    def measured(strength: float) -> dict[str, Any]:
        work = run_evaluation.evaluate(home, run, folder, models, Control(), strength)
        return drive(work).as_json()["adapted"]

    without = measured(1.0)
    setting = replace(LEARNED, variant=Variant(0.5, True))
    parts = keep(home, tiny_collection, run, {"text_to_image": setting}, strength=0.5)

    changes = drive(
        word_changes.words(home, run, models, Control(), folder=tiny_pairs, templates=("{}",))
    ).as_json()
    variants, _digests, _paths = embedded(home, tiny_pairs, run, setting.variant)
    seen = variants[setting.variant]
    places = {entry["word"]: entry["after"] for entry in changes["words"]}
    assert set(seen.strings) <= set(places)
    for row, word in enumerate(seen.strings):
        scores = parts.word_scores("text_to_image", seen.texts[[row]], [word], seen.images, seen.roles)[0]
        highest = scores[seen.relevance[row]].max()
        # Half and double precision of the whole way lie a little apart.
        assert 1 + (scores > highest + 2e-4).sum() <= places[word] <= 1 + (scores > highest - 2e-4).sum()
    assert any(entry["moved"] for entry in changes["words"])

    curve = drive(
        strength_sweep.curve(home, run, models, Control(), wanted=(1.0,), control_set=tiny_pairs)
    ).as_json()
    assert measured(1.0) != without
    for point in curve["points"]:
        assert point["gained"] == pytest.approx(measured(point["strength"])[curve["primary_metric"]])
    assert drive(strength_sweep.strength_sweep_of(home, run, models, Control())) is None
