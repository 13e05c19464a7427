"""A ranking whose pictures can be taken: several chosen, dragged out, copied, looked at one by one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import QItemSelectionModel, QMimeData, Qt, Signal
from PySide6.QtGui import QDrag, QKeyEvent, QKeySequence
from PySide6.QtWidgets import QAbstractItemView

from clip_atelier.gui.parts import leaving
from clip_atelier.gui.parts.pictures import TILE, PictureStore, Tile, TileView

_HAND = 96  # side of the picture under the pointer while it is dragged, in pixels


class ResultView(TileView):
    """The results of one model."""

    large_wanted = Signal(int)  # Space: the place of the result among the tiles
    copy_wanted = Signal()

    def __init__(self, store: PictureStore, side: int, lines: int) -> None:
        super().__init__(store, side, lines)
        self._pictures = store
        self.carry: Callable[[QMimeData], object] = self._carry
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setDragEnabled(True)
        self.setDragDropMode(QAbstractItemView.DragDropMode.DragOnly)

    def chosen(self) -> list[Tile]:
        """The chosen results, the best first."""
        rows = sorted(index.row() for index in self.selectionModel().selectedIndexes())
        return [self.tiles.tile(row) for row in rows if self.tiles.divider(row) is None]

    def choose(self, tile: Tile) -> None:
        """Chooses a result and scrolls to it."""
        for row in range(self.tiles.rowCount()):
            if self.tiles.index(row).data(TILE) is tile:
                flags = QItemSelectionModel.SelectionFlag.ClearAndSelect
                self.selectionModel().setCurrentIndex(self.tiles.index(row), flags)
                self.scrollTo(self.tiles.index(row))
                self.setFocus()

    def startDrag(self, _actions: Qt.DropAction) -> None:  # noqa: N802 - Qt's name
        """The chosen files leave the window; they are copied, never moved."""
        files = [tile.path for tile in self.chosen()]
        if files:
            self.carry(leaving.as_files(files))

    def _carry(self, data: QMimeData) -> None:
        drag = QDrag(self)
        drag.setMimeData(data)
        first = self.chosen()[0]
        picture = self._pictures.get(first.path, round(self._delegate.reading * self.devicePixelRatioF()))
        if picture is not None:
            how = Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation
            drag.setPixmap(picture.scaled(_HAND, _HAND, *how))
        drag.exec(Qt.DropAction.CopyAction)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Space shows the result large, Ctrl+C copies the chosen ones."""
        index = self.currentIndex()
        if event.key() == Qt.Key.Key_Space and index.data(TILE):
            shown: Sequence[Tile] = self.tiles.all
            self.large_wanted.emit(next(n for n, tile in enumerate(shown) if tile is index.data(TILE)))
        elif event.matches(QKeySequence.StandardKey.Copy) and self.chosen():
            self.copy_wanted.emit()
        else:
            super().keyPressEvent(event)
