"""The table of captions, edited in place by keyboard."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import QModelIndex, Qt, QTimer, Signal
from PySide6.QtGui import QFocusEvent, QInputMethodEvent, QKeyEvent, QMouseEvent, QResizeEvent
from PySide6.QtWidgets import QAbstractItemView, QApplication, QHeaderView, QStyledItemDelegate, QTableView

from clip_atelier.gui.pages.collection.caption_editor import ROW, Box, Editor
from clip_atelier.gui.pages.collection.caption_model import (
    CAPTIONS,
    EDITABLE,
    FILE,
    HEADERS,
    CaptionModel,
    Index,
)
from clip_atelier.gui.widgets.text import Field

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clip_atelier.engine.data import Collection, DraftEdit
    from clip_atelier.gui.parts.pictures import PictureStore

_LITTLE, _MUCH = 640, 1000  # pixels
_CALM_MS = 120  # after a finished syllable, within which the next one has begun where one types on
_NARROW, _WIDE, _BROAD = (
    (132, 200, 72, 72, 80),
    (190, 260, 100, 100, 96),
    (280, 400, 160, 140, 110),
)  # of the columns


class CaptionTable(QTableView):
    """The editable table: arrows move, typing edits, Enter and Tab go on."""

    current = Signal(str)  # the drawing that the cursor is on; "" for none

    def __init__(self, store: PictureStore) -> None:
        super().__init__()
        self.captions = CaptionModel(self)
        self.setModel(self.captions)
        self._editor = Editor(store, self)
        self._editor.gone_on.connect(self.go_on)
        self.captions.modelReset.connect(self._editor.forget)
        self.setItemDelegate(self._editor)
        self._calm = QTimer(self)
        self._calm.setSingleShot(True)
        self._calm.setInterval(_CALM_MS)
        self._calm.timeout.connect(self._on_calm)
        self.setSortingEnabled(True)
        self.sortByColumn(-1, Qt.SortOrder.AscendingOrder)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(ROW)
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
        self._widths: tuple[int, ...] = ()  # not laid out yet
        header.setSectionResizeMode(CAPTIONS, QHeaderView.ResizeMode.Stretch)
        store.arrived.connect(self.viewport().update)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Where there is little room all columns are narrower: the last ones must not be out of sight. Where there is much, names are whole."""
        super().resizeEvent(event)
        widths = _NARROW if self.width() < _LITTLE else _WIDE if self.width() < _MUCH else _BROAD
        if widths != self._widths:  # widths that were drawn by hand stay otherwise
            self._widths = widths
            for column, width in enumerate(widths):
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
        self._editor.keep()
        box = self._editor.box
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
        self._editor.keep()
        if self._editor.open is not None:
            self._editor.closeEditor.emit(self._editor.open, QStyledItemDelegate.EndEditHint.NoHint)

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
        waiting = self._waiting
        if waiting is not None:  # what ends a word that an input method put together is meant for the box
            self._go_in()
            QApplication.sendEvent(waiting, event)
            return
        now = self.currentIndex()
        opens = event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter)
        if now.isValid() and now.column() == FILE and (opens or event.text().strip()):
            now = now.siblingAtColumn(CAPTIONS)
            self.setCurrentIndex(now)
        if opens and now.isValid():
            self.edit(now)
            return
        super().keyPressEvent(event)

    def inputMethodEvent(self, event: QInputMethodEvent) -> None:
        """So does typing with an input method, which begins with a syllable that is not finished.

        Whoever takes the focus then ends it, so the table keeps the focus and hands on what comes. Qt does the same, but only
        up to the first finished syllable, when the next one may have begun already, as in Korean, and would be lost.
        """
        waiting = self._waiting
        if waiting is not None:
            QApplication.sendEvent(waiting, event)
            self._calm.start()
            return
        now = self.currentIndex()
        if now.column() == FILE and (event.preeditString() or event.commitString()):
            self.setCurrentIndex(now.siblingAtColumn(CAPTIONS))
        super().inputMethodEvent(event)

    @property
    def composing(self) -> bool:
        """Whether a syllable is being put together, which other rows would end."""
        return self._editor.open is not None and bool(self._editor.open.unfinished)

    @property
    def _waiting(self) -> Box | Field | None:
        """What is open for typing while the table still has the focus."""
        return self._editor.open if self.hasFocus() else None

    def _on_calm(self) -> None:
        waiting = self._waiting
        if waiting is not None and not waiting.unfinished:
            self._go_in()

    def _go_in(self) -> None:
        """From now on the box itself is typed in."""
        waiting = self._waiting
        super().inputMethodEvent(QInputMethodEvent())  # ends Qt's own waiting
        if waiting is not None:
            waiting.setFocus()
        if isinstance(waiting, Field):
            waiting.end(False)  # Qt selects all of it, and the next letter would take its place

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if self._waiting is not None:
            self.commit()
        super().mousePressEvent(event)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        """What waits for more syllables knows nothing of the focus that it did not have."""
        super().focusOutEvent(event)
        waiting = self._editor.open
        if waiting is not None and QApplication.focusWidget() is not waiting:
            self._editor.commitData.emit(waiting)
            self._editor.closeEditor.emit(waiting, QStyledItemDelegate.EndEditHint.NoHint)

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        self._take_syllables()

    def _take_syllables(self) -> None:
        """Qt asks the input method only where a cell is edited in its place; here typing goes on to the captions."""
        self.setAttribute(Qt.WidgetAttribute.WA_InputMethodEnabled, self.currentIndex().isValid())

    def currentChanged(self, current: Index, previous: Index) -> None:  # noqa: N802 - Qt's name
        super().currentChanged(current, previous)
        self._take_syllables()
        if current.isValid():
            self.current.emit(self.captions.path(current))

    def retranslate(self) -> None:
        """The header in the current language."""
        self.captions.headerDataChanged.emit(Qt.Orientation.Horizontal, 0, len(HEADERS) - 1)
        self.viewport().update()
