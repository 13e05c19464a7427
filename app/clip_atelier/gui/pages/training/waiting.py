"""The trainings that wait: their order, whether the next one may begin by itself, and their place on disk."""

from __future__ import annotations

import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from PySide6.QtCore import QObject, Signal

from clip_atelier.engine import settings
from clip_atelier.engine.core import DamagedFile, UserError, WorkError
from clip_atelier.engine.experiments import QueuedTraining, TrainingQueue, read_queue, write_queue

if TYPE_CHECKING:
    from clip_atelier.engine.settings import Settings
    from clip_atelier.gui.app_model import AppModel

Held = Literal["", "stopped", "restart", "user"]


class Waiting(QObject):
    """The queue. Whoever trains takes from it with `take`, and tells how that went.

    Attributes:
        entries: What waits, the next one first, without the one that begins now.
        held: Why none begins by itself: the user stopped a training, the program was started anew, or the user said so.
    """

    changed = Signal()

    def __init__(self, app_model: AppModel) -> None:
        super().__init__()
        self._app_model = app_model
        self._beginning: QueuedTraining | None = None
        self._removed: tuple[int, QueuedTraining] | None = None
        self.entries: tuple[QueuedTraining, ...] = ()
        try:
            self.entries = read_queue(app_model.home).entries
        except DamagedFile as error:
            app_model.report(error)
        self.held: Held = "restart" if self.entries else ""

    @property
    def may_put_back(self) -> bool:
        """Whether there is something that was taken out last."""
        return self._removed is not None

    def add(self, folder: Path, chosen: Settings, name: str) -> None:
        """Puts a training at the end, with its settings as they are now."""
        entry = QueuedTraining(
            id=uuid.uuid4().hex, folder=str(folder), name=name, settings=settings.flat(chosen), queued=time.time()
        )  # fmt: skip
        self._set((*self.entries, entry))

    def move(self, entry: str, by: int) -> None:
        """Lets a training begin earlier (-1) or later (1)."""
        order = list(self.entries)
        at = self._place(entry)
        to = min(max(at + by, 0), len(order) - 1)
        order.insert(to, order.pop(at))
        self._set(tuple(order))

    def remove(self, entry: str) -> None:
        """Takes a training out; `put_back` takes that back."""
        at = self._place(entry)
        self._removed = (at, self.entries[at])
        self._set(self.entries[:at] + self.entries[at + 1 :])

    def put_back(self) -> None:
        """Puts what was taken out last where it was."""
        if self._removed is not None:
            at, entry = self._removed
            self._removed = None
            self._set((*self.entries[:at], entry, *self.entries[at:]))

    def hold(self, why: Held) -> None:
        """Keeps the next one from beginning by itself; "" lets it, and has those tried again that could not begin."""
        self.held = why
        self._set(self.entries if why else tuple(e.model_copy(update={"error": ""}) for e in self.entries))

    def take(self) -> tuple[QueuedTraining, Settings] | None:
        """The next one that can begin, with its settings; None where all are held or none can.

        It stays in the queue on disk until `begun`: what ends before its first step is not lost.
        """
        while not self.held:
            entry = next((e for e in self.entries if not e.error), None)
            if entry is None:
                return None
            try:
                chosen = settings.build(entry.settings)
            except UserError as error:  # a version of the program that knows other settings
                self._tell(entry, str(error))
                continue
            self._beginning = entry
            self.changed.emit()
            return entry, chosen
        return None

    @property
    def shown(self) -> tuple[QueuedTraining, ...]:
        """What waits, without the one that begins now."""
        return tuple(e for e in self.entries if self._beginning is None or e.id != self._beginning.id)

    def begun(self) -> None:
        """The one that was taken is a run now, with a folder of its own."""
        taken, self._beginning = self._beginning, None
        if taken is not None:
            self._set(tuple(e for e in self.entries if e.id != taken.id))

    def failed(self, error: Exception) -> None:
        """The one that was taken could not begin: it stays, with the reason, and the others go on."""
        taken, self._beginning = self._beginning, None
        if taken is not None:
            self._tell(taken, error.message if isinstance(error, UserError) else str(error))

    def ended(self, *, stopped: bool) -> None:
        """A training is over; where the user stopped it, the next one does not begin by itself."""
        self._beginning = None
        if stopped and self.entries:
            self.held = "stopped"
        elif not self.entries:
            self.held = ""
        self.changed.emit()

    def _place(self, entry: str) -> int:
        return next(n for n, e in enumerate(self.entries) if e.id == entry)

    def _tell(self, entry: QueuedTraining, error: str) -> None:
        told = entry.model_copy(update={"error": error})
        self._set(tuple(told if e.id == entry.id else e for e in self.entries))

    def _set(self, entries: tuple[QueuedTraining, ...]) -> None:
        self.entries = entries
        try:
            write_queue(self._app_model.home, TrainingQueue(entries=entries))
        except WorkError as error:
            self._app_model.report(error)
        self.changed.emit()
