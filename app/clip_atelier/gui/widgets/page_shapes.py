"""Boxes and four-cornered shapes that are moved by hand: what they may become."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from PySide6.QtCore import QPointF, QRectF

LEAST: Final = 0.015
"""Of the page's sides: a smaller box was a click."""


def large_enough(box: QRectF) -> bool:
    """Whether a box is more than a click."""
    return box.width() >= LEAST and box.height() >= LEAST


def inside(box: QRectF) -> QRectF:
    """The box moved back onto the page."""
    return box.translated(
        min(max(-box.left(), 0.0), 1.0) - max(box.right() - 1.0, 0.0),
        max(-box.top(), 0.0) - max(box.bottom() - 1.0, 0.0),
    )


def is_convex(corners: Sequence[QPointF]) -> bool:
    """Whether four points in their order are the corners of something that a page can look like."""
    for number in range(4):
        a, b, c = (corners[(number + step) % 4] for step in range(3))
        if (b.x() - a.x()) * (c.y() - b.y()) - (b.y() - a.y()) * (c.x() - b.x()) < 0.002:
            return False
    return True
