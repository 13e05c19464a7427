"""The table of captions, edited in place by keyboard."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import (
    QAbstractItemModel,
    QEvent,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QRect,
    QSize,
    Qt,
    QTimer,
    Signal,
)
from PySide6.QtGui import QColor, QKeyEvent, QPainter, QPen, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QHeaderView,
    QLineEdit,
    QPlainTextEdit,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QWidget,
)

from clip_atelier.engine.core import _
from clip_atelier.gui import theme
from clip_atelier.gui.pages.collection.caption_model import (
    CAPTIONS,
    EDITABLE,
    FILE,
    HEADERS,
    PART,
    PICTURE,
    SPLITS,
    CaptionModel,
    Index,
)
from clip_atelier.gui.widgets.text import SpokenName

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clip_atelier.engine.data import Collection, DraftEdit
    from clip_atelier.gui.parts.pictures import PictureStore

_LITTLE = 640  # pixels
_WIDE, _NARROW = (190, 260, 100, 100, 96), (132, 200, 72, 72, 80)  # of the columns
_ROW = 48
_TYPING_MS = 400


class _Box(QPlainTextEdit):
    """Where captions are typed; knows what they were, and whether it was filled."""

    def __init__(self, parent: QWidget, session: int) -> None:
        super().__init__(parent)
        self.before: str | None = None
        self.index = QPersistentModelIndex()
        self.session = session


class _Editor(QStyledItemDelegate):
    """Draws a small picture beside the file's name; edits captions in a box of several lines.

    What is typed reaches the draft after a moment, not only when the box closes; Escape takes it back. Enter goes on to the
    next drawing, Tab to the next field; Shift+Enter begins another caption.
    """

    gone_on = Signal(int, int)  # rows, fields

    def __init__(self, store: PictureStore, parent: QObject) -> None:
        super().__init__(parent)
        self._store = store
        self._box: _Box | None = None
        self._sessions = itertools.count(1)
        self._typed = QTimer(self)
        self._typed.setSingleShot(True)
        self._typed.setInterval(_TYPING_MS)
        self._typed.timeout.connect(self._keep)
        self.closeEditor.connect(self._on_closed)

    def _keep(self) -> None:
        if self._box is not None:
            self.commitData.emit(self._box)

    def _on_closed(self, editor: QWidget, hint: QStyledItemDelegate.EndEditHint) -> None:
        if editor is self._box:  # one that a reset of the rows closed tells of it late
            self._typed.stop()
            self._box = None
        if isinstance(editor, _Box) and hint == QStyledItemDelegate.EndEditHint.RevertModelCache:
            model = editor.index.model()
            if isinstance(model, CaptionModel) and editor.before is not None:
                model.type_in(editor.index, editor.before, editor.session)

    @property
    def box(self) -> QPlainTextEdit | None:
        """Where captions are being typed."""
        return self._box

    def forget(self) -> None:
        """The rows are other ones: the view closed the box without a word."""
        self._typed.stop()
        self._box = None

    def eventFilter(self, editor: QObject, event: QEvent) -> bool:
        if (
            event.type() == QEvent.Type.KeyPress
            and isinstance(event, QKeyEvent)
            and isinstance(editor, QWidget)
        ):
            step = _step(event, isinstance(editor, QPlainTextEdit))
            if step is not None:
                self.commitData.emit(editor)
                self.closeEditor.emit(editor, QStyledItemDelegate.EndEditHint.NoHint)
                self.gone_on.emit(*step)
                return True
            if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and isinstance(editor, QPlainTextEdit):
                editor.insertPlainText("\n")
                return True
        return super().eventFilter(editor, event)

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
        unsaved = index.column() != FILE and index.data(Qt.ItemDataRole.UserRole)
        painter.setPen(QColor(t.accent if unsaved else t.text if index.column() <= CAPTIONS else t.muted))
        room = QRect(left, rect.top(), rect.right() - left - theme.S, rect.height())
        lines = str(index.data() or "").split("\n")
        if len(lines) > 2:
            lines = [lines[0], f"{lines[1]}  (+{len(lines) - 2})"]
        mode = Qt.TextElideMode.ElideMiddle if index.column() == 0 else Qt.TextElideMode.ElideRight
        shown = "\n".join(option.fontMetrics.elidedText(line, mode, room.width()) for line in lines)
        painter.drawText(room, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, shown)
        if option.state & QStyle.StateFlag.State_HasFocus:
            painter.setPen(QPen(QColor(t.accent), 2))
            painter.drawRect(rect.adjusted(1, 1, -1, -1))
        painter.restore()

    def _picture(self, painter: QPainter, place: QRect, index: Index) -> None:
        painter.fillRect(place, QColor(theme.PAPER))
        ratio = painter.device().devicePixelRatio() if painter.device() is not None else 1.0
        pixmap = self._store.get(index.data(PICTURE), round(_ROW * ratio))
        if pixmap is not None:
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
            target = QRect(place)
            target.setSize(QSize(pixmap.size()).scaled(place.size(), Qt.AspectRatioMode.KeepAspectRatio))
            target.moveCenter(place.center())
            painter.drawPixmap(target, pixmap)

    def createEditor(self, parent: QWidget, _option: QStyleOptionViewItem, index: Index) -> QWidget:
        session = next(self._sessions)
        if index.column() == CAPTIONS:
            editor = _Box(parent, session)
            self._box = editor
            editor.textChanged.connect(self._typed.start)
            SpokenName(editor, HEADERS[CAPTIONS])
            return editor
        if index.column() != PART:
            line = QLineEdit(parent)
            SpokenName(line, HEADERS[index.column()])
            return line
        choice = QComboBox(parent)
        for name, words in SPLITS.items():
            choice.addItem(_(words), name)
        SpokenName(choice, HEADERS[PART])
        choice.activated.connect(lambda _n: self.commitData.emit(choice))
        return choice

    def updateEditorGeometry(self, editor: QWidget, option: QStyleOptionViewItem, _index: Index) -> None:  # noqa: N802
        """The box of captions is taller than the row, so that three can be seen."""
        editor.setGeometry(option.rect.adjusted(0, 0, 0, 40 if isinstance(editor, _Box) else 0))

    def setEditorData(self, editor: QWidget, index: Index) -> None:
        text = str(index.data(Qt.ItemDataRole.EditRole))
        if isinstance(editor, _Box):
            if editor.before is None:  # not again while one types
                editor.before = text
                editor.index = QPersistentModelIndex(index)
                editor.setPlainText(text)
                editor.selectAll()
                self._typed.stop()  # nothing was typed yet
        elif isinstance(editor, QLineEdit):
            if not editor.isModified():
                editor.setText(text)
                editor.selectAll()
        elif isinstance(editor, QComboBox):
            editor.setCurrentIndex(max(editor.findData(text), 0))

    def setModelData(self, editor: QWidget, model: QAbstractItemModel, index: Index) -> None:
        if isinstance(editor, _Box) and isinstance(model, CaptionModel):
            model.type_in(index, editor.toPlainText(), editor.session)
        elif isinstance(editor, QLineEdit):
            model.setData(index, editor.text(), Qt.ItemDataRole.EditRole)
        elif isinstance(editor, QComboBox):
            model.setData(index, editor.currentData(), Qt.ItemDataRole.EditRole)


def _step(event: QKeyEvent, lines: bool) -> tuple[int, int] | None:
    """Where a key goes on to from an open box: rows and fields; None where it stays."""
    key, shift = event.key(), bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
    if key == Qt.Key.Key_Backtab or (key == Qt.Key.Key_Tab and shift):
        return 0, -1
    if key == Qt.Key.Key_Tab:
        return 0, 1
    if key in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and not (lines and shift):
        return (-1 if shift else 1), 0
    return None


class CaptionTable(QTableView):
    """The editable table: arrows move, typing edits, Enter and Tab go on."""

    current = Signal(str)  # the drawing that the cursor is on; "" for none

    def __init__(self, store: PictureStore) -> None:
        super().__init__()
        self.captions = CaptionModel(self)
        self.setModel(self.captions)
        self._editor = _Editor(store, self)
        self._editor.gone_on.connect(self.go_on)
        self.captions.modelReset.connect(self._editor.forget)
        self.setItemDelegate(self._editor)
        self.setSortingEnabled(True)
        self.sortByColumn(-1, Qt.SortOrder.AscendingOrder)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(_ROW)
        self.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setTabKeyNavigation(False)  # Tab leaves the table; in an open box it goes to the next field
        self.setEditTriggers(
            QAbstractItemView.EditTrigger.DoubleClicked
            | QAbstractItemView.EditTrigger.EditKeyPressed
            | QAbstractItemView.EditTrigger.AnyKeyPressed
            | QAbstractItemView.EditTrigger.SelectedClicked
        )
        header = self.horizontalHeader()
        header.setHighlightSections(False)
        self._narrow: bool | None = None  # not laid out yet
        header.setSectionResizeMode(CAPTIONS, QHeaderView.ResizeMode.Stretch)
        store.arrived.connect(self.viewport().update)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Where there is little room all columns are narrower: the last ones must not be out of sight."""
        super().resizeEvent(event)
        narrow = self.width() < _LITTLE
        if narrow != self._narrow:  # widths that were drawn by hand stay otherwise
            self._narrow = narrow
            for column, width in enumerate(_NARROW if narrow else _WIDE):
                self.setColumnWidth(column, width)

    @property
    def chosen(self) -> list[str]:
        """The selected drawings, in the order of their rows."""
        rows = sorted(self.selectionModel().selectedRows(), key=QModelIndex.row)
        return [self.captions.path(index) for index in rows]

    @property
    def current_path(self) -> str:
        """The drawing that the cursor is on, "" for none."""
        return self.captions.path(self.currentIndex()) if self.currentIndex().isValid() else ""

    def show_collection(
        self,
        collection: Collection,
        parts: Mapping[int, str],
        draft: Mapping[str, DraftEdit] | None = None,
    ) -> None:
        """Shows a collection; what is being typed and where the cursor is stay, if the drawing does.

        Args:
            collection: What was read.
            parts: Item -> part of the split.
            draft: What is unsaved of it; None for what is there already.
        """
        box = self._editor.box
        if box is not None:
            self._editor.commitData.emit(box)
        place = None if box is None else box.textCursor().position()
        before, column = self.current_path, self.currentIndex().column()
        same = self.captions.root == collection.root
        self.captions.show(collection, parts, self.captions.draft if draft is None else draft)
        at = self.captions.index_of(before, max(column, CAPTIONS)) if before and same else QModelIndex()
        if at.isValid() and at != self.currentIndex():
            self.setCurrentIndex(at)
        elif not self.currentIndex().isValid() and self.captions.rowCount():
            self.setCurrentIndex(self.captions.index(0, CAPTIONS))
        if at.isValid() and place is not None and self._editor.box is None:
            # New files make new rows; who was typing types on.
            self._type_on(at, place)
        self.current.emit(self.current_path)

    def _type_on(self, at: QModelIndex, place: int) -> None:
        """Opens a box again with the cursor where it was."""
        self.edit(at)
        box = self._editor.box
        if box is not None:
            cursor = box.textCursor()
            cursor.setPosition(place)
            box.setTextCursor(cursor)

    def show_rows(self, rows: Sequence[int]) -> None:
        """Shows only these items of the collection."""
        self.captions.show_rows(rows)

    def commit(self) -> None:
        """Ends typing, keeping what was typed: what comes next must not be overwritten by it."""
        box = self._editor.box
        if box is not None:
            self._editor.commitData.emit(box)
            self._editor.closeEditor.emit(box, QStyledItemDelegate.EndEditHint.NoHint)

    def go_on(self, rows: int, fields: int) -> None:
        """Moves to another drawing or field and opens it for typing."""
        now = self.currentIndex()
        place = EDITABLE.index(now.column()) + fields if now.column() in EDITABLE else 0
        row = now.row() + rows + place // len(EDITABLE)
        if not 0 <= row < self.captions.rowCount():
            return
        there = self.captions.index(row, EDITABLE[place % len(EDITABLE)])
        self.setCurrentIndex(there)
        self.edit(there)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Enter opens the captions for typing; so does typing, wherever the cursor is in a row."""
        now = self.currentIndex()
        opens = event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter)
        if now.isValid() and now.column() == FILE and (opens or event.text().strip()):
            now = now.siblingAtColumn(CAPTIONS)
            self.setCurrentIndex(now)
        if opens and now.isValid():
            self.edit(now)
            return
        super().keyPressEvent(event)

    def currentChanged(self, current: Index, previous: Index) -> None:  # noqa: N802 - Qt's name
        super().currentChanged(current, previous)
        if current.isValid():
            self.current.emit(self.captions.path(current))

    def retranslate(self) -> None:
        """The header in the current language."""
        self.captions.headerDataChanged.emit(Qt.Orientation.Horizontal, 0, len(HEADERS) - 1)
        self.viewport().update()
