"""The table of words and how far their retrieval moved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import (
    QAbstractTableModel,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QRect,
    QRectF,
    QSortFilterProxyModel,
    Qt,
    Signal,
)
from PySide6.QtGui import QColor, QPainter
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
)

from clip_atelier.engine.core import N_, _
from clip_atelier.gui import theme
from clip_atelier.gui.matching import finder
from clip_atelier.gui.widgets.text import plain_tooltip

if TYPE_CHECKING:
    from clip_atelier.engine.evaluation import WordChange

Index = QModelIndex | QPersistentModelIndex
_COLUMNS = (
    ("word", N_("Word"), N_("A caption, or a single word that several captions share")),
    ("images", N_("Images"), N_("How many images are right for it")),
    ("before", N_("Before"), N_("Place of its first right image with the untouched base")),
    ("after", N_("After"), N_("Place of its first right image after the adaptation")),
    ("moved", N_("Octaves"), N_("How far it moved: +1 halves the place, −1 doubles it")),
)
_WORD, _MOVED = 0, 4
_ROW = 30
_SORT = Qt.ItemDataRole.UserRole + 1


class WordModel(QAbstractTableModel):
    """The words and how far each moved."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._words: Sequence[WordChange] = ()

    def show(self, words: Sequence[WordChange]) -> None:
        """Shows other words."""
        self.beginResetModel()
        self._words = words
        self.endResetModel()

    @property
    def farthest(self) -> float:
        """The longest way of a word, in octaves; at least 1."""
        return max((abs(entry.moved) for entry in self._words), default=1.0) or 1.0

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own default
        return 0 if parent.isValid() else len(self._words)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own default
        return 0 if parent.isValid() else len(_COLUMNS)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        if orientation != Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            # Qt draws the mark of the sorted column over words that stand on the right.
            return _(_COLUMNS[section][1]) + ("" if section == _WORD else "\u2003")
        if role == Qt.ItemDataRole.ToolTipRole:
            return plain_tooltip(_(_COLUMNS[section][2]))
        if role == Qt.ItemDataRole.TextAlignmentRole:
            side = Qt.AlignmentFlag.AlignLeft if section == _WORD else Qt.AlignmentFlag.AlignRight
            return int(side | Qt.AlignmentFlag.AlignVCenter)
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """One cell."""
        if not index.isValid():
            return None
        value = getattr(self._words[index.row()], _COLUMNS[index.column()][0])
        if role == _SORT:
            return value
        if role == Qt.ItemDataRole.DisplayRole:
            if index.column() == _MOVED:
                return f"{value:+.2f}" if value else "="
            return value if index.column() == _WORD else f"{value:,}"
        if role == Qt.ItemDataRole.ToolTipRole and index.column() == _WORD:
            return plain_tooltip(value)
        return None


class _Proxy(QSortFilterProxyModel):
    """Words that contain a text, and moved one way."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._stands_in = finder("")
        self._way = "all"
        self.setSortRole(_SORT)
        self.setSortCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)

    def choose(self, text: str, way: str, *, unfinished: bool = False) -> None:
        """Shows only such words; more may come of the last syllable of an unfinished text."""
        self._stands_in, self._way = finder(text.strip(), unfinished=unfinished), way
        self.invalidate()

    def filterAcceptsRow(self, source_row: int, _parent: Index) -> bool:
        model = self.sourceModel()
        word = str(model.index(source_row, _WORD).data(_SORT))
        moved = float(model.index(source_row, _MOVED).data(_SORT))
        if not self._stands_in(word):
            return False
        return self._way == "all" or (moved > 0 if self._way == "learned" else moved < 0)


class _Cells(QStyledItemDelegate):
    """Draws the way as a bar from the middle: right and green for learned, left and red for lost."""

    def __init__(self, words: WordModel, parent: QObject) -> None:
        super().__init__(parent)
        self._words = words

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        """Draws one cell."""
        t = theme.tokens(option.palette)
        rect = option.rect
        painter.save()
        if option.state & QStyle.StateFlag.State_Selected:
            painter.fillRect(rect, QColor(t.accent_soft))
        painter.setPen(QColor(t.line))
        painter.drawLine(rect.bottomLeft(), rect.bottomRight())
        room = rect.adjusted(theme.S, 0, -theme.S if index.column() == _WORD else -theme.L, 0)
        text, colour = str(index.data()), t.text
        side = Qt.AlignmentFlag.AlignLeft if index.column() == _WORD else Qt.AlignmentFlag.AlignRight
        if index.column() == _MOVED:
            moved = float(index.data(_SORT))
            colour = t.gain if moved > 0 else t.loss if moved < 0 else t.muted
            self._bar(painter, room.adjusted(0, 0, -54, 0), moved / self._words.farthest, colour, t.line)
        elif index.column() != _WORD:
            colour = t.muted if index.column() == 1 else t.text
        painter.setPen(QColor(colour))
        shown = option.fontMetrics.elidedText(text, Qt.TextElideMode.ElideRight, room.width())
        painter.drawText(room, side | Qt.AlignmentFlag.AlignVCenter, shown)
        painter.restore()

    def _bar(self, painter: QPainter, room: QRect, part: float, colour: str, line: str) -> None:
        middle = room.center().x()
        painter.fillRect(QRectF(middle, room.top() + 4, 1, room.height() - 8), QColor(line))
        length = part * room.width() / 2
        bar = QRectF(min(middle, middle + length), room.center().y() - 4, abs(length), 8)
        painter.fillRect(bar, QColor(colour))


class WordTable(QTableView):
    """Words, sortable and filtered; `opened` tells which one was double-clicked or entered."""

    opened = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.words = WordModel(self)
        self.proxy = _Proxy(self)
        self.proxy.setSourceModel(self.words)
        self.setModel(self.proxy)
        self.setItemDelegate(_Cells(self.words, self))
        self.setSortingEnabled(True)
        self.sortByColumn(_MOVED, Qt.SortOrder.DescendingOrder)
        self.setShowGrid(False)
        self.setTabKeyNavigation(False)
        self.setWordWrap(False)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(_ROW)
        self.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        header = self.horizontalHeader()
        header.setHighlightSections(False)
        for column, width in enumerate((200, 78, 76, 74, 150)):
            self.setColumnWidth(column, width)
        header.setSectionResizeMode(_WORD, QHeaderView.ResizeMode.Stretch)
        self.activated.connect(lambda index: self.opened.emit(str(index.siblingAtColumn(_WORD).data())))

    def retranslate(self) -> None:
        """The header in the current language."""
        self.words.headerDataChanged.emit(Qt.Orientation.Horizontal, 0, len(_COLUMNS) - 1)
        self.viewport().update()
