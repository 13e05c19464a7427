"""Rows, columns, cards and a layout that wraps: one way to place things."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QEvent, QObject, QPoint, QRect, QSize, Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import (
    QBoxLayout,
    QFrame,
    QHBoxLayout,
    QLayout,
    QLayoutItem,
    QScrollArea,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from clip_atelier.engine.core import N_
from clip_atelier.gui import theme
from clip_atelier.gui.widgets.text import SpokenName

Part = QWidget | QLayout | int | None
LOW = 640
"""Pixels: in a window that is lower, things stand closer together."""


def _fill(layout: QBoxLayout, parts: tuple[Part, ...]) -> None:
    for part in parts:
        if part is None:
            layout.addStretch(1)
        elif isinstance(part, int):
            layout.addSpacing(part)
        elif isinstance(part, QLayout):
            layout.addLayout(part)
        else:
            layout.addWidget(part)


def row(*parts: Part, gap: int = theme.S) -> QHBoxLayout:
    """Widgets side by side; a number is a space, None a stretch."""
    layout = QHBoxLayout()
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(gap)
    _fill(layout, parts)
    return layout


def column(*parts: Part, gap: int = theme.S) -> QVBoxLayout:
    """Widgets below each other; a number is a space, None a stretch."""
    layout = QVBoxLayout()
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(gap)
    _fill(layout, parts)
    return layout


def card(*parts: Part, role: str = "card", gap: int = theme.S, margin: int = theme.L) -> QFrame:
    """A framed surface with widgets below each other."""
    frame = QFrame()
    frame.setProperty("role", role)
    layout = column(*parts, gap=gap)
    layout.setContentsMargins(margin, margin, margin, margin)
    frame.setLayout(layout)
    return frame


def rule() -> QFrame:
    """A hairline."""
    line = QFrame()
    line.setProperty("role", "rule")
    line.setFixedHeight(1)
    return line


def box(*parts: Part, gap: int = theme.S) -> QWidget:
    """A bare widget with others below each other, to show and hide together."""
    widget = QWidget()
    widget.setLayout(column(*parts, gap=gap))
    return widget


class _Sheet(QWidget):
    """What scrolls. Its least height is that of its content at its width, not at the narrowest that words can be."""

    def __init__(self, inner: QWidget) -> None:
        super().__init__()
        self.setProperty("role", "page")
        self.setLayout(column(inner))

    def minimumSizeHint(self) -> QSize:
        hint = super().minimumSizeHint()
        layout = self.layout()
        return QSize(hint.width(), 0) if layout is not None and layout.hasHeightForWidth() else hint


class Pages(QStackedWidget):
    """Several sheets of which one is seen; as large as that one needs, however much the others would.

    Args:
        enough: The size from which on no sheet needs to scroll.
    """

    def __init__(self, enough: QSize) -> None:
        super().__init__()
        self._enough = enough
        self.currentChanged.connect(lambda _index: self.updateGeometry())

    def minimumSizeHint(self) -> QSize:
        """What the sheet that is seen needs at the width it has, up to the size in which every sheet is good to read."""
        page = self.currentWidget()
        layout = page.layout() if page is not None else None
        if layout is None:
            return QSize(0, 0)
        least = layout.totalMinimumSize()
        if layout.hasHeightForWidth():  # wrapped words need less height where they are wide
            least.setHeight(layout.totalMinimumHeightForWidth(max(self.width(), least.width())))
        return least.boundedTo(self._enough)

    def heightForWidth(self, _width: int) -> int:
        """No more than needed: what scrolls asks for this, not for the least height."""
        return self.minimumSizeHint().height()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if event.oldSize().width() != event.size().width():
            self.updateGeometry()


def scrolled(inner: QWidget) -> QScrollArea:
    """`inner` in an area that scrolls up and down only."""
    area = QScrollArea()
    area.setWidgetResizable(True)
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setProperty("role", "scrolled")
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    sheet = _Sheet(inner)
    area.setWidget(sheet)
    area.viewport().setAutoFillBackground(False)
    sheet.setAutoFillBackground(False)
    SpokenName(area, N_("Goes up and down by the arrow keys"))
    return area


def clear(layout: QLayout) -> None:
    """Takes everything out of a layout and deletes the widgets in it."""
    while (item := layout.takeAt(0)) is not None:
        widget = item.widget()
        if widget is not None:
            widget.hide()
            widget.deleteLater()
        elif (inner := item.layout()) is not None:
            clear(inner)


class Flow(QLayout):
    """Lays widgets out like words: left to right, then the next line, `below` under it (`gap` if not given)."""

    def __init__(self, gap: int = theme.S, below: int | None = None) -> None:
        super().__init__()
        self._below = gap if below is None else below
        self._items: list[QLayoutItem] = []
        self._gap = gap
        self.setContentsMargins(0, 0, 0, 0)

    def addItem(self, item: QLayoutItem) -> None:
        self._items.append(item)

    def count(self) -> int:
        """How many widgets there are."""
        return len(self._items)

    def itemAt(self, index: int) -> QLayoutItem | None:
        return self._items[index] if 0 <= index < len(self._items) else None

    def takeAt(self, index: int) -> QLayoutItem | None:
        return self._items.pop(index) if 0 <= index < len(self._items) else None

    def expandingDirections(self) -> Qt.Orientation:
        return Qt.Orientation(0)

    def hasHeightForWidth(self) -> bool:
        return True

    def heightForWidth(self, width: int) -> int:
        return self._place(QRect(0, 0, width, 0), move=False)

    def setGeometry(self, rect: QRect) -> None:
        super().setGeometry(rect)
        self._place(rect, move=True)

    def sizeHint(self) -> QSize:
        return self.minimumSize()

    def minimumSize(self) -> QSize:
        size = QSize()
        for item in self._items:
            size = size.expandedTo(item.minimumSize())
        return size

    def _place(self, rect: QRect, *, move: bool) -> int:
        x, y, line = rect.x(), rect.y(), 0
        for item in self._items:
            widget = item.widget()
            if widget is not None and widget.isHidden():
                continue
            hint = item.sizeHint()
            if x + hint.width() > rect.right() + 1 and line:
                x, y, line = rect.x(), y + line + self._below, 0
            if move:
                item.setGeometry(QRect(QPoint(x, y), hint))
            x += hint.width() + self._gap
            line = max(line, hint.height())
        return y + line - rect.y()


class Even(Flow):
    """Lays widgets out in columns of one width, as many as there is room for; those of a line are equally high.

    Args:
        least: Pixels that a column should have at the least.
        gap: Between columns and between lines.
    """

    def __init__(self, least: int, gap: int = theme.S) -> None:
        super().__init__(gap)
        self._least = least

    def _place(self, rect: QRect, *, move: bool) -> int:
        shown = [item for item in self._items if (widget := item.widget()) is None or not widget.isHidden()]
        fitting = max((rect.width() + self._gap) // (self._least + self._gap), 1)
        lines = -(-len(shown) // fitting)
        columns = -(-len(shown) // lines) if lines else 1  # three and two rather than four and one
        width = max((rect.width() - (columns - 1) * self._gap) // columns, 1)
        y = rect.y()
        for start in range(0, len(shown), columns):
            line = shown[start : start + columns]
            height = max(
                item.heightForWidth(width) if item.hasHeightForWidth() else item.sizeHint().height()
                for item in line
            )
            if move:
                for place, item in enumerate(line):
                    item.setGeometry(QRect(rect.x() + place * (width + self._gap), y, width, height))
            y += height + self._gap
        return max(y - self._gap - rect.y(), 0)


class TwoEnds(QWidget):
    """Two groups at the ends of one line; below each other where the line is too narrow for both in full."""

    def __init__(self, left: QWidget, right: QWidget) -> None:
        super().__init__()
        self._left, self._right = left, right
        self._line = row(left, None, right)
        self.setLayout(self._line)
        left.installEventFilter(self)
        right.installEventFilter(self)

    @property
    def one_line(self) -> bool:
        """Whether both are in one line now."""
        return self._line.direction() == QBoxLayout.Direction.LeftToRight

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.LayoutRequest:
            self._turn()
        return super().eventFilter(watched, event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._turn()

    def minimumSizeHint(self) -> QSize:
        """As narrow as the wider of the two: both stand below each other before anything is cut."""
        hint = super().minimumSizeHint()
        return QSize(
            max(self._left.minimumSizeHint().width(), self._right.minimumSizeHint().width()), hint.height()
        )

    def _turn(self) -> None:
        needed = self._left.sizeHint().width() + self._right.sizeHint().width() + theme.L
        way = QBoxLayout.Direction
        self._line.setDirection(way.LeftToRight if needed <= self.width() else way.TopToBottom)


class Lowness(QObject):
    """Whether the window that a widget lies in is a low one: what scrolls in it is not resized with it."""

    changed = Signal(bool)

    def __init__(self, widget: QWidget) -> None:
        super().__init__(widget)
        self.low = False
        self._widget = widget
        self._window: QWidget | None = None
        widget.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if watched is self._widget and event.type() == QEvent.Type.Show:
            if self._window is not self._widget.window():
                self._window = self._widget.window()
                self._window.installEventFilter(self)
            self._look()
        elif watched is self._window and event.type() == QEvent.Type.Resize:
            self._look()
        return super().eventFilter(watched, event)

    def _look(self) -> None:
        low = self._window is not None and self._window.height() < LOW
        if low != self.low:
            self.low = low
            self.changed.emit(low)


def row_box(*parts: Any) -> QWidget:
    """A bare widget with others side by side, to show and hide together."""
    widget = QWidget()
    widget.setLayout(row(*parts))
    return widget
