"""One step of editing captions, that can be taken back and made again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from PySide6.QtGui import QUndoCommand

if TYPE_CHECKING:
    from clip_atelier.gui.pages.collection.caption_model import CaptionModel, Told


class Step(QUndoCommand):
    """Values before and after, so that a step can be taken back whatever was saved or read in between."""

    def __init__(
        self, model: CaptionModel, changes: Mapping[str, tuple[Told, Told]], words: str, session: int
    ) -> None:
        super().__init__(words)
        self._model = model
        self.changes = dict(changes)
        self.session = session

    def id(self) -> int:
        return self.session or -1

    def redo(self) -> None:
        self._model.apply({path: after for path, (_before, after) in self.changes.items()})

    def undo(self) -> None:
        self._model.apply({path: before for path, (before, _after) in self.changes.items()})

    def mergeWith(self, other: QUndoCommand) -> bool:  # noqa: N802 - Qt's name
        """Takes a later step of the same session in; nothing is left of it where it ends as it began."""
        if not isinstance(other, Step) or other.session != self.session:
            return False
        for path, (before, after) in other.changes.items():
            self.changes[path] = (self.changes.get(path, (before, after))[0], after)
        self.setObsolete(all(before == after for before, after in self.changes.values()))
        return True
