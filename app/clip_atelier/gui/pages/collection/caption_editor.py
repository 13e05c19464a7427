"""Where a drawing's captions, label, pair and part are typed: what opens in a cell of the table, and how cells are drawn."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from PySide6.QtCore import (
    QAbstractItemModel,
    QEvent,
    QObject,
    QPersistentModelIndex,
    QRect,
    QSize,
    Qt,
    QTimer,
    Signal,
)
from PySide6.QtGui import QColor, QInputMethodEvent, QKeyEvent, QPainter, QPen
from PySide6.QtWidgets import (
    QComboBox,
    QPlainTextEdit,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QWidget,
)
from shiboken6 import isValid

from clip_atelier.engine.core import _
from clip_atelier.gui import theme
from clip_atelier.gui.pages.collection.caption_model import (
    CAPTIONS,
    FILE,
    HEADERS,
    PART,
    PICTURE,
    SPLITS,
    CaptionModel,
    Index,
)
from clip_atelier.gui.widgets.text import Field, SpokenName, finish_composing

if TYPE_CHECKING:
    from clip_atelier.gui.parts.pictures import PictureStore

ROW = 48
"""Pixels that a row of the table is high."""
_TYPING_MS = 400


class Box(QPlainTextEdit):
    """Where captions are typed; knows what they were, and whether it was filled."""

    def __init__(self, parent: QWidget, session: int) -> None:
        super().__init__(parent)
        self.before: str | None = None
        self.index = QPersistentModelIndex()
        self.session = session
        self.unfinished = ""
        """A syllable that an input method is still at."""

    def inputMethodEvent(self, event: QInputMethodEvent) -> None:
        self.unfinished = event.preeditString()
        super().inputMethodEvent(event)


class Editor(QStyledItemDelegate):
    """Draws a small picture beside the file's name; edits captions in a box of several lines.

    What is typed reaches the draft after a moment, not only when the box closes; Escape takes it back. Enter goes on to the
    next drawing, Tab to the next field; Shift+Enter begins another caption.
    """

    gone_on = Signal(int, int)  # rows, fields

    def __init__(self, store: PictureStore, parent: QObject) -> None:
        super().__init__(parent)
        self._store = store
        self._open: Box | Field | None = None
        self._sessions = itertools.count(1)
        self._typed = QTimer(self)
        self._typed.setSingleShot(True)
        self._typed.setInterval(_TYPING_MS)
        self._typed.timeout.connect(self._keep)
        self.closeEditor.connect(self._on_closed)

    def _keep(self) -> None:
        box = self.box
        if box is None:
            return
        if box.unfinished and not box.toPlainText():
            # The first syllable took the place of what stood there, and is none yet.
            self._typed.start()
        else:
            self.commitData.emit(box)

    def _on_closed(self, editor: QWidget, hint: QStyledItemDelegate.EndEditHint) -> None:
        if editor is self._open:  # one that a reset of the rows closed tells of it late
            self.forget()
        if isinstance(editor, Box) and hint == QStyledItemDelegate.EndEditHint.RevertModelCache:
            model = editor.index.model()
            if isinstance(model, CaptionModel) and editor.before is not None:
                model.type_in(editor.index, editor.before, editor.session)

    @property
    def box(self) -> Box | None:
        """Where captions are being typed."""
        return self.open if isinstance(self.open, Box) else None

    @property
    def open(self) -> Box | Field | None:
        """Where anything is being typed. A view that turns to another row closes it without a word: it is hidden then."""
        there = self._open is not None and isValid(self._open) and not self._open.isHidden()
        return self._open if there else None

    def keep(self) -> None:
        """Hands over what is being typed, with the syllable that an input method has not finished."""
        if self.open is not None:
            finish_composing()
            self.commitData.emit(self.open)

    def forget(self) -> None:
        """The rows are other ones: the view closed the box without a word."""
        self._typed.stop()
        self._open = None

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
        pixmap = self._store.get(index.data(PICTURE), round(ROW * ratio))
        if pixmap is not None:
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
            target = QRect(place)
            target.setSize(QSize(pixmap.size()).scaled(place.size(), Qt.AspectRatioMode.KeepAspectRatio))
            target.moveCenter(place.center())
            painter.drawPixmap(target, pixmap)

    def createEditor(self, parent: QWidget, _option: QStyleOptionViewItem, index: Index) -> QWidget:
        session = next(self._sessions)
        if index.column() == CAPTIONS:
            editor = Box(parent, session)
            self._open = editor
            editor.textChanged.connect(self._typed.start)
            SpokenName(editor, HEADERS[CAPTIONS])
            return editor
        if index.column() != PART:
            line = Field()
            line.setParent(parent)
            self._open = line
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
        editor.setGeometry(option.rect.adjusted(0, 0, 0, 40 if isinstance(editor, Box) else 0))

    def setEditorData(self, editor: QWidget, index: Index) -> None:
        text = str(index.data(Qt.ItemDataRole.EditRole))
        if isinstance(editor, Box):
            if editor.before is None:  # not again while one types
                editor.before = text
                editor.index = QPersistentModelIndex(index)
                editor.setPlainText(text)
                editor.selectAll()
                self._typed.stop()  # nothing was typed yet
        elif isinstance(editor, Field):
            if not (editor.isModified() or editor.unfinished):
                editor.setText(text)
                editor.selectAll()
        elif isinstance(editor, QComboBox):
            editor.setCurrentIndex(max(editor.findData(text), 0))

    def setModelData(self, editor: QWidget, model: QAbstractItemModel, index: Index) -> None:
        if isinstance(editor, Box) and isinstance(model, CaptionModel):
            model.type_in(index, editor.toPlainText(), editor.session)
        elif isinstance(editor, Field):
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
