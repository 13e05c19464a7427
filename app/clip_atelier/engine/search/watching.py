"""Keeps a folder's index current as files come, go and change, and answers searches meanwhile.

A watcher listens on a socket in the home, which nobody but its user can open; nothing listens on a network. A search that finds
a watcher of its folder asks it, and needs neither to import nor to open anything.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
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
    drive,
    shown,
)
from clip_atelier.engine.search.model_ref import ModelRef
from clip_atelier.engine.search.results import SearchResult

if TYPE_CHECKING:
    from clip_atelier.engine.data import FolderState
    from clip_atelier.engine.models import Models
    from clip_atelier.engine.search.ranked_search import Search

SCHEMA = 1
_LONGEST: Final = 64 << 10
"""Bytes of a question; more is not read."""
_PATH: Final = 100
"""Characters of a socket's path that every system takes."""
_SHARE: Final = 10
"""Looking through a folder may take a tenth of the time: one of a hundred thousand files is looked at less often."""
_QUICK: Final = 0.25
_PATIENCE: Final = 30.0


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


class Question(Record):
    """What a watcher is asked.

    Attributes:
        images: Absolute paths of pictures that are searched by.
        run: The run it has to look with, if any; with `strength` and `model` as in `ModelRef`.
    """

    text: Text = ""
    without: Text = ""
    images: tuple[Text, ...] = ()
    top: int = Field(default=10, ge=1)
    run: str | None = None
    strength: float | None = None
    model: str | None = None


class _Answer(Record):
    """Either what was found, or why nothing was; neither where the watcher looks with another model."""

    found: SearchResult | None = None
    error: Text = ""
    hint: Text = ""


def place_of(home: Path, folder: Path) -> Path | None:
    """Where the watcher of a folder listens; None on systems without such sockets, or where the home's path is too long."""
    name = hashlib.sha256(str(folder.resolve()).encode("utf-8", "surrogateescape")).hexdigest()[:16]
    place = home / "watch" / f"{name}.sock"
    return place if hasattr(socket, "AF_UNIX") and len(str(place)) <= _PATH else None


def ask(home: Path, folder: Path, question: Question) -> SearchResult | None:
    """The answer of the folder's watcher; None where there is none, or it looks with another model.

    Raises:
        UserError: what the watcher says is wrong with the question.
    """
    place = place_of(home, folder)
    if place is None or not place.exists():
        return None
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
            line.settimeout(_PATIENCE)
            line.connect(str(place))
            line.sendall(question.model_dump_json().encode() + b"\n")
            with line.makefile("rb") as stream:
                answer = _Answer.model_validate_json(stream.readline())
    except (OSError, ValueError):
        return None
    if answer.error:
        raise UserError(answer.error, answer.hint)
    return answer.found


@dataclass
class _Watch:
    folder: Path
    model_ref: ModelRef
    models: Models
    control: Control
    every: float
    search: Search | None = None
    seen: FolderState | None = None
    before: FolderState | None = None
    looked: float = -1e9
    took: float = 0.0
    times: int = 0
    answered: int = 0

    def look(self, *, now: bool = False) -> Work[None]:
        """Looks through the folder, and embeds what is new once it keeps still.

        Args:
            now: Do not wait for a file that is still being written: what cannot be read yet is left out until it can.
        """
        from clip_atelier.engine.data import folder_state

        began = time.monotonic()
        if not self.folder.is_dir():
            self.looked = time.monotonic()  # an unplugged drive: what is known stays
            return
        state = folder_state(self.folder, self.control)
        self.looked = time.monotonic()
        self.took = self.looked - began
        still = state == self.before or now or self.search is None
        self.before = state
        if state == self.seen or not still:
            return
        if (yield from self._renew(len(state.images))):
            self.seen = state

    def _renew(self, files: int) -> Work[bool]:
        """Opens the folder anew; False where that is to be tried again at the next look."""
        from clip_atelier.engine.search.ranked_search import open_search

        if self.search is not None:
            self.search.loaded.release()
        try:
            self.search = yield from open_search(self.folder, self.model_ref, self.models, self.control)
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

    def answer(self, line: bytes) -> _Answer:
        """What is said to one question."""
        from clip_atelier.engine.search.query import parse_query

        try:
            asked = Question.model_validate_json(line)
        except ValueError:
            return _Answer(error=_("The question cannot be understood."))
        mine = self.model_ref
        if (asked.run, asked.strength, asked.model) != (mine.run, mine.strength, mine.model):
            return _Answer()
        try:
            query = parse_query(asked.text, [Path(one) for one in asked.images], asked.without)
            if self.took < _QUICK:  # a folder that is quickly looked through is never behind
                drive(self.look(now=True))
            if self.search is None:
                return _Answer(error=_("There is no drawing in the folder yet."))
            found = self.search.find(query, asked.top)
        except UserError as error:
            return _Answer(error=error.message, hint=error.hint)
        self.answered += 1
        return _Answer(found=found)


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
    if not folder.is_dir():
        raise UserError(
            _("There is no folder “{folder}”.").format(folder=shown(folder)), _("Check the path."), "folder"
        )
    at_work = _Watch(folder, model_ref, models, control, every)
    with _listening(models.home, folder) as listener, contextlib.suppress(Stopped):
        yield from at_work.look()
        while not control.stopping:
            if listener is not None:
                _attend(listener, at_work)
            else:
                time.sleep(0.2)
            if time.monotonic() - at_work.looked >= max(every, _SHARE * at_work.took):
                yield from at_work.look()
    images = len(at_work.search.gallery.items) if at_work.search is not None else 0
    if at_work.search is not None:
        at_work.search.loaded.release()
    return Watched(folder=shown(folder), images=images, times=at_work.times, answered=at_work.answered)


@contextlib.contextmanager
def _listening(home: Path, folder: Path) -> Iterator[socket.socket | None]:
    place = place_of(home, folder)
    if place is None:
        yield None
        return
    place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.connect(str(place))
            raise UserError(
                _("This folder is being watched already."), _("Stop the other watcher first."), "folder"
            )
        place.unlink(missing_ok=True)  # of one that was killed
        listener.bind(str(place))
        os.chmod(place, 0o600)
        listener.listen(8)
        listener.settimeout(0.2)
        yield listener
    finally:
        with contextlib.suppress(OSError):
            if listener.getsockname() == str(place):
                place.unlink(missing_ok=True)
        listener.close()


def _attend(listener: socket.socket, at_work: _Watch) -> None:
    """Waits a moment for a question and answers it."""
    try:
        line, _address = listener.accept()
    except (TimeoutError, OSError):
        return
    with line, contextlib.suppress(OSError):
        line.settimeout(2.0)  # who asks and then says nothing holds nobody up for long
        with line.makefile("rb") as stream:
            asked = stream.readline(_LONGEST)
        if asked:
            line.sendall(at_work.answer(asked).model_dump_json(by_alias=True).encode() + b"\n")
