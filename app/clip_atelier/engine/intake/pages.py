"""What a page is, before its drawings are written: where it lies in its picture, and where they lie on it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from clip_atelier.engine.core import UserError, _, nothing_at, shown
from clip_atelier.engine.data import image_gate, pages_of
from clip_atelier.engine.intake import corners as where
from clip_atelier.engine.intake import drawings, flattening, paper
from clip_atelier.engine.intake.corners import WHOLE, Corners
from clip_atelier.engine.intake.drawings import GAP, Box

SHOWN: Final = 1600
"""Longer side of the picture in which pages are looked at; their drawings are cut out of the whole picture."""
_MARGIN: Final = 0.015
"""White around a drawing, in parts of the page's shorter side."""


@dataclass(frozen=True)
class Page:
    """A page and its drawings.

    Attributes:
        path: The photograph or scan; a page of a document is named below it.
        corners: Of the page in the picture.
        boxes: Of the drawings on the straightened page, each at its ink; `margin_of` is added when they are cut out.
        even: Whether the paper is made even white.
    """

    path: Path
    corners: Corners = WHOLE
    boxes: tuple[Box, ...] = ()
    even: bool = True


@dataclass(frozen=True, eq=False)
class SeenPage:
    """A page as it is looked at.

    Attributes:
        picture: The photograph, shrunk to `SHOWN`.
        flat: The page straightened and, if that is wanted, on even white.
    """

    page: Page
    picture: Image.Image
    flat: Image.Image


def find_pages(sources: Sequence[Path]) -> list[Path]:
    """The pages of photographs, scans and documents, and of folders of them, each once.

    Raises:
        UserError: one is not there, or there is none.
    """
    found: dict[Path, None] = {}
    for source in sources:
        found.update(dict.fromkeys(_pages_of(source)))
    if not found:
        raise UserError(
            _("There is no picture in “{name}”.").format(name=shown(sources[0]))
            if sources
            else _("There is no page."),
            _("Choose photographs or scans of pages: PNG, JPEG, TIFF or PDF."),
            "pages",
        )
    return list(found)


def _pages_of(source: Path) -> Iterator[Path]:
    if not source.exists():
        raise nothing_at(source, "pages")
    yield from pages_of(source)


def look_at(path: Path, gap: float = GAP, even: bool = True) -> SeenPage:
    """Finds the page in a picture, and the drawings on it.

    Args:
        path: The photograph or scan.
        gap: See `drawings.find_drawings`.
        even: Whether the paper is made even white.

    Raises:
        ImageProblem: the picture cannot be read.
    """
    picture = image_gate.load(path, SHOWN)
    picture.thumbnail((SHOWN, SHOWN), Image.Resampling.LANCZOS, reducing_gap=3.0)
    small = picture.copy()
    small.thumbnail((where.SIDE, where.SIDE), Image.Resampling.BOX)
    page = Page(path, where.find_corners(np.asarray(small)) or WHOLE, even=even)
    return look_again(SeenPage(page, picture, picture), page, gap)


def look_again(seen: SeenPage, page: Page, gap: float | None = None) -> SeenPage:
    """The same picture with other corners, or with its paper as it is.

    Args:
        seen: The page as it was looked at.
        page: What is wanted now.
        gap: To find the drawings anew; those of `page` stay where it is None.

    Raises:
        ValueError: the corners lie on one line.
    """
    flat = flattening.flatten(seen.picture, page.corners)
    white = paper.even_white(flat)
    if gap is not None:
        page = dataclasses.replace(page, boxes=drawings.find_drawings(white, gap))
    return SeenPage(page, seen.picture, white if page.even else flat)


def margin_of(size: tuple[int, int], box: Box) -> tuple[int, int, int, int]:
    """What is cut out of a straightened page of a size, in pixels: a drawing's box with a little paper around it."""
    width, height = size
    room = _MARGIN * min(width, height)
    left, top = max(int(box[0] * width - room), 0), max(int(box[1] * height - room), 0)
    right, bottom = min(round(box[2] * width + room), width), min(round(box[3] * height + room), height)
    return left, top, max(right, left + 1), max(bottom, top + 1)
