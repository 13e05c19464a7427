"""Small pictures of two ideas: DoRA's length and direction apart, and rsLoRA's scale that holds over ranks."""

from __future__ import annotations

import math
from typing import Final

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFontMetricsF, QPainter, QPainterPath, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from clip_atelier.engine.core import _
from clip_atelier.gui import theme

IDEAS: Final = ("lora.use_dora", "lora.use_rslora")
"""Settings that have a picture."""
_RANKS: Final = 64
_EDGE: Final = 14.0


class IdeaPicture(QWidget):
    """The picture of a setting; hidden for one that has none."""

    def __init__(self) -> None:
        super().__init__()
        self.idea = ""
        self.rank, self.alpha = 8, 16.0
        self.setSizePolicy(QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed))
        self.hide()

    def sizeHint(self) -> QSize:
        return QSize(280, round(130 + 2 * QFontMetricsF(self.font()).height()))

    def show_idea(self, setting: str, rank: int, alpha: float) -> None:
        """Draws the picture of a setting for the rank and scale that are chosen."""
        self.idea = setting if setting in IDEAS else ""
        self.rank, self.alpha = max(1, rank), alpha
        self.setVisible(bool(self.idea))
        self.retranslate()
        self.update()

    def retranslate(self) -> None:
        """The picture in words, for screen readers, in the current language."""
        told = {
            "lora.use_dora": _(
                "A row w of the matrix is turned by Δw, and then given a length m of its own that is learned too."
            ),
            "lora.use_rslora": _(
                "Over the rank r: the usual scale α/r falls fast, the rank-stabilised α/√r slowly."
            ),
        }
        self.setAccessibleName(told.get(self.idea, ""))
        self.setToolTip(told.get(self.idea, ""))

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if self.idea == "lora.use_dora":
            self._turned(painter)
        elif self.idea == "lora.use_rslora":
            self._scales(painter)
        painter.end()

    def _turned(self, painter: QPainter) -> None:
        t = theme.tokens(self.palette())
        start = QPointF(_EDGE, self.height() - _EDGE)
        reach = min(self.width() * 0.55, self.height() - 3 * _EDGE)
        angles = math.radians(18), math.radians(50)
        w, turned = (
            start + QPointF(math.cos(a) * length, -math.sin(a) * length)
            for a, length in zip(angles, (reach, reach * 1.12), strict=True)
        )
        ray = turned - start
        m = start + ray * 0.72
        # All lengths that a row can have in its new direction
        painter.setPen(QPen(QColor(t.strong_line), 1, Qt.PenStyle.DotLine))
        painter.drawLine(start, start + ray * 1.25)
        _arrow(painter, start, w, t.base, 2)
        _arrow(painter, w, turned, t.accent, 2)
        _arrow(painter, start, m, t.gain, 4)
        for place, text, colour in (
            (w + QPointF(6, 4), "w", t.muted),
            ((w + turned) / 2 + QPointF(8, 0), "Δw = α/r · B·A", t.accent),
            (m + QPointF(-10, -12), "m", t.gain),
            (start + ray * 1.25 + QPointF(6, 6), "(w + Δw) / ‖w + Δw‖", t.muted),
        ):
            painter.setPen(QColor(colour))
            painter.drawText(place, text)

    def _scales(self, painter: QPainter) -> None:
        t = theme.tokens(self.palette())
        line = QFontMetricsF(self.font()).height()
        area = QRectF(_EDGE + 4, 6, self.width() - 2 * _EDGE - 58, self.height() - line - 14)
        painter.setPen(QPen(QColor(t.strong_line), 1))
        painter.drawLine(area.bottomLeft(), area.bottomRight())
        painter.drawLine(area.bottomLeft(), area.topLeft())
        most = max(float(_RANKS), float(self.rank))

        def at(rank: float, power: float) -> QPointF:
            return QPointF(
                area.left() + area.width() * rank / most, area.bottom() - area.height() * rank**-power
            )

        for power, text, colour in ((1.0, "α/r", t.base), (0.5, "α/√r", t.accent)):
            path = QPainterPath(at(1, power))
            for step in range(1, 121):
                path.lineTo(at(1 + (most - 1) * step / 120, power))
            painter.setPen(QPen(QColor(colour), 2))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawPath(path)
            here = at(self.rank, power)
            painter.setBrush(QColor(colour))
            painter.drawEllipse(here, 4, 4)
            painter.setPen(QColor(t.text if colour == t.base else colour))
            value = f"{text} = {self.alpha * self.rank**-power:.3g}"
            advance = QFontMetricsF(self.font()).horizontalAdvance(value)
            left = min(here.x() + 8, self.width() - advance - 2)
            painter.drawText(QPointF(left, here.y() - (8 if power == 0.5 else 5)), value)
        painter.setPen(QColor(t.muted))
        painter.drawText(QPointF(area.right() + 6, area.bottom() + 4), "r")
        painter.drawText(QPointF(at(self.rank, 1).x() - 6, area.bottom() + line), f"{self.rank}")


def _arrow(painter: QPainter, start: QPointF, end: QPointF, colour: str, width: int) -> None:
    painter.setPen(QPen(QColor(colour), width, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
    painter.drawLine(start, end)
    along = math.atan2(end.y() - start.y(), end.x() - start.x())
    for side in (-2.6, 2.6):
        barb = QPointF(math.cos(along + side), math.sin(along + side)) * 9.0
        painter.drawLine(end, end + barb)
