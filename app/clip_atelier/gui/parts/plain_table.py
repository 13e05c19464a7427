"""Tables that are read and not edited."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSize, Qt, QTimer
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QStyleOptionViewItem,
    QTableWidget,
    QTableWidgetItem,
)

from clip_atelier.engine.core import _
from clip_atelier.gui import theme
from clip_atelier.gui.widgets.text import plain_tooltip
from clip_atelier.gui.widgets.ticks import Index, TickDelegate

_LINE = 34  # pixels that a table without lines is high
_PADDING = theme.S - 3  # at each side of a cell, as the style sheet has it


def plain_table(titles: tuple[str, ...]) -> QTableWidget:
    """A table with these titles (marked with `N_`); the last column takes what room is left."""
    table = _Table(titles)
    table.verticalHeader().hide()
    table.setTabKeyNavigation(False)  # Tab leaves the table; arrows move in it
    table.setShowGrid(False)
    table.setItemDelegate(TickDelegate(table))
    table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    header = table.horizontalHeader()
    header.setHighlightSections(False)
    header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
    header.setSectionResizeMode(len(titles) - 1, QHeaderView.ResizeMode.Stretch)
    table.setColumnWidth(0, 300)
    return table


class _Wrapping(TickDelegate):
    """Asks for as many lines as are drawn: Qt measures without the room that the style leaves beside the words."""

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        narrow = QStyleOptionViewItem(option)
        narrow.rect = option.rect.adjusted(0, 0, -2 * _PADDING, 0)
        return super().sizeHint(narrow, index)


class _Table(QTableWidget):
    def __init__(self, titles: tuple[str, ...]) -> None:
        super().__init__(0, len(titles))
        self._titles = titles
        self.retranslate()

    def retranslate(self) -> None:
        """The header in the current language."""
        self.setHorizontalHeaderLabels([_(title) for title in self._titles])


def fill_table(table: QTableWidget, lines: Sequence[tuple[str, ...]]) -> None:
    """Shows these lines."""
    table.setRowCount(len(lines))
    for y, line in enumerate(lines):
        for x, text in enumerate(line):
            cell = QTableWidgetItem(text)
            cell.setToolTip(plain_tooltip(text))
            table.setItem(y, x, cell)


def whole_table(titles: tuple[str, ...]) -> QTableWidget:
    """A plain table that is as high as its lines, long words in several of them: the page scrolls, not the table."""
    table = plain_table(titles)
    table.setWordWrap(True)
    table.setItemDelegate(_Wrapping(table))
    table.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    table.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    table.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
    table.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
    for x in range(len(titles) - 1):
        table.horizontalHeader().setSectionResizeMode(x, QHeaderView.ResizeMode.ResizeToContents)
    # Words wrap anew where a column's width changes, which Qt does not measure again by itself; and while it tells that a
    # line is of another height, the sum of all is still the old one.
    soon = QTimer(table)
    soon.setSingleShot(True)
    soon.setInterval(0)
    soon.timeout.connect(table.resizeRowsToContents)
    soon.timeout.connect(lambda: _fit(table))
    for header in (table.horizontalHeader(), table.verticalHeader()):
        header.sectionResized.connect(lambda *_sizes: soon.start())
    table.verticalHeader().sectionCountChanged.connect(lambda *_counts: _fit(table))
    _fit(table)
    return table


def _fit(table: QTableWidget) -> None:
    rows = table.verticalHeader().length()
    table.setFixedHeight(table.horizontalHeader().sizeHint().height() + max(rows, _LINE) + 4)
