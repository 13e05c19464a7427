"""The separate drawings of a page on even white: ink that lies close together is one drawing."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from clip_atelier.engine.intake.paper import darkness

Box = tuple[float, float, float, float]
"""Left, top, right, bottom, in parts of the straightened page's width and height."""

LOOKED_AT: Final = 1100
GAP: Final = 0.05
"""Ink that is nearer than this belongs to one drawing; in parts of the page's shorter side."""
_FAINT, _DARK = 0.09, 0.20
"""A stroke is followed down to the first, if it is as dark as the second somewhere."""
_SMALLEST: Final = 0.0012
"""Part of the page that a drawing's box fills at least; less is a spot, a number or a signature."""
_EDGE: Final = 0.012
"""Along the page's edges, in parts of its shorter side, ink counts only as a part of what reaches further in."""
MOST: Final = 200
"""Drawings of one page; what has more is texture."""


def find_drawings(page: Image.Image, gap: float = GAP) -> tuple[Box, ...]:
    """The boxes of the drawings on a page, in the order in which one reads them.

    Args:
        page: On even white, as `paper.even_white` makes it.
        gap: How near to each other the parts of one drawing lie, in parts of the page's shorter side.
    """
    from skimage import filters, measure

    small = page.copy()
    small.thumbnail((LOOKED_AT, LOOKED_AT), Image.Resampling.BOX)
    dark = darkness(small)
    ink = filters.apply_hysteresis_threshold(dark, _FAINT, _DARK)
    ink = _without_edge(ink)
    ink = _without_specks(ink)
    height, width = ink.shape
    near = gap * min(height, width)
    labels = measure.label(_grown(ink, near / 2), connectivity=2)
    boxes = []
    for region in measure.regionprops(labels * ink):  # the boxes of the ink, not of what it grew to
        top, left, bottom, right = region.bbox
        boxes.append((left, top, right, bottom))
    merged = [
        box for box in _merged(boxes) if (box[2] - box[0]) * (box[3] - box[1]) >= _SMALLEST * height * width
    ]
    if len(merged) > MOST:
        merged = sorted(merged, key=lambda box: (box[0] - box[2]) * (box[3] - box[1]))[:MOST]
    parts = [(x0 / width, y0 / height, x1 / width, y1 / height) for x0, y0, x1, y1 in merged]
    return tuple(_in_reading_order(parts))


def _grown(ink: npt.NDArray[np.bool_], by: float) -> npt.NDArray[np.bool_]:
    from scipy import ndimage

    found: npt.NDArray[np.bool_] = ndimage.distance_transform_edt(~ink) <= by
    return found


def _without_edge(ink: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Without what lies along the page's edges only: its shadow, a strip of the desk, the holes of a binding."""
    from skimage import measure

    edge = max(round(_EDGE * min(ink.shape)), 2)
    labels = measure.label(ink, connectivity=2)
    inner = np.unique(labels[edge:-edge, edge:-edge])
    kept: npt.NDArray[np.bool_] = ink & np.isin(labels, inner[inner > 0])
    # A strip of the desk that a drawing touches is cut off with the edge.
    strips = np.ones(ink.shape, bool)
    strips[edge // 2 : -(edge // 2) or None, edge // 2 : -(edge // 2) or None] = False
    return kept & ~strips


def _without_specks(ink: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    from skimage import measure

    labels = measure.label(ink, connectivity=2)
    counts = np.bincount(labels.ravel())
    counts[0] = 0
    kept: npt.NDArray[np.bool_] = (counts >= 6)[labels]
    return kept


def _merged(boxes: list[tuple[int, int, int, int]]) -> list[tuple[int, int, int, int]]:
    """Boxes of which one lies mostly in another become one."""
    todo = sorted(boxes, key=lambda box: (box[0] - box[2]) * (box[3] - box[1]))
    changed = True
    while changed:
        changed = False
        kept: list[tuple[int, int, int, int]] = []
        for box in todo:
            for number, other in enumerate(kept):
                if _shared(box, other) > 0.3:
                    kept[number] = (
                        min(box[0], other[0]),
                        min(box[1], other[1]),
                        max(box[2], other[2]),
                        max(box[3], other[3]),
                    )
                    changed = True
                    break
            else:
                kept.append(box)
        todo = kept
    return todo


def _shared(first: tuple[int, int, int, int], second: tuple[int, int, int, int]) -> float:
    """Part of the smaller box that lies in the other."""
    wide = min(first[2], second[2]) - max(first[0], second[0])
    high = min(first[3], second[3]) - max(first[1], second[1])
    least = min((box[2] - box[0]) * (box[3] - box[1]) for box in (first, second))
    return max(wide, 0) * max(high, 0) / max(least, 1)


def _in_reading_order(boxes: list[Box]) -> list[Box]:
    """Row by row: what overlaps a row's first drawing by half its height is in that row."""
    left = sorted(boxes, key=lambda box: box[1])
    ordered: list[Box] = []
    while left:
        first = left[0]
        row = [
            box
            for box in left
            if min(box[3], first[3]) - box[1] > 0.5 * min(box[3] - box[1], first[3] - first[1])
        ]
        ordered += sorted(row, key=lambda box: box[0])
        left = [box for box in left if box not in row]
    return ordered
