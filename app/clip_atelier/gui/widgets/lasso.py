"""A line drawn around points, and which points lie inside it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF
from PySide6.QtGui import QPolygonF

Floats = NDArray[np.float64]

_STEP = 3.0  # pixels between two corners of the line: finer ones cost time and change nothing


class Lasso:
    """A line in the making."""

    def __init__(self) -> None:
        self._corners: list[QPointF] = []

    @property
    def drawing(self) -> bool:
        """Whether a line is being drawn."""
        return bool(self._corners)

    def begin(self, at: QPointF) -> None:
        """Puts the pen down."""
        self._corners = [QPointF(at)]

    def go(self, at: QPointF) -> None:
        """Draws on."""
        if self._corners and (at - self._corners[-1]).manhattanLength() >= _STEP:
            self._corners.append(QPointF(at))

    def end(self) -> Floats:
        """Lifts the pen; the corners [M, 2] of what was drawn around."""
        corners = np.array([(p.x(), p.y()) for p in self._corners], np.float64).reshape(-1, 2)
        self._corners = []
        return corners

    def line(self) -> QPolygonF:
        """What was drawn so far."""
        return QPolygonF(self._corners)


def inside(points: Floats, corners: Floats) -> NDArray[np.bool_]:
    """Which points [N, 2] lie in the closed line through corners [M, 2], by the even-odd rule."""
    within = np.zeros(len(points), np.bool_)
    if len(corners) < 3:
        return within
    x, y = points[:, 0], points[:, 1]
    for (x1, y1), (x2, y2) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        if y1 == y2:
            continue
        crosses = (y1 > y) != (y2 > y)
        within ^= crosses & (x < (x2 - x1) * (y - y1) / (y2 - y1) + x1)
    return within
