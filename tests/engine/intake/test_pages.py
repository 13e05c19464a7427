"""Pages made by script, with known corners and known drawings, come out straight, white and cut into those drawings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

import sketchbook
from clip_atelier.engine.core import UserError
from clip_atelier.engine.data.image_gate import ImageProblem
from clip_atelier.engine.intake import (
    WHOLE,
    Page,
    SeenPage,
    find_pages,
    flattening,
    look_again,
    look_at,
    paper,
)
from sketchbook import MadePage

#: (seed, paper, kind, drawings): 45 drawings in all; `tests/benchmarks/intake.py` counts hundreds.
PAGES = [
    (0, "plain", "photo", 6), (1, "lined", "photo", 6), (2, "squared", "photo", 6), (3, "plain", "scan", 6), (4, "lined", "photo", 6),
    (5, "squared", "scan", 6), (6, "plain", "photo", 9),
]  # fmt: skip


@pytest.fixture(scope="module")
def looked_at(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[MadePage, SeenPage]]:
    folder = tmp_path_factory.mktemp("pages")
    found = []
    for seed, ground, kind, drawings in PAGES:
        made = sketchbook.page(seed, ground, kind, width=460, drawings=drawings)  # type: ignore[arg-type]
        file = folder / f"page {seed}.jpg"
        made.picture.save(file, quality=90)
        found.append((made, look_at(file)))
    return found


def test_drawings_are_cut_where_they_are(looked_at: list[tuple[MadePage, SeenPage]]) -> None:
    overlaps = [value for made, seen in looked_at for value in sketchbook.overlaps(made, seen)]
    assert len(overlaps) >= 40
    assert sum(value >= 0.9 for value in overlaps) / len(overlaps) >= 0.95, sorted(overlaps)[:6]
    found = sum(len(seen.page.boxes) for _made, seen in looked_at)
    assert found <= 1.05 * len(overlaps), "nothing is cut out that is no drawing"


def test_the_page_lies_where_it_is(looked_at: list[tuple[MadePage, SeenPage]]) -> None:
    for made, seen in looked_at:
        at = np.array(seen.page.corners) * made.picture.size
        assert np.hypot(*(at - np.array(made.corners)).T).max() < 0.01 * max(made.picture.size)


def test_paper_is_white_and_ink_stays(looked_at: list[tuple[MadePage, SeenPage]]) -> None:
    for made, seen in looked_at:
        grey = np.asarray(seen.flat.convert("L"))
        between = np.ones(grey.shape, bool)
        for box in seen.page.boxes:
            left, top, right, bottom = np.array(box) * (grey.shape[::-1] * 2)
            between[int(top) - 3 : int(bottom) + 4, int(left) - 3 : int(right) + 4] = False
        edge = max(grey.shape) // 50
        assert np.mean(grey[edge:-edge, edge:-edge][between[edge:-edge, edge:-edge]] >= 235) > 0.97, made.size
        assert grey.min() < 130, "the ink is still there"


def test_a_drawing_may_be_large_and_dark_and_a_page_cut_off() -> None:
    made = sketchbook.page(8, "plain", "photo", width=460, drawings=2)
    flat = Image.new("RGB", (400, 500), (228, 216, 196))
    flat.paste((30, 60, 40), (60, 80, 340, 420))  # painted all over, larger than any stroke
    desk = Image.new("RGB", (560, 560), (70, 50, 40))
    desk.paste(flat, (80, 60))  # the lower edge is where the picture ends
    seen = look_again(
        SeenPage(Page(Path("x")), desk, desk), Page(Path("x"), _corners(80, 60, 480, 560, 560)), 0.05
    )
    (box,) = seen.page.boxes
    assert sketchbook.overlap(tuple(np.array(box) * (400, 500, 400, 500)), (60, 80, 340, 420)) > 0.95
    assert seen.flat.getpixel((seen.flat.width // 2, seen.flat.height // 2))[1] < 100  # type: ignore[index]
    cut = made.picture.crop((0, 0, made.picture.width, round(max(y for _x, y in made.corners) * 0.8)))
    from clip_atelier.engine.intake.corners import SIDE, find_corners

    small = cut.copy()
    small.thumbnail((SIDE, SIDE))
    found = find_corners(np.asarray(small))
    assert found is not None
    assert all(y > 0.99 for _x, y in found[2:]), "the page ends where the picture does"


def _corners(
    left: float, top: float, right: float, bottom: float, side: float
) -> tuple[tuple[float, float], ...]:
    return (
        (left / side, top / side),
        (right / side, top / side),
        (right / side, bottom / side),
        (left / side, bottom / side),
    )


def test_what_is_no_page_is_taken_whole(tmp_path: Path) -> None:
    for name, picture in (
        ("black", Image.new("RGB", (300, 200))), ("white", Image.new("RGB", (200, 300), "white")), ("tiny", Image.new("RGB", (3, 2), "red")),
        ("noise", Image.effect_noise((240, 240), 90).convert("RGB")),
    ):  # fmt: skip
        picture.save(tmp_path / f"{name}.png")
        assert look_at(tmp_path / f"{name}.png").page.corners == WHOLE
    assert look_at(tmp_path / "white.png").page.boxes == ()


def test_faults_are_named(tmp_path: Path) -> None:
    (tmp_path / "torn.png").write_bytes(b"\x89PNG torn")
    with pytest.raises(ImageProblem, match="torn.png"):
        look_at(tmp_path / "torn.png")
    with pytest.raises(UserError, match="nowhere"):
        find_pages([tmp_path / "nowhere"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no picture"):
        find_pages([tmp_path / "empty"])
    line = ((0.1, 0.1), (0.2, 0.1), (0.3, 0.1), (0.4, 0.1))
    picture = Image.new("RGB", (100, 100), "white")
    with pytest.raises(ValueError, match="one line"):
        look_again(SeenPage(Page(Path("x")), picture, picture), Page(Path("x"), line))


def test_strokes_go_on_through_printed_lines() -> None:
    """Where a line was taken away the stroke that crosses it was cut: a drawing fell into 56 pieces."""
    made = sketchbook.page(3, "lined", "photo", 900, 5)
    wide, high = made.picture.size
    corners = tuple((x / wide, y / high) for x, y in made.corners)
    dark = paper.darkness(paper.even_white(flattening.flatten(made.picture, corners)))
    labels, count = ndimage.label(dark > 0.15, np.ones((3, 3)))
    assert (ndimage.sum_labels(np.ones_like(dark), labels, range(1, count + 1)) > 40).sum() < 30
