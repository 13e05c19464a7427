"""One picture, large: in its place, or beside the pointer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import (
    QPoint,
    QRect,
    QRectF,
    QSize,
    Qt,
)
from PySide6.QtGui import (
    QColor,
    QPainter,
    QPainterPath,
    QPaintEvent,
    QPen,
)
from PySide6.QtWidgets import (
    QFrame,
    QLabel,
    QWidget,
)

from clip_atelier.engine.core import paths
from clip_atelier.gui import theme
from clip_atelier.gui.widgets.layout import column
from clip_atelier.gui.widgets.text import ElidedLabel, Label

if TYPE_CHECKING:
    from clip_atelier.gui.parts.pictures import PictureStore, Tile


class LargePicture(QLabel):
    """One picture as large as its place allows."""

    def __init__(self, store: PictureStore, side: int) -> None:
        super().__init__()
        self._store = store
        self._path: Path | None = None
        self.setFixedHeight(side)
        self.setMinimumWidth(80)
        store.arrived.connect(self.update)

    def show_path(self, path: Path | None) -> None:
        """Shows another file, or nothing."""
        self._path = path
        self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        if self._path is None:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        outline = QPainterPath()
        outline.addRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), theme.RADIUS, theme.RADIUS)
        painter.fillPath(outline, QColor(theme.PAPER))
        ratio = self.devicePixelRatioF()
        pixmap = self._store.get(self._path, round(self.height() * ratio))
        if pixmap is not None:
            room = self.rect().adjusted(6, 6, -6, -6)
            fit = QSize(pixmap.size()).scaled(room.size(), Qt.AspectRatioMode.KeepAspectRatio)
            target = QRect(QPoint(0, 0), fit)
            target.moveCenter(room.center())
            painter.drawPixmap(target, pixmap)
        painter.setPen(QPen(QColor(theme.tokens(self.palette()).line), 1))
        painter.drawPath(outline)
        painter.end()


class Peek(QFrame):
    """A large look at a picture while the pointer rests on it."""

    def __init__(self, store: PictureStore, parent: QWidget) -> None:
        super().__init__(parent, Qt.WindowType.ToolTip)
        self.setProperty("role", "card")
        self._tile: Tile | None = None
        self._picture = LargePicture(store, 300)
        self._picture.setFixedWidth(300)
        self._title = Label(role="strong", wrap=True)
        self._name = ElidedLabel(role="caption")
        self._mark = Label(role="caption", wrap=True)
        layout = column(self._picture, self._title, self._name, self._mark, gap=theme.XS)
        layout.setContentsMargins(theme.S, theme.S, theme.S, theme.S)
        self.setLayout(layout)
        self.setFixedWidth(300 + 2 * theme.S)

    def show_tile(self, tile: Tile, at: QPoint) -> None:
        """Shows a tile's picture beside the pointer, inside the screen."""
        self._tile = tile
        self._picture.show_path(tile.path)
        self._title.show_literal(tile.title)
        self._name.show_literal(paths.shown(tile.path.name))
        self._mark.say(tile.mark)
        self._mark.setVisible(bool(tile.mark))
        self.adjustSize()
        room = self.screen().availableGeometry()
        x = at.x() + 18 if at.x() + 18 + self.width() <= room.right() else at.x() - 18 - self.width()
        y = max(room.top(), min(at.y() - 40, room.bottom() - self.height()))
        self.move(x, y)
        self.show()

    def leave(self, tile: Tile | None) -> None:
        """The pointer went to another tile."""
        if tile is not self._tile:
            self.hide()
