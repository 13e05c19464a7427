"""Grids of pictures that never wait for a file: small pictures are read beside the window and kept within a limit."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import (
    QAbstractListModel,
    QEvent,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QRect,
    QRectF,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import (
    QColor,
    QFont,
    QHelpEvent,
    QImage,
    QMouseEvent,
    QPainter,
    QPainterPath,
    QPen,
    QPixmap,
    QResizeEvent,
)
from PySide6.QtWidgets import (
    QAbstractItemView,
    QListView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
)

from clip_atelier.engine.core import _
from clip_atelier.gui import theme

if TYPE_CHECKING:
    from clip_atelier.gui.workers import ThumbnailLoader
from clip_atelier.gui.parts.large_pictures import Peek

_KEPT_BYTES = 160 * 1024 * 1024


Index = QModelIndex | QPersistentModelIndex


def read_picture(path: Path, size: int) -> QImage:
    """A small picture of a file, through the engine's one gate; called on the picture threads."""
    from clip_atelier.engine.data import image_gate

    picture = image_gate.thumbnail(path, size).convert("RGBA")
    data = picture.tobytes()
    # copy(): the image must own its bytes, `data` goes when this function ends.
    return QImage(
        data, picture.width, picture.height, picture.width * 4, QImage.Format.Format_RGBA8888
    ).copy()


class PictureStore(QObject):
    """Small pictures in memory, the longest unused dropped first."""

    arrived = Signal()

    def __init__(self, pictures: ThumbnailLoader, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._pictures = pictures
        self._kept: OrderedDict[tuple[str, int], QPixmap | None] = OrderedDict()
        self._bytes = 0
        pictures.ready.connect(self._on_ready)

    def get(self, path: Path, size: int) -> QPixmap | None:
        """The picture of a file if it is at hand; else it is asked for and `arrived` tells when it came."""
        key = (str(path), size)
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        self._pictures.ask(key, lambda: read_picture(path, size))
        return None

    def is_unreadable(self, path: Path, size: int) -> bool:
        """Whether the file was tried and could not be read."""
        key = (str(path), size)
        return key in self._kept and self._kept[key] is None

    def clear(self) -> None:
        """Forgets everything: the files may have changed."""
        self._pictures.forget()
        self._kept.clear()
        self._bytes = 0

    def _on_ready(self, key: tuple[str, int], image: QImage | None) -> None:
        pixmap = None if image is None else QPixmap.fromImage(image)
        # A picture can come twice: it may be asked for again while its first answer is on the way.
        self._bytes -= _weight(self._kept.pop(key, None))
        self._kept[key] = pixmap
        self._bytes += _weight(pixmap)
        while self._bytes > _KEPT_BYTES and len(self._kept) > 1:
            _key, dropped = self._kept.popitem(last=False)
            self._bytes -= _weight(dropped)
        self.arrived.emit()


def _weight(pixmap: QPixmap | None) -> int:
    return 0 if pixmap is None else pixmap.width() * pixmap.height() * 4


@dataclass(frozen=True)
class Tile:
    """One picture of a grid.

    Attributes:
        path: The file.
        title: The line below it; plain text.
        note: A fainter second line.
        badge: A short mark in the corner: a rank, a number of a group.
        tone: Colour of the note: "muted", "gain", "loss" or "accent".
        data: What the page wants to know about it.
        mark: What a dot in the other corner stands for, told beside the large picture; no dot where it is empty.
    """

    path: Path
    title: str
    note: str = ""
    badge: str = ""
    tone: str = "muted"
    data: Any = None
    mark: str = ""


@dataclass(frozen=True)
class Divider:
    """A line of words across a grid, between the pictures above and those below it."""

    title: str


TILE = Qt.ItemDataRole.UserRole + 1
DIVIDER = Qt.ItemDataRole.UserRole + 2


class TileModel(QAbstractListModel):
    """A list of tiles, with at most one line of words among them."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._tiles: Sequence[Tile] = ()
        self._divider: Divider | None = None
        self._place = 0

    def show(self, tiles: Sequence[Tile], divider: Divider | None = None, place: int = 0) -> None:
        """Shows other tiles, the divider before the one at `place`."""
        self.beginResetModel()
        self._tiles, self._divider, self._place = tiles, divider, place
        self.endResetModel()

    def tile(self, row: int) -> Tile:
        """The tile in a row that is not the divider's."""
        return self._tiles[row - (self._divider is not None and row > self._place)]

    @property
    def all(self) -> Sequence[Tile]:
        """Every tile, as they stand."""
        return self._tiles

    def divider(self, row: int) -> Divider | None:
        """The divider if it is in this row."""
        return self._divider if row == self._place else None

    def flags(self, index: Index) -> Qt.ItemFlag:
        """The divider cannot be chosen; pictures can be dragged where their view lets them."""
        if self.divider(index.row()):
            return Qt.ItemFlag.NoItemFlags
        return super().flags(index) | Qt.ItemFlag.ItemIsDragEnabled

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own default
        return 0 if parent.isValid() else len(self._tiles) + (self._divider is not None)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Title, tile or divider; what the tile's mark stands for, for those who do not see it."""
        if not index.isValid():
            return None
        entry = self.divider(index.row()) or self.tile(index.row())
        if role == TILE:
            return entry if isinstance(entry, Tile) else None
        if role == DIVIDER:
            return entry if isinstance(entry, Divider) else None
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
            return entry.title
        if role == Qt.ItemDataRole.AccessibleDescriptionRole and isinstance(entry, Tile):
            return _(entry.mark) if entry.mark else None
        return None


class TileDelegate(QStyledItemDelegate):
    """Draws a picture on a sheet of paper, with its words below."""

    def __init__(self, store: PictureStore, side: int, lines: int, parent: QObject) -> None:
        super().__init__(parent)
        self._store = store
        self.side = side
        self.across = side  # width of a divider
        self.reading = round(side * 1.4)  # one size for all widths, so that a picture is read once
        self._lines = lines

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        if index.data(DIVIDER):
            return QSize(self.across, option.fontMetrics.height() + theme.L)
        height = self.side + theme.S + self._lines * (option.fontMetrics.height() + 1)
        return QSize(self.side, height)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        """Draws one tile, or the divider."""
        t = theme.tokens(option.palette)
        if divider := index.data(DIVIDER):
            self._across(painter, option, divider.title, t)
            return
        tile: Tile = index.data(TILE)
        rect = option.rect
        paper = QRectF(rect.left() + 1, rect.top() + 1, self.side - 2, self.side - 2)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        chosen = bool(option.state & QStyle.StateFlag.State_Selected)
        over = bool(option.state & QStyle.StateFlag.State_MouseOver)
        outline = QPainterPath()
        outline.addRoundedRect(paper, theme.RADIUS, theme.RADIUS)
        # Drawings are shown on white in both themes: ink on a dark sheet would be another drawing.
        painter.fillPath(outline, QColor(theme.PAPER))
        ratio = painter.device().devicePixelRatio() if painter.device() is not None else 1.0
        size = round(self.reading * ratio)
        pixmap = self._store.get(tile.path, size)
        if pixmap is not None:
            painter.setClipPath(outline)
            room = paper.adjusted(3, 3, -3, -3)
            fit = QSize(pixmap.size()).scaled(room.size().toSize(), Qt.AspectRatioMode.KeepAspectRatio)
            target = QRectF(0, 0, fit.width(), fit.height())
            target.moveCenter(room.center())
            painter.drawPixmap(target, pixmap, QRectF(pixmap.rect()))
            painter.setClipping(False)
        elif self._store.is_unreadable(tile.path, size):
            painter.setPen(QColor(theme.LIGHT.muted))
            painter.drawText(paper, Qt.AlignmentFlag.AlignCenter, "×")
        edge = t.accent if chosen else t.strong_line if over else t.line
        painter.setPen(QPen(QColor(edge), 2 if chosen else 1))
        painter.drawPath(outline)
        if option.state & QStyle.StateFlag.State_HasFocus and not chosen:
            painter.setPen(QPen(QColor(t.accent), 1, Qt.PenStyle.DotLine))
            painter.drawPath(outline)
        if tile.badge:
            self._badge(painter, option, paper, tile.badge, t)
        if tile.mark:
            painter.setPen(QPen(QColor(t.surface), 1.5))
            painter.setBrush(QColor(t.muted))
            painter.drawEllipse(QRectF(paper.right() - 16, paper.top() + 8, 8, 8))
            painter.setBrush(Qt.BrushStyle.NoBrush)
        line = option.fontMetrics.height() + 1
        top = rect.top() + self.side + theme.XS
        self._line(painter, option, QRect(rect.left() + 2, top, self.side - 4, line), tile.title, t.text)
        if self._lines > 1 and tile.note:
            below = QRect(rect.left() + 2, top + line, self.side - 4, line)
            self._line(painter, option, below, tile.note, str(getattr(t, tile.tone)))
        painter.restore()

    def _across(self, painter: QPainter, option: QStyleOptionViewItem, text: str, t: theme.Tokens) -> None:
        """Words at the left, a line from there to the right."""
        painter.save()
        room = option.rect.adjusted(2, 0, -2, 0)
        self._line(painter, option, room, text, t.muted)
        begin = room.left() + option.fontMetrics.horizontalAdvance(text) + theme.S
        painter.setPen(QPen(QColor(t.line), 1))
        if begin < room.right():
            painter.drawLine(begin, room.center().y(), room.right(), room.center().y())
        painter.restore()

    def _line(
        self, painter: QPainter, option: QStyleOptionViewItem, rect: QRect, text: str, colour: str
    ) -> None:
        painter.setPen(QColor(colour))
        shown = option.fontMetrics.elidedText(text, Qt.TextElideMode.ElideRight, rect.width())
        painter.drawText(rect, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, shown)

    def _badge(
        self, painter: QPainter, option: QStyleOptionViewItem, paper: QRectF, text: str, t: theme.Tokens
    ) -> None:
        width = max(option.fontMetrics.horizontalAdvance(text) + 10, 20)
        place = QRectF(paper.left() + 6, paper.top() + 6, width, 20)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(t.surface))
        painter.drawRoundedRect(place, theme.RADIUS_SMALL, theme.RADIUS_SMALL)
        painter.setPen(QColor(t.text))
        font = QFont(option.font)
        font.setBold(True)
        painter.setFont(font)
        painter.drawText(place, Qt.AlignmentFlag.AlignCenter, text)
        painter.setFont(option.font)


class TileView(QListView):
    """A grid of pictures."""

    opened = Signal(object)  # a tile: double click or Enter
    selected = Signal(object)  # a tile or None

    def __init__(self, store: PictureStore, side: int = 128, lines: int = 1) -> None:
        super().__init__()
        self.tiles = TileModel(self)
        self._store = store
        self._base_side = side
        self._delegate = TileDelegate(store, side, lines, self)
        self.setModel(self.tiles)
        self.setItemDelegate(self._delegate)
        self.setViewMode(QListView.ViewMode.IconMode)
        self.setResizeMode(QListView.ResizeMode.Adjust)
        self.setMovement(QListView.Movement.Static)
        self.setUniformItemSizes(True)
        self.setSpacing(theme.S - 2)
        self.setWordWrap(False)
        self.setMouseTracking(True)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.verticalScrollBar().setSingleStep(40)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self._peek = Peek(store, self)
        store.arrived.connect(self._on_arrived)
        self.activated.connect(lambda index: self.opened.emit(index.data(TILE)))
        self.selectionModel().currentChanged.connect(self._on_current)

    def show_tiles(self, tiles: Sequence[Tile], divider: Divider | None = None, place: int = 0) -> None:
        """Shows other pictures, the divider before the one at `place`."""
        self.setUniformItemSizes(divider is None)
        self.tiles.show(tiles, divider, place)
        self.selected.emit(None)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """The pictures share the whole width."""
        gap = self.spacing()
        room = self.viewport().width() - gap - 2
        columns = max(1, room // (self._base_side + gap))
        side = min(room // columns - gap, round(self._base_side * 1.4))
        across = room - gap
        if side > 16 and (side, across) != (self._delegate.side, self._delegate.across):
            self._delegate.side, self._delegate.across = side, across
            self.scheduleDelayedItemsLayout()
        super().resizeEvent(event)

    def viewportEvent(self, event: QEvent) -> bool:
        """Resting on a picture shows it large."""
        if isinstance(event, QHelpEvent):
            index = self.indexAt(event.pos())
            if index.data(TILE):
                self._peek.show_tile(index.data(TILE), event.globalPos())
            return True
        if event.type() in (
            QEvent.Type.Leave,
            QEvent.Type.Wheel,
            QEvent.Type.MouseButtonPress,
            QEvent.Type.Hide,
        ):
            self._peek.hide()
        elif isinstance(event, QMouseEvent) and event.type() == QEvent.Type.MouseMove:
            self._peek.leave(self.indexAt(event.position().toPoint()).data(TILE))
        return super().viewportEvent(event)

    def _on_arrived(self) -> None:
        if self.isVisible():
            self.viewport().update()

    def _on_current(self, now: Index, _before: Index) -> None:
        self.selected.emit(now.data(TILE) if now.isValid() else None)
