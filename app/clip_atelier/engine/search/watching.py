"""Keeps a folder's index current as files come, go and change, and answers searches meanwhile.

A search that finds a watcher of its folder asks it (`answering`), and needs neither to import nor to open anything.
"""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pydantic import Field

from clip_atelier.engine.core import (
    Control,
    Notice,
    Record,
    Stopped,
    Text,
    UserError,
    Work,
    WorkError,
    _,
    no_folder,
    shown,
)
from clip_atelier.engine.search.answering import SOON, Answers, Errands, listening
from clip_atelier.engine.search.model_ref import ModelRef

if TYPE_CHECKING:
    from clip_atelier.engine.data import FolderLooks, FolderState
    from clip_atelier.engine.models import Models
    from clip_atelier.engine.search.loaded_model import LoadedModel
    from clip_atelier.engine.search.ranked_search import Search

SCHEMA = 1
_SHARE: Final = 10
"""Looking through a folder may take a tenth of the time while something happens in it: one of a hundred thousand files is
looked through less often."""
_RARELY: Final = 50
"""The same where nothing seems to happen."""
_QUICK: Final = 0.25
_OFTEN: Final = 0.2


class Watched(Record):
    """What a watcher did until it was stopped.

    Attributes:
        times: How often the folder had changed and was embedded anew.
        answered: Searches that it answered.
    """

    schema_version: int = Field(default=SCHEMA, alias="schema")
    folder: Text
    images: int
    times: int
    answered: int


@dataclass
class _Watch:
    folder: Path
    model_ref: ModelRef
    models: Models
    control: Control
    looks: FolderLooks
    every: float
    search: Search | None = None
    seen: FolderState | None = None
    before: FolderState | None = None
    times: int = 0
    errands: Errands = field(default_factory=Errands)
    ready: threading.Event = field(default_factory=threading.Event)
    looked: float = float("-inf")
    renewing_since: float | None = None

    @property
    def quick(self) -> bool:
        """Whether the folder is looked through so quickly that an answer need not be behind."""
        since = self.renewing_since
        return self.looks.took < _QUICK and (since is None or time.monotonic() - since < SOON)

    @property
    def due(self) -> bool:
        """Whether it is time for another look."""
        return time.monotonic() - self.looked >= self.every

    def renewed(self) -> Work[None]:
        """Takes in what is new now."""
        yield from self.look(now=True)

    def look(self, *, now: bool = False) -> Work[None]:
        """Looks through the folder, and embeds what is new once it keeps still.

        Args:
            now: Do not wait for a file that is still being written: what cannot be read yet is left out until it can.
        """
        self.looked = time.monotonic()
        if not self.folder.is_dir():
            return  # an unplugged drive: what is known stays
        rest = self.looked - self.looks.at
        if (
            not now
            and rest < _RARELY * self.looks.took
            and (rest < _SHARE * self.looks.took or self.looks.quiet())
        ):
            return
        state = self.looks.whole(self.control)
        still = now or self.search is None or state == self.before or self.looks.at_rest(self.seen)
        self.before = state
        if state == self.seen or not still:
            return
        self.renewing_since = time.monotonic()
        try:
            if (yield from self._renew(len(state.images))):
                self.seen = state
            self.ready.set()
        finally:
            self.renewing_since = None

    def _renew(self, files: int) -> Work[bool]:
        """Opens the folder anew; False where that is to be tried again at the next look."""
        from clip_atelier.engine.search.ranked_search import open_search

        try:
            early = self.search is None  # else what is known answers better, with captions and pairs
            work = open_search(
                self.folder, self.model_ref, self.models, self.control, self._model(), self._know, early
            )
            self.search = yield from self._attending(work)
        except WorkError as error:
            if self.search is None:
                raise
            yield Notice(text=str(error))  # the disk is full: what was known before still answers
            return False
        except UserError as error:
            if self.search is None and files:
                raise
            self.search = None
            yield Notice(text=str(error))
            return True
        self.times += 1
        gallery = self.search.gallery
        yield Notice(
            text=_("{images} drawings are ready to be searched; {new} are new.").format(
                images=len(gallery.items), new=gallery.embedded
            )
        )
        return True

    def _model(self) -> LoadedModel | None:
        """The model that is open; None where there is none, or its run was written to."""
        if self.search is None:
            return None
        if self.search.loaded.up_to_date:
            return self.search.loaded
        self.search.loaded.release()
        return None

    def _know(self, search: Search) -> None:
        self.search = search
        self.ready.set()

    def _attending(self, work: Work[Search]) -> Work[Search]:
        """The work; whatever is asked of this thread is done between its events."""
        while True:
            try:
                event = next(work)
            except StopIteration as end:
                found: Search = end.value
                return found
            yield from self.errands.do(between=True)
            yield event


def watch(
    folder: Path, model_ref: ModelRef, models: Models, control: Control, every: float = 2.0
) -> Work[Watched]:
    """Watches a folder until it is stopped.

    Args:
        folder: The drawings.
        model_ref: With which model searches are answered.
        models: Owner of loaded models; caches, the index and the socket live in its home.
        control: A stop ends it, within a moment.
        every: Seconds between two looks through the folder; longer where a look takes long.

    Returns:
        What was done, after a stop.

    Raises:
        UserError: no such folder, run or model, or another watcher of the folder is at work.
    """
    from clip_atelier.engine.data import FolderLooks

    if not folder.is_dir():
        raise no_folder(folder)
    at_work = _Watch(folder, model_ref, models, control, FolderLooks(folder), every)
    with listening(models.home, folder) as listener:
        answers = Answers(listener, at_work) if listener is not None else None
        try:
            with contextlib.suppress(Stopped):
                yield from at_work.look()
                while not control.stopping:
                    yield from at_work.errands.do(wait=min(_OFTEN, every))
                    if at_work.due:
                        yield from at_work.look()
        finally:
            if answers is not None:
                answers.end()
    images = len(at_work.search.gallery.items) if at_work.search is not None else 0
    if at_work.search is not None:
        at_work.search.loaded.release()
    return Watched(
        folder=shown(folder), images=images, times=at_work.times, answered=answers.count if answers else 0
    )
