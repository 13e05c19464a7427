"""Suggested captions: which drawings are asked, what is tried, and when one is sure."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from clip_atelier.engine.core import Control, UserError, drive
from clip_atelier.engine.data import Captioned
from clip_atelier.engine.models import Models
from clip_atelier.engine.search import ModelRef, Suggestions, suggest, suggestions
from clip_atelier.engine.search.word_list import drawing_words
from tiny import draw

SHAPES = ("circle", "square", "ring")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Thirty drawings of three shapes; six have a camera's name and no caption."""
    made = tmp_path / "shapes"
    made.mkdir()
    rows = ["file_name,text,label"]
    for n in range(30):
        shape = SHAPES[n % 3]
        name = f"IMG_{n:04d}.png" if n < 6 else f"{n}.png"
        draw(shape, "#225", shift=n % 5).convert("RGB").save(made / name)
        rows += [f"{name},a {shape},{shape}"] if n >= 6 else []
    (made / "metadata.csv").write_text("\n".join(rows) + "\n")
    return made


def asked(folder: Path, home: Path, model: Path, **more: object) -> Suggestions:
    return drive(suggest(folder, ModelRef(model=str(model)), Models(home), Control(), **more))  # type: ignore[arg-type]


def test_drawings_without_a_caption_are_asked_and_similar_ones_answer(
    folder: Path, home: Path, tiny_clip: Path
) -> None:
    found = asked(folder, home, tiny_clip)
    assert [one.path for one in found.drawings] == [f"IMG_{n:04d}.png" for n in range(6)]
    assert (found.tried, found.count) == (24, 5)
    assert found.way == "similar", "alike drawings are found by any model, words are not"
    assert found.first >= 20
    right = [f"a {SHAPES[n % 3]}" for n in range(6)]
    assert [one.captions[0] for one in found.drawings] == right
    assert sum(one.sure for one in found.drawings) >= 4
    assert all(len(set(one.captions)) == 5 for one in found.drawings)
    assert all((one.grade == "sure") == one.sure for one in found.drawings)
    assert all(one.alike == suggestions.ALIKE and one.right >= 14 for one in found.drawings)


def test_unsaved_captions_count_and_drawings_can_be_chosen(folder: Path, home: Path, tiny_clip: Path) -> None:
    told = {"IMG_0000.png": Captioned("IMG_0000.png", ("a moon",))}
    found = asked(folder, home, tiny_clip, told=told, count=2)
    assert "IMG_0000.png" not in {one.path for one in found.drawings}
    assert all(len(one.captions) == 2 for one in found.drawings)
    found = asked(folder, home, tiny_clip, wanted=["7.png"])
    assert [one.path for one in found.drawings] == ["7.png"]
    assert "a square" not in found.drawings[0].captions, "its own caption is no suggestion"


def test_where_nothing_lacks_a_caption_it_says_so(folder: Path, home: Path, tiny_clip: Path) -> None:
    for n in range(6):
        (folder / f"IMG_{n:04d}.png").unlink()
    with pytest.raises(UserError, match="caption of its own"):
        asked(folder, home, tiny_clip)


def test_a_single_drawing_without_any_caption_is_named_from_the_list(
    tmp_path: Path, home: Path, tiny_clip: Path
) -> None:
    folder = tmp_path / "one"
    folder.mkdir()
    draw("ring", "#225").convert("RGB").save(folder / "IMG_0001.png")
    found = asked(folder, home, tiny_clip)
    assert set(found.drawings[0].captions) <= set(drawing_words("en"))
    assert (found.tried, found.drawings[0].sure) == (0, False)


def test_words_are_in_the_languages_that_the_folder_is_written_in() -> None:
    assert len(drawing_words("ko")) > 1000
    assert drawing_words("fr") == ()
    korean = suggestions._candidates([("고양이",), ("빨간 집",)], "starter")
    assert korean[:2] == ["고양이", "빨간 집"]
    assert set(drawing_words("ko")) <= set(korean)
    assert not set(drawing_words("en")) & set(korean)
    assert set(drawing_words("en")) <= set(suggestions._candidates([], "starter"))


def test_what_is_sure_is_told_by_those_that_stood_out_as_clearly() -> None:
    right = np.array([True] * 12 + [False] * 8)
    leads = np.arange(20, 0, -1.0)
    tried = suggestions._Tried(right, right, leads)
    # 12 of the first 15 were right; of the first 16, fewer than four of five.
    assert tried.surest() == leads[14]
    assert suggestions._Tried(~right, right, leads).surest() == np.inf
    few = suggestions._Tried(right[:9], right[:9], leads[:9])
    assert few.surest() == np.inf
    assert few.alike(3.0) == (0, 0), "nine are too few to tell anything by"
    # Twenty of thirty: those that stood out about as clearly, above and below.
    right = np.array([True] * 10 + [False] * 20)
    many = suggestions._Tried(right, right, np.arange(30, 0, -1.0))
    assert many.alike(30.0) == (20, 10)
    assert many.alike(1.0) == (20, 0)


def test_a_caption_that_nobody_else_has_cannot_be_found_again() -> None:
    truth = {0: [0], 1: [1], 2: [1]}
    alone = suggestions._said_once(truth, ["only mine", "ours", "abacus"])
    assert alone == {0}
    scores = np.eye(3)
    tried = suggestions._tried(scores, truth, alone, 1)
    assert tried.first.tolist() == [False, True, False]
