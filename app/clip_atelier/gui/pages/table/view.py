"""The table on the screen: two-line cells, sorting by the header, and the choice of columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import (
    QItemSelectionModel,
    QModelIndex,
    QPersistentModelIndex,
    QPoint,
    QRect,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QColor, QFont, QFontMetrics, QKeyEvent, QKeySequence, QPainter, QPen, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QMenu,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
)

from clip_atelier.engine.core import _
from clip_atelier.gui import theme
from clip_atelier.gui.parts.table_model import Cell, Column, RunTable, all_columns, shown_at_first

if TYPE_CHECKING:
    from clip_atelier.engine.evaluation import Row
    from clip_atelier.gui.state import WindowState

Index = QModelIndex | QPersistentModelIndex
_ROW = 48
_FEWEST = 3  # rows that there is always room for
_PAD = theme.S
_WIDEST = {"run": 240}
_RUN_AT_LEAST = 148
_WIDE = 280
# Of one lightness, so that all are seen on the light and on the dark surface.
_TAGS = {
    "red": "#d64550", "orange": "#d97706", "yellow": "#b59b00", "green": "#2f9e5f", "blue": "#3b82d6",
    "purple": "#9061d2",
}  # fmt: skip


class Painter(QStyledItemDelegate):
    """Paints a cell: a line, a smaller line below, and a mark as a small plate."""

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        cell, column = index.data(RunTable.CELL), index.data(RunTable.COLUMN)
        t = theme.tokens(option.palette)
        rect: QRect = option.rect
        painter.save()
        chosen = bool(option.state & QStyle.StateFlag.State_Selected)
        painter.fillRect(rect, QColor(t.accent_soft if chosen else t.surface))
        painter.setPen(QPen(QColor(t.line), 1))
        painter.drawLine(rect.bottomLeft(), rect.bottomRight())
        if cell.tag:
            painter.fillRect(
                QRect(rect.left(), rect.top() + 6, 4, rect.height() - 12), QColor(_TAGS[cell.tag])
            )
        inner = rect.adjusted(_PAD, 0, -_PAD, 0)
        side = Qt.AlignmentFlag.AlignRight if column.right else Qt.AlignmentFlag.AlignLeft
        fonts = _fonts(option.font, strong=column.kind == "run")
        upper, lower = (
            (inner.adjusted(0, 6, 0, -_ROW // 2 + 1), inner.adjusted(0, _ROW // 2 - 1, 0, -6))
            if cell.second
            else (inner, QRect())
        )
        if cell.mark:
            upper = upper.adjusted(0, 0, -self._plate(painter, t, upper, cell.mark, fonts[1]), 0)
        painter.setFont(fonts[0])
        single = (
            {"gain": t.gain, "loss": t.loss}.get(cell.tone, t.text) if column.kind == "verdict" else t.text
        )
        painter.setPen(QColor(single if cell.first != "–" else t.muted))
        self._line(painter, upper, side, cell.first)
        if cell.second:
            painter.setFont(fonts[1])
            painter.setPen(QColor(str(getattr(t, cell.tone))))
            self._line(painter, lower, side, cell.second)
        painter.restore()

    @staticmethod
    def _line(painter: QPainter, rect: QRect, side: Qt.AlignmentFlag, text: str) -> None:
        shown = painter.fontMetrics().elidedText(text, Qt.TextElideMode.ElideRight, rect.width())
        painter.drawText(rect, int(side | Qt.AlignmentFlag.AlignVCenter), shown)

    @staticmethod
    def _plate(painter: QPainter, t: theme.Tokens, rect: QRect, text: str, font: QFont) -> int:
        """Draws a mark at the right end and returns the room it takes."""
        painter.setFont(font)
        width = painter.fontMetrics().horizontalAdvance(text) + 2 * 6
        plate = QRect(rect.right() - width, rect.center().y() - 8, width, 17)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(QColor(t.gain), 1))
        painter.drawRoundedRect(plate, theme.RADIUS_SMALL, theme.RADIUS_SMALL)
        painter.setPen(QColor(t.gain))
        painter.drawText(plate, int(Qt.AlignmentFlag.AlignCenter), text)
        return width + theme.S

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        cell, column = index.data(RunTable.CELL), index.data(RunTable.COLUMN)
        return QSize(_width(cell, column, option.font), _ROW)


def _fonts(font: QFont, *, strong: bool) -> tuple[QFont, QFont]:
    first, second = QFont(font), QFont(font)
    first.setPixelSize(theme.BODY)
    if strong:
        first.setWeight(QFont.Weight.DemiBold)
    second.setPixelSize(theme.CAPTION)
    return first, second


def _width(cell: Cell, column: Column, font: QFont) -> int:
    fonts = _fonts(font, strong=column.kind == "run")
    large, small = QFontMetrics(fonts[0]), QFontMetrics(fonts[1])
    first = large.horizontalAdvance(cell.first)
    if column.kind == "metric":
        # Room for a mark, so that the columns do not jump when the marks arrive.
        plates = max(small.horizontalAdvance(text) for text in (_("best"), _("as good"))) + 12 + theme.S
        first += plates
    return min(
        max(first, small.horizontalAdvance(cell.second)) + 2 * _PAD + 2, _WIDEST.get(column.kind, _WIDE)
    )


class TableView(QTableView):
    """The runs, sorted by a click on a column's head; several can be chosen."""

    chosen = Signal()  # other rows were chosen
    opened = Signal()  # a double click or Enter on a row
    menu_wanted = Signal(QPoint)
    delete_wanted = Signal()
    columns_changed = Signal()

    def __init__(self, state: WindowState) -> None:
        super().__init__()
        self._state = state
        self._filling = False
        self.table = RunTable(self)
        self.setModel(self.table)
        self.setItemDelegate(Painter(self))
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(_ROW)
        self.setTabKeyNavigation(False)
        head = self.horizontalHeader()
        head.setHighlightSections(False)
        head.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        head.setStretchLastSection(True)
        head.setMinimumSectionSize(32)
        head.setSectionsMovable(False)
        head.sectionClicked.connect(self._on_head)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.customContextMenuRequested.connect(self.menu_wanted)
        self.activated.connect(lambda _index: self.opened.emit())
        self.selectionModel().selectionChanged.connect(lambda *_ranges: self._on_selection())
        name, down = state.view("table.sort", ["created", True])
        order = Qt.SortOrder.DescendingOrder if down else Qt.SortOrder.AscendingOrder
        self.table.sort_by(str(name), order)

    # Rows

    def show_rows(self, rows: Sequence[Row], task: str) -> None:
        """Shows other rows; the choice of rows stays."""
        kept = self.runs()
        at = (self.horizontalScrollBar().value(), self.verticalScrollBar().value())
        self._filling = True
        columns = [column for column in all_columns(rows, task) if self.is_shown(column)]
        self.table.show_rows(rows, columns, task)
        self.choose(kept)
        self._filling = False
        self._fit()
        self._show_order()
        self.horizontalScrollBar().setValue(at[0])
        self.verticalScrollBar().setValue(at[1])
        if self.runs() != kept:
            self.chosen.emit()

    def runs(self) -> list[str]:
        """The chosen runs, as they stand in the table."""
        places = sorted({index.row() for index in self.selectionModel().selectedRows()})
        return [self.table.rows[place].run for place in places if place < len(self.table.rows)]

    def choose(self, runs: Sequence[str]) -> None:
        """Chooses runs."""
        model = self.selectionModel()
        flags = QItemSelectionModel.SelectionFlag
        model.clearSelection()
        for run in runs:
            place = self.table.place_of(run)
            if place >= 0:
                index = self.table.index(place, 0)
                model.select(index, flags.Select | flags.Rows)
                model.setCurrentIndex(index, flags.NoUpdate)

    def _on_selection(self) -> None:
        if not self._filling:
            self.chosen.emit()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Delete asks for the chosen runs' end."""
        if event.matches(QKeySequence.StandardKey.Delete):
            self.delete_wanted.emit()
        else:
            super().keyPressEvent(event)

    # Columns

    def is_shown(self, column: Column) -> bool:
        """Whether a column was chosen, or is shown at first."""
        if column.name == "run":
            return True
        # A metric is chosen by its name, for every direction.
        name = column.name.rpartition("/")[2] if column.kind == "metric" else column.name
        return bool(self._state.view("table.columns", {}).get(name, shown_at_first(column)))

    def show_column(self, column: Column, on: bool) -> None:
        """Shows or hides a column from now on."""
        name = column.name.rpartition("/")[2] if column.kind == "metric" else column.name
        self._state.set_view("table.columns", {**self._state.view("table.columns", {}), name: on})
        self.show_rows(self.table.rows, self.table.task)
        self.columns_changed.emit()

    def fill_columns_menu(self, menu: QMenu) -> None:
        """Every column with a tick."""
        menu.clear()
        for column in all_columns(self.table.rows, self.table.task):
            if column.name == "run":
                continue
            action = menu.addAction(column.title.replace("&", "&&"))
            action.setCheckable(True)
            action.setChecked(self.is_shown(column))
            action.triggered.connect(lambda on, column=column: self.show_column(column, on))

    @property
    def whole_height(self) -> int:
        """Pixels that its head and all of its rows take."""
        rows = max(len(self.table.rows), _FEWEST) * _ROW
        bars = self.horizontalHeader().sizeHint().height() + self.horizontalScrollBar().sizeHint().height()
        return bars + rows + 2 * self.frameWidth()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Names take the room that another width leaves them."""
        super().resizeEvent(event)
        if event.size().width() != event.oldSize().width():
            self._fit()

    def _fit(self) -> None:
        head, metrics = self.horizontalHeader(), QFontMetrics(self.horizontalHeader().font())
        option = QStyleOptionViewItem()
        self.initViewItemOption(option)
        font: Any = self.font()
        widths = []
        for column in self.table.columns:
            cells = [self.table.cell(row, column) for row in self.table.rows]
            widest = max((_width(cell, column, font) for cell in cells), default=0)
            widths.append(max(widest, metrics.horizontalAdvance(column.title) + 2 * _PAD + 10))
        # Names give way before numbers have to be scrolled to; they stand in full below the table.
        # A pixel is left free: Qt scrolls by one where the columns just fit.
        excess = sum(widths) + 1 - self.viewport().width()
        # What is left over in a wide window is shared, else the last column would stand far away from all others.
        more = max(-excess, 0) // max(len(widths), 1)
        for place, (column, width) in enumerate(zip(self.table.columns, widths, strict=True)):
            if column.name == "run" and excess > 0:
                width = max(min(width, _RUN_AT_LEAST), width - excess)
            head.resizeSection(place, width + more)

    # Order

    def _on_head(self, place: int) -> None:
        name, order = self.table.sorted_by
        column = self.table.columns[place]
        # The first click on numbers shows the largest first: that is what one looks for.
        first = (
            Qt.SortOrder.DescendingOrder
            if column.kind in ("metric", "verdict")
            else Qt.SortOrder.AscendingOrder
        )
        if column.name == name:
            both = (Qt.SortOrder.AscendingOrder, Qt.SortOrder.DescendingOrder)
            first = both[1] if order == both[0] else both[0]
        kept = self.runs()
        self._filling = True
        self.table.sort(place, first)
        self.choose(kept)
        self._filling = False
        self._state.set_view("table.sort", [column.name, first == Qt.SortOrder.DescendingOrder])
        self._show_order()

    def _show_order(self) -> None:
        name, order = self.table.sorted_by
        head = self.horizontalHeader()
        place = next((n for n, column in enumerate(self.table.columns) if column.name == name), -1)
        head.setSortIndicatorShown(place >= 0)
        if place >= 0:
            head.setSortIndicator(place, order)
