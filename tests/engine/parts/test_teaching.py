"""Words of the user's own, on real runs of a tiny real model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from clip_atelier.engine.core import Control, DamagedFile, UserError, drive
from clip_atelier.engine.data import image_gate
from clip_atelier.engine.models import Models, adapters, features
from clip_atelier.engine.parts import FittedParts, TaughtList, Variant, taught, teaching
from clip_atelier.engine.parts.arrays import unit
from clip_atelier.engine.parts.word_questions import WordSetting
from clip_atelier.engine.runs import Runs, open_run

REDS = ("red-circle", "red-square", "red-ring")


@pytest.fixture
def run(tiny_collection: Path, adapted_run: Callable[..., str]) -> str:
    return adapted_run(tiny_collection)


@pytest.fixture
def teach(home: Path, run: str, tiny_collection: Path) -> Callable[..., TaughtList]:
    def go(word: str, *names: str) -> TaughtList:
        images = [tiny_collection / f"{name}.png" for name in names]
        return drive(teaching.teach(home, run, word, images, Models(home), Control()))

    return go


def ranking(home: Path, run: str, folder: Path, query: str, dial: float = 1.0) -> list[str]:
    """Names of a folder's drawings as the run's parts rank them for a query, best first."""
    opened = open_run(Runs(home).open(run), Models(home))
    try:
        parts = FittedParts.read(opened.run.path)
        assert parts is not None
        strength = parts.setting("text_to_image", dial).variant.strength
        paths = sorted(folder.glob("*.png"))
        with opened.adapter.at(strength):
            text = unit(features.texts(opened.clip, [query]))
            size = opened.clip.image_size
            pictures = [image_gate.fit(image_gate.load(path), size) for path in paths]
            images = unit(np.concatenate([features.image_now(opened.clip, picture) for picture in pictures]))
    finally:
        adapters.detach(opened.clip)
    scores = parts.word_scores("text_to_image", text, [query], images, dial=dial)[0]
    return [paths[i].stem for i in np.argsort(-scores, kind="stable")]


@pytest.mark.parametrize("word", ["Quorvex", "미라", "Quorvex the Third"])
def test_a_taught_word_finds_others_like_its_drawings(
    home: Path, run: str, tiny_collection: Path, teach: Callable[..., TaughtList], word: str
) -> None:
    before = ranking_untaught(home, run, tiny_collection, word)
    (told,) = teach(word, *REDS).words
    assert (told.word, len(told.drawings)) == (word, 3)
    assert Path(told.drawings[0]) == tiny_collection / "red-circle.png"
    assert told.found is not None
    assert told.sure in ("yes", "unsure")
    found = ranking(home, run, tiny_collection, word)
    assert {*REDS, "red-triangle"} <= set(found[:5]), (
        "another red drawing is as near as those it was learned from"
    )
    assert sum(name.startswith("red") for name in before[:5]) < 4
    within = f"{word}가 달린다" if word == "미라" else f"{word.upper()} running"
    assert {*REDS, "red-triangle"} <= set(ranking(home, run, tiny_collection, within)[:6])
    # Other words find what they found, and at 0 nothing is added.
    assert ranking(home, run, tiny_collection, "a blue ring") == ranking_untaught(
        home, run, tiny_collection, "a blue ring"
    )
    assert ranking(home, run, tiny_collection, word, dial=0.0) == base_ranking(
        home, run, tiny_collection, word
    )


def ranking_untaught(home: Path, run: str, folder: Path, query: str) -> list[str]:
    """As the run's model ranks by cosine, without parts."""
    return _cosines(home, run, folder, query, None)


def base_ranking(home: Path, run: str, folder: Path, query: str) -> list[str]:
    return _cosines(home, run, folder, query, 0.0)


def _cosines(home: Path, run: str, folder: Path, query: str, strength: float | None) -> list[str]:
    opened = open_run(Runs(home).open(run), Models(home), strength)
    try:
        paths = sorted(folder.glob("*.png"))
        size = opened.clip.image_size
        pictures = [image_gate.fit(image_gate.load(path), size) for path in paths]
        images = unit(np.concatenate([features.image_now(opened.clip, picture) for picture in pictures]))
        scores = images @ unit(features.texts(opened.clip, [query]))[0]
    finally:
        adapters.detach(opened.clip)
    return [paths[i].stem for i in np.argsort(-scores, kind="stable")]


def test_forgetting_takes_it_away_and_renaming_keeps_it(
    home: Path, run: str, tiny_collection: Path, teach: Callable[..., TaughtList]
) -> None:
    teach("Quorvex", *REDS)
    before = ranking(home, run, tiny_collection, "Quorvex")
    listed = taught.rename(home, run, "quorvex", "Zumbel")
    assert [one.word for one in listed.words] == ["Zumbel"]
    assert set(REDS) <= set(ranking(home, run, tiny_collection, "Zumbel")[:5])
    assert ranking(home, run, tiny_collection, "Quorvex") == ranking_untaught(
        home, run, tiny_collection, "Quorvex"
    )
    assert taught.forget(home, run, "ZUMBEL").words == ()
    assert ranking(home, run, tiny_collection, "Quorvex") != before
    assert not list(Runs(home).open(run).path.glob("taught.*"))


def test_drawings_are_added_and_two_names_may_share_them(
    home: Path, run: str, tiny_collection: Path, teach: Callable[..., TaughtList]
) -> None:
    (told,) = teach("Quorvex", "red-circle", "red-square", "red-circle").words
    assert (len(told.drawings), told.found, told.sure) == (2, None, "too few")
    (told,) = teach("quorvex", "red-ring", "red-square").words
    assert (told.word, len(told.drawings), told.sure == "too few") == ("Quorvex", 3, False)
    assert [one.word for one in teach("쿼벡스", *REDS).words] == ["Quorvex", "쿼벡스"]
    assert set(REDS) <= set(ranking(home, run, tiny_collection, "쿼벡스")[:5])
    assert taught.listed(home, run).words[1].drawings == told.drawings
    # Forgetting one leaves the other, and the drawings that both name.
    taught.forget(home, run, "Quorvex")
    assert set(REDS) <= set(ranking(home, run, tiny_collection, "쿼벡스")[:5])


def test_what_is_wrong_is_told(
    home: Path, run: str, tiny_collection: Path, teach: Callable[..., TaughtList]
) -> None:
    with pytest.raises(UserError, match="is empty"):
        teach("  ", *REDS)
    with pytest.raises(UserError, match="no letter"):
        teach("?!", *REDS)
    with pytest.raises(UserError, match="no drawing"):
        teach("Quorvex")
    with pytest.raises(UserError, match="nowhere"):
        teach("Quorvex", "nowhere")
    (tiny_collection / "broken.png").write_bytes(b"\x89PNG no more")
    with pytest.raises(UserError, match="broken"):
        teach("Quorvex", "red-ring", "broken")
    with pytest.raises(UserError, match="not taught") as told:
        taught.forget(home, run, "Quorvex")
    assert told.value.hint == "This training was taught no word yet."
    with pytest.raises(UserError, match="no training"):
        taught.listed(home, "nothing")
    teach("Quorvex", "red-ring")
    teach("Zumbel", "red-line")
    with pytest.raises(UserError, match="taught already"):
        taught.rename(home, run, "Quorvex", "zumbel")


def test_damaged_files_are_told(
    home: Path, run: str, tiny_collection: Path, teach: Callable[..., TaughtList]
) -> None:
    teach("Quorvex", *REDS)
    folder = Runs(home).open(run).path
    kept = (folder / "taught.safetensors").read_bytes()
    (folder / "taught.safetensors").write_bytes(kept[:-9])
    with pytest.raises(DamagedFile, match=r"taught\.safetensors"):
        FittedParts.read(folder)
    (folder / "taught.safetensors").write_bytes(kept)
    (folder / "taught.json").write_text('{"schema": 1, "words": [{"drawings": []}]}')
    with pytest.raises(DamagedFile, match=r"taught\.json.*word") as told:
        taught.listed(home, run)
    assert "taught again" in told.value.hint
    (folder / "taught.json").unlink()
    assert taught.listed(home, run).words == ()


def test_parts_saved_again_do_not_keep_what_was_taught(
    home: Path, run: str, tiny_collection: Path, teach: Callable[..., TaughtList], tmp_path: Path
) -> None:
    teach("Quorvex", *REDS)
    folder = Runs(home).open(run).path
    parts = FittedParts.read(folder)
    assert parts is not None
    (model,) = parts.word_models.values()
    assert model.learned.names_taught("a QUORVEX, running")
    assert not model.learned.names_taught("a quorvexes")
    assert parts.strength == 1.0, "the trained update stays in use"
    assert set(parts.word_models) == {Variant(1.0)}
    parts.save(tmp_path)
    again = FittedParts.read(tmp_path)
    assert again is not None
    assert not next(iter(again.word_models.values())).learned.taught


@pytest.mark.parametrize(("learned", "words"), [(0.0, True), (0.0, False), (1.5, False), (1.5, True)])
def test_it_works_with_whatever_the_run_keeps(
    home: Path,
    run: str,
    tiny_collection: Path,
    teach: Callable[..., TaughtList],
    learned: float,
    words: bool,
) -> None:
    teach("Zumbel", "blue-line")
    folder = Runs(home).open(run).path
    parts = FittedParts.read_untaught(folder)
    assert parts is not None
    setting = WordSetting(learned=learned, words=words, hub=0.5, variant=Variant(1.0))
    replace(parts, settings={**parts.settings, "text_to_image": setting}).save(folder)
    before = ranking(home, run, tiny_collection, "a blue ring")
    told = teach("Quorvex", *REDS).get("quorvex")
    assert told is not None
    assert told.found is not None
    assert {*REDS, "red-triangle"} <= set(ranking(home, run, tiny_collection, "Quorvex")[:6])
    assert ranking(home, run, tiny_collection, "a blue ring") == before


def test_sketches_and_artworks_are_told_apart(
    home: Path, tiny_pairs: Path, adapted_run: Callable[..., str]
) -> None:
    run = adapted_run(tiny_pairs)
    images = [tiny_pairs / "artworks" / f"red {shape}.png" for shape in ("circle", "square", "ring")]
    drive(teaching.teach(home, run, "Quorvex", images, Models(home), Control()))
    parts = FittedParts.read(Runs(home).open(run).path)
    assert parts is not None
    (model,) = parts.word_models.values()
    (rows,) = taught.TaughtWords.read(Runs(home).open(run).path).embeddings(Variant(1.0)).values()
    assert {model.role_of(row) for row in rows} == {"artwork"}
    assert model.role_of(model.role_means["sketch"]) == "sketch", "one that was never seen goes by its looks"
    assert ranking(home, run, tiny_pairs / "artworks", "Quorvex")[0].startswith("red")
