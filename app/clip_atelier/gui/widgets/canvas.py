"""A sheet to draw on: mouse, or a pen with its pressure; undo and clear."""

from __future__ import annotations

import itertools

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QImage,
    QKeyEvent,
    QKeySequence,
    QMouseEvent,
    QPainter,
    QPainterPath,
    QPaintEvent,
    QPen,
    QTabletEvent,
)
from PySide6.QtWidgets import QSizePolicy, QWidget

from clip_atelier.gui import theme

_SIDE = 448  # of the picture handed on; models look at less
_MOST_STROKES = 2000

Point = tuple[QPointF, float]


class Canvas(QWidget):
    """White paper and black ink; `drawn` tells after each stroke."""

    drawn = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._strokes: list[list[Point]] = []
        self._done: list[list[list[Point]]] = []  # the sheet before each thing that was done
        self._undone: list[list[list[Point]]] = []
        self._pen_down = False
        self._by_tablet = False
        self.width_of_pen = 6.0  # in parts of a sheet 448 wide
        self.setCursor(Qt.CursorShape.CrossCursor)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.setFixedSize(232, 232)

    def sizeHint(self) -> QSize:
        return QSize(232, 232)

    @property
    def empty(self) -> bool:
        """Whether nothing was drawn."""
        return not self._strokes

    def undo(self) -> None:
        """Takes back what was done last: a stroke, or a fresh sheet."""
        self._turn(self._done, self._undone)

    def redo(self) -> None:
        """Does again what was taken back."""
        self._turn(self._undone, self._done)

    def clear(self) -> None:
        """Takes a fresh sheet."""
        if self._strokes:
            self._remember()
            self._strokes = []
            self.update()
            self.drawn.emit()

    def _remember(self) -> None:
        """Keeps the sheet as it is now, to come back to; strokes once drawn never change."""
        self._done.append(list(self._strokes))
        self._undone.clear()

    def _turn(self, taken: list[list[list[Point]]], kept: list[list[list[Point]]]) -> None:
        if taken and not self._pen_down:
            kept.append(list(self._strokes))
            self._strokes = taken.pop()
            self.update()
            self.drawn.emit()

    def picture(self) -> QImage:
        """What was drawn, as a square picture."""
        image = QImage(_SIDE, _SIDE, QImage.Format.Format_RGB888)
        image.fill(QColor(theme.PAPER))
        painter = QPainter(image)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.scale(_SIDE, _SIDE)
        self._draw(painter)
        painter.end()
        return image

    # Drawing: points are kept in parts of the sheet, so that the picture does not depend on its size on the screen.

    def _draw(self, painter: QPainter) -> None:
        for stroke in self._strokes:
            for (start, before), (end, after) in itertools.pairwise(stroke):
                width = self.width_of_pen / _SIDE * (0.35 + 0.65 * (before + after) / 2)
                painter.setPen(QPen(QColor(theme.INK), width, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
                painter.drawLine(start, end)
            if len(stroke) == 1:
                painter.setPen(Qt.PenStyle.NoPen)
                painter.setBrush(QColor(theme.INK))
                radius = self.width_of_pen / _SIDE / 2
                painter.drawEllipse(stroke[0][0], radius, radius)

    def _begin(self, at: QPointF, pressure: float) -> None:
        if len(self._strokes) < _MOST_STROKES:
            self._remember()
            self._strokes.append([(self._part(at), pressure)])
            self._pen_down = True
            self.update()

    def _go(self, at: QPointF, pressure: float) -> None:
        if self._pen_down:
            self._strokes[-1].append((self._part(at), pressure))
            self.update()

    def _end(self) -> None:
        if self._pen_down:
            self._pen_down = False
            self.drawn.emit()

    def _part(self, at: QPointF) -> QPointF:
        return QPointF(at.x() / max(self.width(), 1), at.y() / max(self.height(), 1))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Ctrl+Z takes the last stroke away, Ctrl+Shift+Z or Ctrl+Y brings it back."""
        if event.matches(QKeySequence.StandardKey.Undo):
            self.undo()
        elif event.matches(QKeySequence.StandardKey.Redo):
            self.redo()
        else:
            super().keyPressEvent(event)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """The pen touches the paper."""
        if event.button() == Qt.MouseButton.LeftButton and not self._by_tablet:
            self._begin(event.position(), 1.0)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """The pen moves."""
        if not self._by_tablet:
            self._go(event.position(), 1.0)

    def mouseReleaseEvent(self, _event: QMouseEvent) -> None:
        """The pen leaves the paper."""
        if not self._by_tablet:
            self._end()

    def tabletEvent(self, event: QTabletEvent) -> None:
        """A pen with pressure."""
        kind = event.type()
        if kind == QEvent.Type.TabletPress:
            self._by_tablet = True
            self._begin(event.position(), event.pressure())
        elif kind == QEvent.Type.TabletMove:
            self._go(event.position(), event.pressure())
        elif kind == QEvent.Type.TabletRelease:
            self._end()
            self._by_tablet = False
        event.accept()

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        sheet = QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5)
        outline = QPainterPath()
        outline.addRoundedRect(sheet, theme.RADIUS, theme.RADIUS)
        painter.fillPath(outline, QColor(theme.PAPER))
        painter.save()
        painter.setClipPath(outline)
        painter.scale(self.width(), self.height())
        self._draw(painter)
        painter.restore()
        t = theme.tokens(self.palette())
        painter.setPen(QPen(QColor(t.accent if self.hasFocus() else t.strong_line), 1))
        painter.drawPath(outline)
        painter.end()
