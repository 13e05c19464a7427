"""The table of captions, edited in place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import (
    QAbstractItemModel,
    QAbstractTableModel,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QRect,
    QSize,
    QSortFilterProxyModel,
    Qt,
    Signal,
)
from PySide6.QtGui import QColor, QPainter
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QPlainTextEdit,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QWidget,
)

from clip_atelier.engine.core import N_, _, paths
from clip_atelier.gui import theme
from clip_atelier.gui.parts.picture_detail import PARTS
from clip_atelier.gui.widgets.text import plain_tooltip

if TYPE_CHECKING:
    from clip_atelier.engine.data import Collection
    from clip_atelier.gui.parts.pictures import PictureStore

Index = QModelIndex | QPersistentModelIndex
_COLUMNS = (N_("File"), N_("Captions, one a line"), N_("Label"), N_("Pair"), N_("Part"))
_CAPTIONS = 1
_ROW = 48
_PICTURE = Qt.ItemDataRole.UserRole + 1


class CaptionModel(QAbstractTableModel):
    """Files, their captions (editable), label, pair and part of the split."""

    edited = Signal(int)  # how many images have unsaved captions

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._collection: Collection | None = None
        self._parts: dict[int, str] = {}
        self.edits: dict[str, tuple[str, ...]] = {}

    def show(self, collection: Collection | None, parts: dict[int, str]) -> None:
        """Shows another collection; unsaved edits of images that are still there stay."""
        self.beginResetModel()
        known = {item.path: item.captions for item in collection.items} if collection is not None else {}
        self.edits = {path: new for path, new in self.edits.items() if path in known and known[path] != new}
        self._collection = collection
        self._parts = parts
        self.endResetModel()
        self.edited.emit(len(self.edits))

    def discard(self) -> None:
        """Forgets unsaved edits."""
        self.beginResetModel()
        self.edits = {}
        self.endResetModel()
        self.edited.emit(0)

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own default
        return 0 if parent.isValid() or self._collection is None else len(self._collection.items)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own default
        return 0 if parent.isValid() else len(_COLUMNS)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        if role == Qt.ItemDataRole.DisplayRole and orientation == Qt.Orientation.Horizontal:
            return _(_COLUMNS[section])
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """One cell."""
        if self._collection is None or not index.isValid():
            return None
        item = self._collection.items[index.row()]
        captions = self.edits.get(item.path, item.captions)
        if role == _PICTURE:
            return self._collection.absolute(item)
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.ToolTipRole, Qt.ItemDataRole.EditRole):
            text = (
                paths.shown(item.path),
                "\n".join(captions),
                item.label,
                item.pair,
                _(PARTS.get(self._parts.get(index.row(), ""), "")),
            )[index.column()]
            return plain_tooltip(text) if role == Qt.ItemDataRole.ToolTipRole else text
        if role == Qt.ItemDataRole.UserRole:
            return item.path in self.edits
        return None

    def flags(self, index: Index) -> Qt.ItemFlag:
        flags = super().flags(index)
        return flags | Qt.ItemFlag.ItemIsEditable if index.column() == _CAPTIONS else flags

    def setData(self, index: Index, value: Any, role: int = Qt.ItemDataRole.EditRole) -> bool:
        if role != Qt.ItemDataRole.EditRole or self._collection is None:
            return False
        item = self._collection.items[index.row()]
        new = tuple(line.strip() for line in str(value).splitlines() if line.strip())
        if new == item.captions:
            self.edits.pop(item.path, None)
        else:
            self.edits[item.path] = new
        self.dataChanged.emit(index, index)
        self.edited.emit(len(self.edits))
        return True


class _Editor(QStyledItemDelegate):
    """Draws a small picture beside the file's name; edits captions in a box of several lines."""

    def __init__(self, store: PictureStore, parent: QObject) -> None:
        super().__init__(parent)
        self._store = store

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        """Draws one cell."""
        t = theme.tokens(option.palette)
        painter.save()
        rect = option.rect
        if option.state & QStyle.StateFlag.State_Selected:
            painter.fillRect(rect, QColor(t.accent_soft))
        painter.setPen(QColor(t.line))
        painter.drawLine(rect.bottomLeft(), rect.bottomRight())
        left = rect.left() + theme.S
        if index.column() == 0:
            self._picture(painter, QRect(left, rect.top() + 4, rect.height() - 8, rect.height() - 8), index)
            left += rect.height()
        unsaved = index.column() == _CAPTIONS and index.data(Qt.ItemDataRole.UserRole)
        painter.setPen(QColor(t.accent if unsaved else t.text if index.column() <= _CAPTIONS else t.muted))
        room = QRect(left, rect.top(), rect.right() - left - theme.S, rect.height())
        lines = str(index.data() or "").split("\n")
        if len(lines) > 2:
            lines = [lines[0], f"{lines[1]}  (+{len(lines) - 2})"]
        mode = Qt.TextElideMode.ElideMiddle if index.column() == 0 else Qt.TextElideMode.ElideRight
        shown = "\n".join(option.fontMetrics.elidedText(line, mode, room.width()) for line in lines)
        painter.drawText(room, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, shown)
        painter.restore()

    def _picture(self, painter: QPainter, place: QRect, index: Index) -> None:
        painter.fillRect(place, QColor(theme.PAPER))
        ratio = painter.device().devicePixelRatio() if painter.device() is not None else 1.0
        pixmap = self._store.get(index.data(_PICTURE), round(_ROW * ratio))
        if pixmap is not None:
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
            target = QRect(place)
            target.setSize(QSize(pixmap.size()).scaled(place.size(), Qt.AspectRatioMode.KeepAspectRatio))
            target.moveCenter(place.center())
            painter.drawPixmap(target, pixmap)

    def createEditor(self, parent: QWidget, _option: QStyleOptionViewItem, _index: Index) -> QWidget:
        editor = QPlainTextEdit(parent)
        editor.setTabChangesFocus(True)
        return editor

    def updateEditorGeometry(self, editor: QWidget, option: QStyleOptionViewItem, _index: Index) -> None:  # noqa: N802
        """The box is taller than the row, so that three captions can be seen."""
        editor.setGeometry(option.rect.adjusted(0, 0, 0, 40))

    def setEditorData(self, editor: QWidget, index: Index) -> None:
        if isinstance(editor, QPlainTextEdit):
            editor.setPlainText(str(index.data(Qt.ItemDataRole.EditRole)))
            editor.selectAll()

    def setModelData(self, editor: QWidget, model: QAbstractItemModel, index: Index) -> None:
        if isinstance(editor, QPlainTextEdit):
            model.setData(index, editor.toPlainText(), Qt.ItemDataRole.EditRole)


class _Shown(QSortFilterProxyModel):
    """Lets through the rows that the page chose: Qt's own text filter would ask for every cell."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._rows: frozenset[int] | None = None

    def show_rows(self, rows: frozenset[int]) -> None:
        """Shows only these rows."""
        self._rows = rows
        self.invalidate()

    def filterAcceptsRow(self, row: int, _parent: Index) -> bool:
        return self._rows is None or row in self._rows


class CaptionTable(QTableView):
    """The editable table with a filter."""

    def __init__(self, store: PictureStore) -> None:
        super().__init__()
        self.captions = CaptionModel(self)
        self._proxy = _Shown(self)
        self._proxy.setSourceModel(self.captions)
        self.setModel(self._proxy)
        self.setItemDelegate(_Editor(store, self))
        self.setSortingEnabled(True)
        self.sortByColumn(-1, Qt.SortOrder.AscendingOrder)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(_ROW)
        self.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setEditTriggers(
            QAbstractItemView.EditTrigger.DoubleClicked
            | QAbstractItemView.EditTrigger.EditKeyPressed
            | QAbstractItemView.EditTrigger.SelectedClicked
        )
        header = self.horizontalHeader()
        header.setHighlightSections(False)
        for column, width in enumerate((270, 360, 110, 130, 90)):
            self.setColumnWidth(column, width)
        header.setSectionResizeMode(_CAPTIONS, QHeaderView.ResizeMode.Stretch)
        store.arrived.connect(self.viewport().update)

    def show_rows(self, rows: Sequence[int]) -> None:
        """Shows only these items of the collection."""
        self._proxy.show_rows(frozenset(rows))

    def retranslate(self) -> None:
        """The header in the current language."""
        self.captions.headerDataChanged.emit(Qt.Orientation.Horizontal, 0, len(_COLUMNS) - 1)
        self.viewport().update()
