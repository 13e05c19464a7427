"""How a map's points, ways and pictures are put on a painter; all places are on the screen."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import shiboken6
from numpy.typing import NDArray
from PySide6.QtCore import QLineF, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPainterPath, QPen, QPixmap

from clip_atelier.gui import theme

if TYPE_CHECKING:
    from clip_atelier.gui.parts.pictures import PictureStore

Floats = NDArray[np.float64]

CARD = 148  # side of the picture under the pointer
_THUMB = 46.0
_MOST_ARROWS = 1500


def dots(
    painter: QPainter, at: Floats, which: NDArray[np.int64], opacity: Floats, colours: Sequence[QColor], radius: float
) -> None:  # fmt: skip
    """A disc for each point [N, 2], in the colour with its number [N]; handed to Qt as one array."""
    if not len(at):
        return
    ratio = painter.device().devicePixelRatio()
    stamps, cell = _stamps(colours, radius, ratio)
    # QPainter::PixmapFragment: x, y, source left, top, width, height, scale x, y, rotation, opacity.
    fragments = np.zeros((len(at), 10))
    fragments[:, 0:2] = at
    fragments[:, 2] = which * cell
    fragments[:, 4:6] = cell
    fragments[:, 6:8] = 1 / ratio
    fragments[:, 9] = opacity
    first = shiboken6.wrapInstance(fragments.ctypes.data, QPainter.PixmapFragment)
    painter.drawPixmapFragments(cast(QPainter.PixmapFragment, first), len(at), stamps)


def _stamps(colours: Sequence[QColor], radius: float, ratio: float) -> tuple[QPixmap, int]:
    """One disc for each colour beside each other, and the width of each in pixels."""
    cell = int(np.ceil((2 * radius + 2) * ratio))
    stamps = QPixmap(cell * len(colours), cell)
    stamps.fill(Qt.GlobalColor.transparent)
    painter = QPainter(stamps)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    for number, colour in enumerate(colours):
        painter.setBrush(colour)
        painter.drawEllipse(QPointF((number + 0.5) * cell, cell / 2), radius * ratio, radius * ratio)
    painter.end()
    return stamps, cell


def arrows(painter: QPainter, colour: str, starts: Floats, ends: Floats) -> None:
    """An arrow for each pair of places [N, 2]; the longest ones if there are very many."""
    lengths = np.hypot(*(ends - starts).T)
    kept = np.argsort(-lengths)[:_MOST_ARROWS]
    kept = kept[lengths[kept] > 6]
    lines = []
    for (x1, y1), (x2, y2), length in zip(starts[kept], ends[kept], lengths[kept], strict=True):
        lines.append(QLineF(x1, y1, x2, y2))
        dx, dy = (x2 - x1) / length * 5, (y2 - y1) / length * 5
        lines.append(QLineF(x2, y2, x2 - dx - dy * 0.5, y2 - dy + dx * 0.5))
        lines.append(QLineF(x2, y2, x2 - dx + dy * 0.5, y2 - dy - dx * 0.5))
    faint = QColor(colour)
    faint.setAlphaF(0.55)
    painter.setPen(QPen(faint, 1))
    painter.drawLines(lines)


def thumbs(
    painter: QPainter, store: PictureStore, files: Sequence[Path], at: Floats, colours: Sequence[QColor]
) -> None:
    """Small pictures where there is room for them; the other points stay dots."""
    taken: list[QRectF] = []
    size = round(_THUMB * painter.device().devicePixelRatio())
    for file, (x, y), colour in zip(files, at, colours, strict=True):
        place = QRectF(x - _THUMB / 2, y - _THUMB / 2, _THUMB, _THUMB)
        core = place.adjusted(8, 8, -8, -8)
        if any(core.intersects(other) for other in taken):
            continue
        taken.append(core)
        outline = QPainterPath()
        outline.addRoundedRect(place, theme.RADIUS_SMALL, theme.RADIUS_SMALL)
        painter.fillPath(outline, QColor(theme.PAPER))
        _fit(painter, store.get(file, size), place)
        painter.setPen(QPen(colour, 2))
        painter.drawPath(outline)


def card(
    painter: QPainter, t: theme.Tokens, at: QPointF, bounds: QSize, picture: QPixmap | None, lines: Sequence[str]
) -> None:  # fmt: skip
    """A ring around a point, and beside it its picture and what is known about it, drawn as plain text."""
    painter.setPen(QPen(QColor(t.text), 1.5))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.drawEllipse(at, 7, 7)
    metrics = painter.fontMetrics()
    height = CARD + theme.S + len(lines) * (metrics.height() + 1) + theme.L
    left = at.x() + 14 if at.x() + CARD + 34 < bounds.width() else at.x() - CARD - 30
    top = max(6.0, min(at.y() - height / 2, bounds.height() - height - 6))
    painter.setPen(QPen(QColor(t.strong_line), 1))
    painter.setBrush(QColor(t.surface))
    painter.drawRoundedRect(QRectF(left, top, CARD + 16, height), theme.RADIUS, theme.RADIUS)
    paper = QRectF(left + 8, top + 8, CARD, CARD)
    painter.fillRect(paper, QColor(theme.PAPER))
    _fit(painter, picture, paper)
    row = QRectF(left + 8, paper.bottom() + theme.S, CARD, metrics.height())
    for number, line in enumerate(lines):
        painter.setPen(QColor(t.text if number == 0 else t.muted))
        mode = Qt.TextElideMode.ElideMiddle if number == 1 else Qt.TextElideMode.ElideRight
        painter.drawText(row, Qt.AlignmentFlag.AlignLeft, metrics.elidedText(line, mode, CARD))
        row.translate(0, metrics.height() + 1)


def _fit(painter: QPainter, pixmap: QPixmap | None, place: QRectF) -> None:
    if pixmap is None:
        return
    room = place.adjusted(3, 3, -3, -3)
    size = QSize(pixmap.size()).scaled(room.size().toSize(), Qt.AspectRatioMode.KeepAspectRatio)
    target = QRectF(0, 0, size.width(), size.height())
    target.moveCenter(room.center())
    painter.drawPixmap(target, pixmap, QRectF(pixmap.rect()))
