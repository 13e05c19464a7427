"""Tiles of a collection's drawings, each made when it is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, overload

from clip_atelier.engine.core import paths
from clip_atelier.gui.parts.pictures import Tile
from clip_atelier.gui.parts.spoken_caption import in_own_language

if TYPE_CHECKING:
    from clip_atelier.engine.data import Collection


class ItemTiles(Sequence[Tile]):
    """Tiles of some items. Thousands of paths made at once would be felt when a folder opens."""

    def __init__(self, collection: Collection, indices: Sequence[int]) -> None:
        self._collection = collection
        self._indices = indices

    def __len__(self) -> int:
        return len(self._indices)

    @overload
    def __getitem__(self, row: int) -> Tile: ...
    @overload
    def __getitem__(self, row: slice) -> Sequence[Tile]: ...
    def __getitem__(self, row: int | slice) -> Tile | Sequence[Tile]:
        if isinstance(row, slice):
            return ItemTiles(self._collection, self._indices[row])
        index = self._indices[row]
        item = self._collection.items[index]
        title = in_own_language(item.captions) or paths.shown(item.path)
        return Tile(self._collection.absolute(item), title, data=index)
