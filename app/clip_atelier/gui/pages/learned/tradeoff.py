"""Gained against forgotten as a path over strengths: up is better on your drawings, right is better elsewhere."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QHelpEvent, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from clip_atelier.engine.core import N_, _
from clip_atelier.gui import theme
from clip_atelier.gui.widgets.text import plain_tooltip

if TYPE_CHECKING:
    from clip_atelier.engine.evaluation import SweepPoint
    from clip_atelier.engine.runs import Difference

_LEFT, _BOTTOM, _TOP, _RIGHT = 52, 40, 14, 18
_HEAD = 5.0


class Tradeoff(QWidget):
    """Draws `engine.dial.curve`'s points. Strength 0 is a hollow ring, the recommended one a filled one, named."""

    def __init__(self) -> None:
        super().__init__()
        self._points: Sequence[SweepPoint] = ()
        self._best = 0.0
        self._elsewhere = "R@1"
        self._now: float | None = None
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(300, 220)

    def show_points(self, points: Sequence[SweepPoint], best: float, elsewhere: str = "R@1") -> None:
        """Shows another curve; `elsewhere` is what is measured on general drawings."""
        self._points = points
        self._best = best
        self._elsewhere = elsewhere
        self.setAccessibleName(_("Gained against forgotten"))
        self.setAccessibleDescription("\n".join(self._told(p) for p in points))
        self.update()

    def show_now(self, strength: float) -> None:
        """Puts a ring around the strength that the dial stands at, where it was measured."""
        self._now = strength
        self.update()

    def retranslate(self) -> None:
        """The words in the current language."""
        self.show_points(self._points, self._best, self._elsewhere)

    def _told(self, point: SweepPoint) -> str:
        return _("strength {strength:g}: {gained:.3f} on your drawings, {forgotten:.3f} on general ones").format(
            strength=point.strength, gained=point.gained or 0.0, forgotten=point.forgotten or 0.0
        )  # fmt: skip

    # Where things are

    def _range(self, key: str) -> tuple[float, float]:
        values = [float(getattr(p, key) or 0.0) for p in self._points]
        # A span of a few questions must not look like a mountain.
        middle, half = (max(values) + min(values)) / 2, max(0.05, (max(values) - min(values)) * 0.65)
        low, high = middle - half, middle + half
        if low < 0:
            low, high = 0.0, high - low
        if high > 1:
            low, high = max(0.0, low - (high - 1)), 1.0
        return low, high

    def _places(self) -> list[QPointF]:
        return [self._place(point) for point in self._points]

    def _place(self, point: SweepPoint) -> QPointF:
        (left, right), (low, high) = self._range("forgotten"), self._range("gained")
        room = self._room()
        return QPointF(
            room.left() + ((point.forgotten or 0.0) - left) / (right - left) * room.width(),
            room.bottom() - ((point.gained or 0.0) - low) / (high - low) * room.height(),
        )

    def _room(self) -> QRectF:
        return QRectF(self.rect()).adjusted(_LEFT, _TOP, -_RIGHT, -_BOTTOM)

    # Drawing

    def paintEvent(self, _event: QPaintEvent) -> None:
        t = theme.tokens(self.palette())
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        small = QFont(self.font())
        small.setPixelSize(theme.CAPTION - 1)
        painter.setFont(small)
        if self._points:
            self._axes(painter, t)
            self._path(painter, t)
        painter.end()

    def _axes(self, painter: QPainter, t: theme.Tokens) -> None:
        room = self._room()
        (left, right), (low, high) = self._range("forgotten"), self._range("gained")
        for value in _ticks(low, high):
            y = room.bottom() - (value - low) / (high - low) * room.height()
            painter.setPen(QPen(QColor(t.line), 1))
            painter.drawLine(QPointF(room.left(), y), QPointF(room.right(), y))
            painter.setPen(QColor(t.muted))
            place = QRectF(room.left() - 40, y - 8, 34, 16)
            painter.drawText(
                place, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, f"{value:.2f}"
            )
        for value in _ticks(left, right):
            x = room.left() + (value - left) / (right - left) * room.width()
            painter.setPen(QPen(QColor(t.line), 1))
            painter.drawLine(QPointF(x, room.top()), QPointF(x, room.bottom()))
            painter.setPen(QColor(t.muted))
            painter.drawText(
                QRectF(x - 24, room.bottom() + 4, 48, 14), Qt.AlignmentFlag.AlignCenter, f"{value:.2f}"
            )
        painter.setPen(QColor(t.muted))
        below = QRectF(room.left(), room.bottom() + 20, room.width(), 16)
        painter.drawText(
            below,
            Qt.AlignmentFlag.AlignCenter,
            _("{metric} on general drawings").format(metric=self._elsewhere),
        )
        painter.save()
        painter.translate(11, room.center().y())
        painter.rotate(-90)
        beside = QRectF(-room.height() / 2, -8, room.height(), 16)
        painter.drawText(beside, Qt.AlignmentFlag.AlignCenter, _("R@1 on your drawings"))
        painter.restore()

    def _path(self, painter: QPainter, t: theme.Tokens) -> None:
        places = self._places()
        self._doubt(painter, t)
        painter.setPen(QPen(QColor(t.accent), 1))
        painter.drawPolyline(QPolygonF(places))
        # A name must not cover a point, nor another name.
        taken = [QRectF(p.x() - 6, p.y() - 6, 12, 12) for p in places]
        for start, end in itertools.pairwise(places):
            steps = int(math.hypot(end.x() - start.x(), end.y() - start.y()) // 6)
            for step in range(1, steps):
                on = start + (end - start) * (step / steps)
                taken.append(QRectF(on.x() - 1, on.y() - 1, 2, 2))
        order = sorted(range(len(places)), key=lambda n: self._points[n].strength not in (0.0, self._best))
        for n in order:
            strength = self._points[n].strength
            chosen, base = strength == self._best, strength == 0.0
            painter.setPen(QPen(QColor(t.base if base else t.accent), 2 if base or chosen else 1))
            painter.setBrush(QColor(t.surface if base and not chosen else t.gain if chosen else t.accent))
            painter.drawEllipse(places[n], *((_HEAD + 1,) * 2 if base or chosen else (_HEAD - 1.5,) * 2))
            if strength == self._now:
                painter.setPen(QPen(QColor(t.accent), 1.5))
                painter.setBrush(Qt.BrushStyle.NoBrush)
                painter.drawEllipse(places[n], _HEAD + 5, _HEAD + 5)
            words = f"{strength:g}"
            if base:
                words = _("{strength} untouched base").format(strength=words)
            if chosen:
                words = _("{strength} recommended").format(strength=words)
            self._name(painter, t, places[n], words, taken, strong=base or chosen)

    def _doubt(self, painter: QPainter, t: theme.Tokens) -> None:
        """A cross as long as the 95 % interval of the recommended strength's difference to the base."""
        base = next((p for p in self._points if p.strength == 0), None)
        best = next((p for p in self._points if p.strength == self._best), None)
        if base is None or best is None or best is base:
            return
        colour = QColor(t.gain)
        colour.setAlphaF(0.55)
        painter.setPen(QPen(colour, 1))
        painter.save()
        painter.setClipRect(self._room())
        for key in ("gained", "forgotten"):
            change: Difference = getattr(best, f"{key}_difference")
            if change.low is not None and change.high is not None:
                level = float(getattr(base, key) or 0.0)
                ends = (best.model_copy(update={key: level + end}) for end in (change.low, change.high))
                painter.drawLine(*map(self._place, ends))
        painter.restore()

    def _name(
        self,
        painter: QPainter,
        t: theme.Tokens,
        at: QPointF,
        words: str,
        taken: list[QRectF],
        *,
        strong: bool,
    ) -> None:
        """Writes a point's strength beside it where there is room; small ones are left out where there is none."""
        width = painter.fontMetrics().horizontalAdvance(words) + 4
        sides = ((10, -8), (-10 - width, -8), (-width / 2, -26), (-width / 2, 10))
        bounds = QRectF(self.rect())
        spots = [QRectF(at.x() + x, at.y() + y, width, 16) for x, y in sides]
        inside = [spot for spot in spots if bounds.contains(spot)] or spots[:1]
        crowded = [sum(spot.intersects(other) for other in taken) for spot in inside]
        if min(crowded) and not strong:
            return
        spot = inside[crowded.index(min(crowded))]
        taken.append(spot)
        painter.setPen(QColor(t.text if strong else t.muted))
        painter.drawText(spot, Qt.AlignmentFlag.AlignCenter, words)

    def event(self, event: object) -> bool:
        """Tells a point's numbers under the pointer."""
        if isinstance(event, QHelpEvent):
            for place, point in zip(self._places(), self._points, strict=True):
                if math.hypot(place.x() - event.pos().x(), place.y() - event.pos().y()) < 9:
                    QToolTip.showText(event.globalPos(), plain_tooltip(self._told(point)), self)
                    return True
            QToolTip.hideText()
            return True
        return super().event(event)  # type: ignore[arg-type]


def _ticks(low: float, high: float) -> list[float]:
    """Three to six round numbers between two ends."""
    step = next(s for s in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5) if (high - low) / s <= 6)
    first = math.ceil(low / step - 1e-9)
    return [n * step for n in range(first, math.floor(high / step + 1e-9) + 1)]


HINT = N_(
    "Up: more of your drawings found at once. To the left: more forgotten elsewhere. The cross is the 95 % interval of "
    "the recommended strength."
)
