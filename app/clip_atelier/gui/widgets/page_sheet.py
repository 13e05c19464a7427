"""A photographed page with its four corners and the drawings on it, which can be moved by mouse and by keyboard."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QImage,
    QKeyEvent,
    QKeySequence,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPolygonF,
    QTransform,
)
from PySide6.QtWidgets import QSizePolicy, QWidget

from clip_atelier.engine.core import N_
from clip_atelier.gui import theme
from clip_atelier.gui.widgets.page_shapes import LEAST, inside, is_convex, large_enough
from clip_atelier.gui.widgets.text import SpokenName

_REACH: Final = 12.0  # pixels around a corner or an edge that count as it
_STEP, _LARGE_STEP = 0.004, 0.03
_KEPT: Final = 200
_KEYS: Final = {
    Qt.Key.Key_Left: (-1.0, 0.0), Qt.Key.Key_Right: (1.0, 0.0), Qt.Key.Key_Up: (0.0, -1.0), Qt.Key.Key_Down: (0.0, 1.0),
}  # fmt: skip

Marks = tuple[tuple[QPointF, ...], tuple[QRectF, ...]]
"""Corners in parts of the picture, and boxes in parts of the page."""


class PageSheet(QWidget):
    """Corners are numbered 0 to 3 from the upper left one clockwise; the boxes come after them."""

    corners_moved = Signal()
    boxes_moved = Signal()
    chosen_changed = Signal(int)  # the box that is chosen, -1 for none

    def __init__(self) -> None:
        super().__init__()
        self._image = QImage()
        self._corners: list[QPointF] = []
        self._boxes: list[QRectF] = []
        self._chosen = -1
        self._done: list[Marks] = []
        self._undone: list[Marks] = []
        self._before: Marks | None = None
        self._hold: tuple[str, int, QPointF] | None = None
        self._edges = (False, False, False, False)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setMinimumSize(260, 260)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        SpokenName(
            self,
            N_(
                "Page: space goes from corner to corner and drawing to drawing, arrows move, Insert adds, Delete removes"
            ),
        )

    def sizeHint(self) -> QSize:
        return QSize(520, 560)

    # What is shown

    def show_page(
        self, image: QImage, corners: Sequence[tuple[float, float]], boxes: Sequence[tuple[float, ...]]
    ) -> None:
        """Shows a page anew; what was done on another one is forgotten."""
        self._image = image
        self._corners = [QPointF(x, y) for x, y in corners]
        self._boxes = [QRectF(QPointF(x0, y0), QPointF(x1, y1)) for x0, y0, x1, y1 in boxes]
        self._done.clear()
        self._undone.clear()
        self._hold = None
        self._choose(-1)
        self.update()

    def clear(self) -> None:
        """Shows nothing."""
        self.show_page(QImage(), (), ())

    def replace_boxes(self, boxes: Sequence[tuple[float, ...]]) -> None:
        """Puts other boxes in the place of those that are there, in one step that can be taken back."""
        self._remember()
        self._boxes = [QRectF(QPointF(x0, y0), QPointF(x1, y1)) for x0, y0, x1, y1 in boxes]
        self._choose(-1)
        self.update()

    @property
    def corners(self) -> tuple[tuple[float, float], ...]:
        """In parts of the picture's sides."""
        return tuple((point.x(), point.y()) for point in self._corners)

    @property
    def boxes(self) -> tuple[tuple[float, float, float, float], ...]:
        """Left, top, right, bottom, in parts of the page's sides."""
        return tuple((box.left(), box.top(), box.right(), box.bottom()) for box in self._boxes)

    @property
    def chosen(self) -> int:
        """The box that is chosen, -1 for none."""
        return self._chosen - 4 if self._chosen >= 4 else -1

    def choose_box(self, number: int) -> None:
        """Chooses a box."""
        if number != self.chosen:
            self._choose(number + 4 if 0 <= number < len(self._boxes) else -1)

    def _choose(self, which: int) -> None:
        self._chosen = which
        self.chosen_changed.emit(self.chosen)
        self.update()

    # What can be done

    def add_box(self) -> None:
        """Adds a box in the middle of the page, to be moved to its place."""
        if self._corners:
            self._remember()
            self._boxes.append(QRectF(0.35, 0.35, 0.3, 0.3))
            self._choose(3 + len(self._boxes))
            self.boxes_moved.emit()

    def remove_box(self) -> None:
        """Removes the chosen box; the next one is chosen."""
        number = self.chosen
        if number >= 0:
            self._remember()
            del self._boxes[number]
            self._choose(min(number, len(self._boxes) - 1) + 4 if self._boxes else -1)
            self.boxes_moved.emit()

    @property
    def can_undo(self) -> bool:
        """Whether something can be taken back."""
        return bool(self._done)

    @property
    def can_redo(self) -> bool:
        """Whether something that was taken back can be done again."""
        return bool(self._undone)

    def undo(self) -> None:
        """Takes back what was done last."""
        self._turn(self._done, self._undone)

    def redo(self) -> None:
        """Does again what was taken back."""
        self._turn(self._undone, self._done)

    def _now(self) -> Marks:
        return tuple(QPointF(point) for point in self._corners), tuple(QRectF(box) for box in self._boxes)

    def _remember(self, before: Marks | None = None) -> None:
        self._done.append(before or self._now())
        del self._done[:-_KEPT]
        self._undone.clear()

    def _turn(self, taken: list[Marks], kept: list[Marks]) -> None:
        if not taken or self._hold is not None:
            return
        before = self._now()
        kept.append(before)
        corners, boxes = taken.pop()
        self._corners, self._boxes = list(corners), list(boxes)
        self._choose(-1)
        (self.corners_moved if corners != before[0] else self.boxes_moved).emit()

    # From the picture to the widget and back

    def _target(self) -> QRectF:
        room = QRectF(self.rect()).adjusted(_REACH, _REACH, -_REACH, -_REACH)
        size = self._image.size().scaled(room.size().toSize(), Qt.AspectRatioMode.KeepAspectRatio)
        found = QRectF(0, 0, max(size.width(), 1), max(size.height(), 1))
        found.moveCenter(room.center())
        return found

    def _seen_corners(self) -> list[QPointF]:
        target = self._target()
        return [
            QPointF(target.left() + p.x() * target.width(), target.top() + p.y() * target.height())
            for p in self._corners
        ]

    def _to_widget(self) -> QTransform:
        made = QTransform.squareToQuad(QPolygonF(self._seen_corners()))
        return made if isinstance(made, QTransform) else QTransform()

    def _on_page(self, at: QPointF) -> QPointF:
        back, possible = self._to_widget().inverted()
        return back.map(at) if possible else QPointF(-1, -1)

    def corner_at(self, number: int) -> QPointF:
        """Where a corner is seen on the widget."""
        return self._seen_corners()[number]

    def point_at(self, x: float, y: float) -> QPointF:
        """Where a point of the page is seen on the widget."""
        return self._to_widget().map(QPointF(x, y))

    # The mouse

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Takes hold of a corner, of a drawing's edge, of a drawing, or begins a new one."""
        if event.button() != Qt.MouseButton.LeftButton or not self._corners:
            return
        at = event.position()
        self._before = self._now()
        kind, number = self._under(at)
        start = self._on_page(at)
        if kind == "page":
            self._boxes.append(QRectF(start, start))
            kind, number = "new", len(self._boxes) - 1
        self._hold = (kind, number, start) if kind else None
        self._choose({"corner": number, "": -1}.get(kind, number + 4))

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Moves what is held; else the pointer tells what can be taken hold of."""
        at = event.position()
        if self._hold is None:
            kind, _number = self._under(at) if self._corners else ("", -1)
            shapes = {
                "corner": Qt.CursorShape.SizeAllCursor,
                "box": Qt.CursorShape.OpenHandCursor,
                "edge": Qt.CursorShape.SizeFDiagCursor,
            }
            self.setCursor(
                shapes.get(kind, Qt.CursorShape.CrossCursor if kind else Qt.CursorShape.ArrowCursor)
            )
            return
        kind, number, start = self._hold
        if kind == "corner":
            target = self._target()
            self._put_corner(
                number,
                QPointF((at.x() - target.left()) / target.width(), (at.y() - target.top()) / target.height()),
            )
        else:
            place = self._on_page(at)
            place = QPointF(min(max(place.x(), 0.0), 1.0), min(max(place.y(), 0.0), 1.0))
            if kind == "new":
                self._boxes[number] = QRectF(start, place).normalized()
            elif kind == "edge":
                self._boxes[number] = self._stretched(self._boxes[number], place)
            else:
                self._boxes[number] = inside(self._boxes[number].translated(place - start))
                self._hold = kind, number, place
        self.update()

    def mouseReleaseEvent(self, _event: QMouseEvent) -> None:
        """Lets go."""
        if self._hold is None:
            return
        kind, number, _start = self._hold
        self._hold = None
        if kind == "new" and not large_enough(self._boxes[number]):
            del self._boxes[number]
            self._choose(-1)
        if kind == "edge":
            self._boxes[number] = self._boxes[number].normalized()
        if self._before is not None and self._now() != self._before:
            self._remember(self._before)
            (self.corners_moved if kind == "corner" else self.boxes_moved).emit()
        self.update()

    def _under(self, at: QPointF) -> tuple[str, int]:
        """What lies under the pointer: a corner, the edge of a box, a box, the page, or nothing."""
        for number, corner in enumerate(self._seen_corners()):
            if (corner - at).manhattanLength() <= 1.5 * _REACH:
                return "corner", number
        place = self._on_page(at)
        near = self._on_page(at + QPointF(_REACH / 2, _REACH / 2)) - place
        reach = max(abs(near.x()), 0.002), max(abs(near.y()), 0.002)
        order = sorted(
            range(len(self._boxes)),
            key=lambda n: (n != self.chosen, self._boxes[n].width() * self._boxes[n].height()),
        )
        for number in order:
            box = self._boxes[number]
            if not box.adjusted(-reach[0], -reach[1], reach[0], reach[1]).contains(place):
                continue
            self._edges = (
                abs(place.x() - box.left()) <= reach[0], abs(place.y() - box.top()) <= reach[1],
                abs(place.x() - box.right()) <= reach[0], abs(place.y() - box.bottom()) <= reach[1],
            )  # fmt: skip
            return ("edge" if any(self._edges) else "box"), number
        return ("page", -1) if QRectF(0, 0, 1, 1).contains(place) else ("", -1)

    def _stretched(self, box: QRectF, place: QPointF) -> QRectF:
        left, top, right, bottom = self._edges
        made = QRectF(box)
        if left:
            made.setLeft(min(place.x(), box.right() - LEAST))
        elif right:
            made.setRight(max(place.x(), box.left() + LEAST))
        if top:
            made.setTop(min(place.y(), box.bottom() - LEAST))
        elif bottom:
            made.setBottom(max(place.y(), box.top() + LEAST))
        return made

    def _put_corner(self, number: int, place: QPointF) -> None:
        moved = list(self._corners)
        moved[number] = QPointF(min(max(place.x(), 0.0), 1.0), min(max(place.y(), 0.0), 1.0))
        if is_convex(moved):
            self._corners = moved

    # The keyboard

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Space goes on, arrows move (Shift: further, Ctrl: the size of a box), Insert adds, Delete removes."""
        key = Qt.Key(event.key())
        if event.matches(QKeySequence.StandardKey.Undo):
            self.undo()
        elif event.matches(QKeySequence.StandardKey.Redo):
            self.redo()
        elif key == Qt.Key.Key_Space and self._corners:
            back = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
            self._choose((self._chosen + (-1 if back else 1)) % (4 + len(self._boxes)))
        elif key == Qt.Key.Key_Insert:
            self.add_box()
        elif key in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace) and self.chosen >= 0:
            self.remove_box()
        elif key in _KEYS and self._chosen >= 0:
            self._nudge(*_KEYS[key], event.modifiers())
        else:
            super().keyPressEvent(event)

    def _nudge(self, x: float, y: float, keys: Qt.KeyboardModifier) -> None:
        step = _LARGE_STEP if keys & Qt.KeyboardModifier.ShiftModifier else _STEP
        before = self._now()
        if self._chosen < 4:
            self._put_corner(self._chosen, self._corners[self._chosen] + QPointF(x * step, y * step))
        elif keys & Qt.KeyboardModifier.ControlModifier:
            box = self._boxes[self.chosen].adjusted(0, 0, x * step, y * step)
            if large_enough(box):
                self._boxes[self.chosen] = box.intersected(QRectF(0, 0, 1, 1))
        else:
            self._boxes[self.chosen] = inside(self._boxes[self.chosen].translated(x * step, y * step))
        if self._now() != before:
            self._remember(before)
            self.update()
            (self.corners_moved if self._chosen < 4 else self.boxes_moved).emit()

    # Painting

    def paintEvent(self, _event: QPaintEvent) -> None:
        t = theme.tokens(self.palette())
        painter = QPainter(self)
        painter.setRenderHints(QPainter.RenderHint.Antialiasing | QPainter.RenderHint.SmoothPixmapTransform)
        if self.hasFocus():
            painter.setPen(QPen(QColor(t.accent), 1.5))
            painter.drawRoundedRect(QRectF(self.rect()).adjusted(1, 1, -1, -1), theme.RADIUS, theme.RADIUS)
        if not self._image.isNull():
            painter.drawImage(self._target(), self._image)
        if self._corners:
            quad = self._seen_corners()
            # Two lines, so that a frame is seen on dark and on light pages.
            self._outline(painter, QPolygonF(quad), t.accent, 2.0)
            place = self._to_widget()
            for number, box in enumerate(self._boxes):
                chosen = number == self.chosen
                self._outline(
                    painter, place.map(QPolygonF(box)), t.accent if chosen else t.gain, 3.0 if chosen else 1.5
                )
            for number, corner in enumerate(quad):
                painter.setPen(QPen(QColor(theme.PAPER), 2))
                painter.setBrush(QColor(t.accent if number != self._chosen else t.warning))
                painter.drawEllipse(corner, 7.0, 7.0)
                painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.end()

    @staticmethod
    def _outline(painter: QPainter, shape: QPolygonF, colour: str, width: float) -> None:
        painter.setPen(QPen(QColor(theme.PAPER), width + 2))
        painter.drawPolygon(shape)
        painter.setPen(QPen(QColor(colour), width))
        painter.drawPolygon(shape)
