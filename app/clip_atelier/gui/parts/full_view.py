"""Results one by one, as large as the window; a part of a picture can be marked to search with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QEvent, QObject, QPoint, QPointF, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen, QShowEvent
from PySide6.QtWidgets import QFrame, QWidget

from clip_atelier.engine.core import N_, paths
from clip_atelier.gui import theme
from clip_atelier.gui.parts.pictures import PictureStore, Tile
from clip_atelier.gui.widgets.layout import column, row
from clip_atelier.gui.widgets.text import Button, ElidedLabel, Label, SpokenName

_LEAST = 0.02  # of a side: what is smaller was a click, not a rectangle


class Sheet(QWidget):
    """The picture, and a rectangle drawn on it with the pointer."""

    marked = Signal(bool)  # whether a part is marked now

    def __init__(self, store: PictureStore) -> None:
        super().__init__()
        self._store = store
        self._path: Path | None = None
        self._from: QPointF | None = None
        self.part: QRectF | None = None  # in shares of the picture's sides
        self.setMouseTracking(True)
        self.setCursor(Qt.CursorShape.CrossCursor)
        store.arrived.connect(self.update)

    def show_path(self, path: Path) -> None:
        """Shows another file."""
        self._path = path
        self.unmark()

    def unmark(self) -> None:
        """Takes the rectangle away."""
        self.part = None
        self._from = None
        self.marked.emit(False)
        self.update()

    def target(self) -> QRect:
        """Where the picture lies on the sheet; empty while it is not read yet."""
        pixmap = None if self._path is None else self._store.get(self._path, self._size())
        if pixmap is None:
            return QRect()
        room = self.rect().adjusted(theme.S, theme.S, -theme.S, -theme.S)
        fit = QSize(pixmap.size()).scaled(room.size(), Qt.AspectRatioMode.KeepAspectRatio)
        found = QRect(QPoint(0, 0), fit)
        found.moveCenter(room.center())
        return found

    def _size(self) -> int:
        # In steps, so that a window that is being resized does not read the file for every pixel.
        side = max(self.width(), self.height()) * self.devicePixelRatioF()
        return max(512, -(-round(side) // 512) * 512)

    def paintEvent(self, _event: QPaintEvent) -> None:
        if self._path is None:
            return
        t = theme.tokens(self.palette())
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        target = self.target()
        pixmap = self._store.get(self._path, self._size())
        if pixmap is not None:
            painter.fillRect(target, QColor(theme.PAPER))
            painter.drawPixmap(target, pixmap)
        elif self._store.is_unreadable(self._path, self._size()):
            painter.setPen(QColor(t.muted))
            painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, "×")
        if self.part is not None:
            frame = self._on_sheet(self.part, target)
            # Two lines, so that the frame is seen on dark and on light drawings.
            painter.setPen(QPen(QColor("white"), 3))
            painter.drawRect(frame)
            painter.setPen(QPen(QColor(t.accent), 1.5))
            painter.drawRect(frame)
        painter.end()

    @staticmethod
    def _on_sheet(part: QRectF, target: QRect) -> QRectF:
        return QRectF(
            target.left() + part.left() * target.width(),
            target.top() + part.top() * target.height(),
            part.width() * target.width(),
            part.height() * target.height(),
        )

    def _share(self, at: QPointF) -> QPointF | None:
        target = self.target()
        if target.isEmpty():
            return None
        x = (at.x() - target.left()) / target.width()
        y = (at.y() - target.top()) / target.height()
        return QPointF(min(max(x, 0.0), 1.0), min(max(y, 0.0), 1.0))

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            self.unmark()
            self._from = self._share(event.position())

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        to = self._share(event.position())
        if self._from is None or to is None:
            return
        drawn = QRectF(self._from, to).normalized()
        self.part = drawn if min(drawn.width(), drawn.height()) >= _LEAST else None
        self.update()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        self.mouseMoveEvent(event)
        self._from = None
        self.marked.emit(self.part is not None)


class FullView(QFrame):
    """Lies over the whole window until Escape. Arrow keys go on and back."""

    part_wanted = Signal(object, object)  # a file, and the marked part in shares of its sides
    alike_wanted = Signal(object)  # a tile
    closed = Signal(object)  # the tile that was seen last

    def __init__(self, store: PictureStore, over: QWidget) -> None:
        super().__init__(over)
        self._over = over
        self.setAutoFillBackground(True)
        self.setProperty("role", "page")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        SpokenName(self, N_("Full view"))
        self._tiles: Sequence[Tile] = ()
        self._place = 0
        self.sheet = Sheet(store)
        self.title = Label(role="heading")
        self.name = ElidedLabel(role="caption")
        self.count = Label(role="caption")
        self.hint = Label(
            N_("Drag a rectangle over a part to search with it. ← → other results, Esc closes."), "caption"
        )
        self.part = Button(N_("Search with this part"), "primary", "search")
        self.alike = Button(N_("More like this"), "plain", "search")
        close = Button("", "icon", "x", tip=N_("Close"))
        for button in (self.part, self.alike, close):
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.part.clicked.connect(self._on_part)
        self.alike.clicked.connect(self._on_alike)
        close.clicked.connect(self.leave)
        self.sheet.marked.connect(self.part.setVisible)
        self.part.hide()
        head = row(self.title, self.count, theme.M, self.name, self.part, self.alike, close, gap=theme.M)
        head.setStretch(3, 1)
        layout = column(head, self.sheet, self.hint, gap=theme.S)
        layout.setStretch(1, 1)
        layout.setContentsMargins(theme.L, theme.M, theme.L, theme.M)
        self.setLayout(layout)
        over.installEventFilter(self)
        self.hide()

    @property
    def tile(self) -> Tile:
        """What is seen now."""
        return self._tiles[self._place]

    def open_at(self, tiles: Sequence[Tile], place: int) -> None:
        """Shows one of several results."""
        if not tiles:
            return
        self._tiles, self._place = tiles, place
        self.setGeometry(self._over.rect())
        self._draw()
        self.show()
        self.raise_()
        self.setFocus()

    def leave(self) -> None:
        """Goes away and tells which result was seen last."""
        if not self.isHidden():
            self.hide()
            self.closed.emit(self.tile)

    def go(self, steps: int) -> None:
        """On to another result; stays at the ends."""
        place = min(max(self._place + steps, 0), len(self._tiles) - 1)
        if place != self._place:
            self._place = place
            self._draw()

    def _draw(self) -> None:
        tile = self.tile
        self.title.show_literal(tile.title)
        self.name.show_literal(paths.shown(tile.path.name))
        self.count.say(N_("{place} of {count}"), place=self._place + 1, count=len(self._tiles))
        self.sheet.show_path(tile.path)

    def _on_part(self) -> None:
        part, path = self.sheet.part, self.tile.path
        if part is not None:
            self.leave()
            self.part_wanted.emit(path, part)

    def _on_alike(self) -> None:
        tile = self.tile
        self.leave()
        self.alike_wanted.emit(tile)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Arrow keys, Home and End go through the results; Escape first takes a marked part away, then closes."""
        keys = Qt.Key
        steps = {
            keys.Key_Right: 1, keys.Key_Down: 1, keys.Key_Left: -1, keys.Key_Up: -1,
            keys.Key_Home: -len(self._tiles), keys.Key_End: len(self._tiles),
        }  # fmt: skip
        key = Qt.Key(event.key())
        if key in steps:
            self.go(steps[key])
        elif key == keys.Key_Escape and self.sheet.part is not None:
            self.sheet.unmark()
        elif key in (keys.Key_Escape, keys.Key_Space):
            self.leave()
        elif key in (keys.Key_Return, keys.Key_Enter) and self.sheet.part is not None:
            self._on_part()
        else:
            super().keyPressEvent(event)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self.setFocus()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """It stays as large as the window below it."""
        if event.type() == QEvent.Type.Resize and not self.isHidden():
            self.setGeometry(self._over.rect())
        return super().eventFilter(watched, event)
