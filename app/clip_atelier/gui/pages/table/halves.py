"""The table above, and what is said of the chosen trainings below it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PySide6.QtCore import Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QSplitter, QWidget

from clip_atelier.gui import theme
from clip_atelier.gui.widgets.layout import Lowness

if TYPE_CHECKING:
    from clip_atelier.gui.pages.table.view import TableView
    from clip_atelier.gui.state import WindowState

_SHARE: Final = 0.6
"""Of the height, for the table at the most."""
_EDGES: Final = 4
"""The frame's lines and margins above and below the table."""


def make_room(page: QWidget, title: QWidget) -> None:
    """In a low window what stands above the table leaves room to its rows; what the page is called, its icon says."""

    def place(low: bool) -> None:
        title.setVisible(not low)
        layout, edge = page.layout(), theme.S if low else theme.L
        assert layout is not None
        layout.setContentsMargins(theme.XL, edge, theme.XL, edge)
        layout.setSpacing(theme.S if low else theme.M)

    lowness = Lowness(page)
    lowness.changed.connect(place)
    place(lowness.low)


class Halves(QSplitter):
    """Until the line between them is moved by hand, the table is as high as its rows need.

    One training leaves the room to what is said of it, which would be cut off below an empty table.

    Args:
        state: Remembers where the line was put.
        framed: The table in its frame.
        view: The table.
        lower: What stands below it.
    """

    def __init__(self, state: WindowState, framed: QWidget, view: TableView, lower: QWidget) -> None:
        super().__init__(Qt.Orientation.Vertical)
        self._state = state
        self._view = view
        self.addWidget(framed)
        self.addWidget(lower)
        self.setChildrenCollapsible(False)
        self.setStretchFactor(0, 1)
        self._by_hand = bool(state.view("table.split", []))
        if self._by_hand:
            self.setSizes(state.view("table.split", []))
        self.splitterMoved.connect(self._on_moved)

    def _on_moved(self, *_at: int) -> None:
        self._by_hand = True
        self._state.set_view("table.split", self.sizes())

    def share(self) -> None:
        """Gives the table what its rows need, after other rows were shown."""
        if self._by_hand:
            return
        needed = self._view.whole_height + _EDGES
        room = self.height() - self.handleWidth()
        upper = min(needed, round(room * _SHARE))
        self.setSizes([upper, room - upper])

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.share()
