"""A note beside a control, with an arrow to it; it never lies on the control, nor on what else must stay free."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import QEvent, QObject, QPoint, QPointF, QRect, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QColor, QKeySequence, QPainter, QPainterPath, QPaintEvent, QPen, QShortcut
from PySide6.QtWidgets import QScrollArea, QWidget

from clip_atelier.engine.core import N_
from clip_atelier.gui import theme
from clip_atelier.gui.widgets.layout import column, row
from clip_atelier.gui.widgets.text import Button, Label

_WIDTH = 330
_ARROW = 12  # how far it reaches out of the note
_GAP = 4  # between its tip and the control
_EDGE = 8  # between the note and the window's edge
_MOVED = (
    QEvent.Type.Move, QEvent.Type.Resize, QEvent.Type.Show, QEvent.Type.Hide, QEvent.Type.LayoutRequest,
    QEvent.Type.ParentChange,
)  # fmt: skip


class Callout(QWidget):
    """The note: what it says, how far one is, and three buttons. It lies over everything else in its window.

    Args:
        window: The window, whose child it becomes.
        free: What it must not lie on, beside the control that it points at.
    """

    onward = Signal()
    back_wanted = Signal()
    left = Signal()

    def __init__(self, window: QWidget, free: Sequence[QWidget] = ()) -> None:
        super().__init__(window)
        self._window = window
        self._free = tuple(free)
        self._beside: tuple[QWidget, ...] = ()
        self._target: QWidget | None = None
        self._spare: Callable[[], QRect] | None = None
        self._watched: list[QWidget] = []
        self._tip = QPoint()
        self.title = Label(role="heading", wrap=True)
        self.text = Label(wrap=True)
        self.count = Label(role="caption")
        self.leave = Button(N_("Leave"), "quiet", tip=N_("End the tour; it can be started again (Esc)"))
        self.back = Button(N_("Back"), "plain")
        self.next = Button(N_("Next"), "primary")
        self.leave.clicked.connect(self.left)
        self.back.clicked.connect(self.back_wanted)
        self.next.clicked.connect(self.onward)
        layout = column(
            self.title, self.text, row(self.count, None, self.leave, self.back, self.next), gap=theme.S
        )
        edge = theme.L + _ARROW
        layout.setContentsMargins(edge, edge, edge, edge)
        self.setLayout(layout)
        keys = QShortcut(QKeySequence(Qt.Key.Key_Escape), self)
        keys.setContext(Qt.ShortcutContext.WindowShortcut)
        keys.activated.connect(self.left)
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(0)
        self._soon.timeout.connect(self.place)
        self.hide()

    def point_at(
        self,
        target: QWidget,
        beside: Sequence[QWidget] = (),
        spare: Callable[[], QRect] | None = None,
    ) -> None:
        """Stands beside a control from now on, and follows it.

        Args:
            target: The control.
            beside: What belongs to it: it is brought into view as well, and is not lain on where there is another place.
            spare: A part of the window where nothing is; the note goes there, without an arrow, if it is large enough.
        """
        self._spare = spare
        if target is not self._target:
            self._target = target
            self._beside = tuple(beside)
            self._watch(target)
            self._bring_back()
        self._soon.start()

    @property
    def target(self) -> QWidget | None:
        """The control that it points at."""
        return self._target

    @property
    def body(self) -> QRect:
        """The note without its arrow, in the window."""
        inset = _ARROW
        return self.geometry().adjusted(inset, inset, -inset, -inset)

    @property
    def tip(self) -> QPoint:
        """Where the arrow ends, in the window."""
        return self._tip

    def _watch(self, target: QWidget) -> None:
        for widget in self._watched:
            widget.removeEventFilter(self)
        self._watched = [target]
        above = target.parentWidget()
        while above is not None:
            self._watched.append(above)
            if above is self._window:
                break
            above = above.parentWidget()
        for widget in self._watched:
            widget.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Whatever moves the control, or anything around it, moves the note."""
        if event.type() == QEvent.Type.Resize and watched is self._window:
            QTimer.singleShot(0, self, self._bring_back)
        if event.type() in _MOVED:
            self._soon.start()
        return False

    def retranslate(self) -> None:
        """Other words need another size; they are said by the labels themselves."""
        self._soon.start()

    def _bring_back(self) -> None:
        if self._target is not None:
            for widget in (*self._beside, self._target):  # the control last: it is seen whatever else is not
                self._bring_into_view(widget)

    @staticmethod
    def _bring_into_view(target: QWidget) -> None:
        above = target.parentWidget()
        while above is not None:
            if isinstance(above, QScrollArea):
                above.ensureWidgetVisible(target)
            above = above.parentWidget()

    def place(self) -> None:
        """Finds a place beside the control. Where the control is not seen, neither is the note."""
        target = self._target
        if target is None or not target.isVisible():
            self.hide()
            return
        whole = self._window.rect().adjusted(_EDGE, _EDGE, -_EDGE, -_EDGE)
        at = self._seen(target)
        if at.isEmpty():  # scrolled away: the note waits in a corner, without an arrow
            at = QRect(whole.bottomRight(), QSize(1, 1))
        free = [QRect(w.mapTo(self._window, QPoint(0, 0)), w.size()) for w in self._free if w.isVisible()]
        taken = [at, *free, *(self._seen(widget) for widget in self._beside if widget.isVisible())]
        layout = self.layout()
        assert layout is not None
        if not self.isVisible():
            # A button that was hidden while the note was counts no more. Not each time: it makes the window lay itself out
            # anew, and that calls for a place again, without end.
            layout.invalidate()
        layout.activate()
        spare = self._in_spare()
        place = spare or self._best(at, whole, taken)
        body = place.adjusted(_ARROW, _ARROW, -_ARROW, -_ARROW)
        # From there the arrow would end at what lies between.
        tip = body.center() if spare else _nearest(at, body.center())
        if (place, tip) != (self.geometry(), self._tip):
            self.setGeometry(place)
            self._tip = tip
            self.update()
        self.raise_()
        self.show()

    def _seen(self, target: QWidget) -> QRect:
        """The part of a control that nothing around it hides, in the window."""
        part, above = target.rect(), target
        while above is not self._window:
            part = part.translated(above.pos())
            around = above.parentWidget()
            if around is None:
                break
            above = around
            part = part.intersected(above.rect())
        return part

    def _size(self, width: int) -> QSize:
        layout = self.layout()
        assert layout is not None
        outer = max(width + 2 * _ARROW, layout.totalMinimumSize().width())
        return QSize(outer, layout.totalHeightForWidth(outer))

    def _in_spare(self) -> QRect | None:
        if self._spare is None:
            return None
        room = self._spare().adjusted(
            -_ARROW, -_ARROW, _ARROW, _ARROW
        )  # what the arrow needs may reach out of it
        size = self._size(room.width() - 2 * _ARROW)
        fits = size.width() <= room.width() and size.height() <= room.height()
        return QRect(room.topLeft(), size) if fits else None

    def _best(self, at: QRect, whole: QRect, taken: Sequence[QRect]) -> QRect:
        """The first place that is whole and free; else the one that hides least."""
        found: list[tuple[int, QRect]] = []
        for width in (_WIDTH, _WIDTH + 130):
            size = self._size(width)
            for place in _places(at, size, _GAP):
                place = _within(place, whole.adjusted(-_ARROW, -_ARROW, _ARROW, _ARROW))
                body = place.adjusted(_ARROW, _ARROW, -_ARROW, -_ARROW)
                hidden = sum(_area(body.intersected(rect)) for rect in taken)
                if not hidden:
                    return place
                found.append((hidden, place))
        return min(found, key=lambda one: one[0])[1]

    def paintEvent(self, _event: QPaintEvent) -> None:
        t = theme.tokens(self.palette())
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        body = QRect(QPoint(0, 0), self.size()).adjusted(_ARROW, _ARROW, -_ARROW, -_ARROW)
        path = QPainterPath()
        path.addRoundedRect(body, theme.RADIUS, theme.RADIUS)
        tip = QPointF(self.mapFrom(self._window, self._tip))
        path = path.united(_arrow(body, tip))
        painter.setPen(QPen(QColor(t.accent), 1.5))
        painter.setBrush(QColor(t.surface))
        painter.drawPath(path)
        painter.end()


def _places(at: QRect, size: QSize, gap: int) -> list[QRect]:
    """Right of it, below, left, above: each near its middle. The arrow lies within the size."""
    # A little below the middle at the side: words mostly stand above the control that they are about.
    x, y = at.center().x() - size.width() // 2, at.center().y() - size.height() // 3
    corners = (
        (at.right() + gap, y), (x, at.bottom() + gap),
        (at.left() - size.width() - gap, y), (x, at.top() - size.height() - gap),
    )  # fmt: skip
    return [QRect(QPoint(*corner), size) for corner in corners]


def _within(place: QRect, whole: QRect) -> QRect:
    left = max(whole.left(), min(place.left(), whole.right() - place.width()))
    top = max(whole.top(), min(place.top(), whole.bottom() - place.height()))
    return QRect(QPoint(left, top), place.size())


def _area(rect: QRect) -> int:
    return 0 if rect.isEmpty() else rect.width() * rect.height()


def _nearest(rect: QRect, to: QPoint) -> QPoint:
    """The point of a rectangle that is nearest."""
    return QPoint(
        max(rect.left(), min(to.x(), rect.right())), max(rect.top(), min(to.y(), rect.bottom()))
    )  # fmt: skip


def _arrow(body: QRect, towards: QPointF) -> QPainterPath:
    """A short triangle out of the side that faces a point; none where the point lies within."""
    path = QPainterPath()
    middle = QPointF(body.center())
    across = abs(towards.x() - middle.x()) - body.width() / 2
    down = abs(towards.y() - middle.y()) - body.height() / 2
    if across <= 0 and down <= 0:
        return path
    half, room = 9.0, theme.RADIUS + 10.0
    if across > down:
        right = towards.x() > middle.x()
        side = float(body.right() - 1 if right else body.left() + 1)
        at = min(max(towards.y(), body.top() + room), body.bottom() - room)
        tip = QPointF(side + (_ARROW if right else -_ARROW), at)
        ends = (QPointF(side, at - half), QPointF(side, at + half))
    else:
        below = towards.y() > middle.y()
        side = float(body.bottom() - 1 if below else body.top() + 1)
        at = min(max(towards.x(), body.left() + room), body.right() - room)
        tip = QPointF(at, side + (_ARROW if below else -_ARROW))
        ends = (QPointF(at - half, side), QPointF(at + half, side))
    path.moveTo(ends[0])
    path.lineTo(tip)
    path.lineTo(ends[1])
    path.closeSubpath()
    return path
