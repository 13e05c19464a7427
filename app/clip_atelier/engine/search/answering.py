"""The answering side of a watcher: questions come through a socket in the home and are answered while drawings are embedded.

Nobody but its user can open the socket; nothing listens on a network. Each question is answered in a thread of its own: one
that has to wait holds no other one up. What
only the watcher's own thread may do, such as using the loaded model, that thread is asked for, and does between two batches.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import queue
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from pydantic import Field, ValidationError

from clip_atelier.engine.core import Record, Text, UserError, Work, WorkError, _
from clip_atelier.engine.search.model_ref import ModelRef
from clip_atelier.engine.search.results import SearchResult

if TYPE_CHECKING:
    from clip_atelier.engine.search.query import Query
    from clip_atelier.engine.search.ranked_search import Search

log = logging.getLogger(__name__)

_LONGEST: Final = 64 << 10
"""Bytes of a question; more is not read."""
_PATH: Final = 100
"""Characters of a socket's path that every system takes."""
_PATIENCE: Final = 30.0
_FIRST: Final = 20.0
"""Seconds that a question waits for the first look through the folder; who asks waits longer."""
SOON: Final = 1.5
"""Seconds that a question waits for what is new in the folder; embedding that may take hours."""
_OFTEN: Final = 0.2
_SAYS: Final = 2.0
"""Seconds within which who asks says what; a stop waits so long at most."""
_AT_ONCE: Final = 8
"""Questions that are answered at a time."""


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


class Errands:
    """What one thread asks another to do, one after the other."""

    def __init__(self) -> None:
        self._waiting: queue.SimpleQueue[_Errand] = queue.SimpleQueue()
        self._later: list[_Errand] = []
        self._ended = threading.Event()

    def ask(self, work: Callable[[], Work[object]], *, between: bool = False) -> Future[object]:
        """Has work done by the other thread.

        Args:
            work: What is done.
            between: Whether it may be done in the midst of other work, between two steps of it.
        """
        errand = _Errand(work, between)
        self._waiting.put(errand)
        if self._ended.is_set():
            self.end()
        return errand.asked

    def do(self, wait: float = 0.0, *, between: bool = False) -> Work[None]:
        """Does what is asked for.

        Args:
            wait: Seconds to wait for the first of it.
            between: Only what may be done in the midst of other work.
        """
        if not between:
            later, self._later = self._later, []
            for errand in later:
                yield from errand.done()
        while True:
            try:
                errand = self._waiting.get(timeout=wait) if wait else self._waiting.get(block=False)
            except queue.Empty:
                return
            wait = 0.0
            if between and not errand.between:
                self._later.append(errand)
            else:
                yield from errand.done()

    def end(self) -> None:
        """Nothing is done any more; what waits is taken back."""
        self._ended.set()
        for errand in self._later:
            errand.asked.cancel()
        with contextlib.suppress(queue.Empty):
            while True:
                self._waiting.get(block=False).asked.cancel()


@dataclass
class _Errand:
    work: Callable[[], Work[object]]
    between: bool
    asked: Future[object] = field(default_factory=Future)

    def done(self) -> Work[None]:
        """Does it, unless whoever asked waits no more."""
        if not self.asked.set_running_or_notify_cancel():
            return
        try:
            result = yield from self.work()
        except (UserError, WorkError) as error:
            self.asked.set_exception(error)
        except BaseException:
            self.asked.set_exception(CancelledError())
            raise
        else:
            self.asked.set_result(result)


class Known(Protocol):
    """What a watcher knows, as whoever answers sees it."""

    model_ref: ModelRef
    search: Search | None
    errands: Errands
    ready: threading.Event

    @property
    def quick(self) -> bool:
        """Whether it takes but a moment to find out what is new in the folder."""

    def renewed(self) -> Work[None]:
        """Takes in what is new; done by the watcher's own thread."""


class Answers:
    """Answers questions in threads of its own until it is ended.

    Args:
        listener: Where they come in.
        known: What is known of the folder.
    """

    def __init__(self, listener: socket.socket, known: Known) -> None:
        self.count = 0
        self._listener = listener
        self._known = known
        self._end = threading.Event()
        self._counting = threading.Lock()
        self._answering = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="answer")
        self._thread = threading.Thread(target=self._run, name="answers", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Ends the threads, within a moment."""
        self._end.set()
        self._known.errands.end()
        self._known.ready.set()
        self._thread.join()
        self._answering.shutdown()

    def _run(self) -> None:
        while not self._end.is_set():
            try:
                line, _address = self._listener.accept()
            except OSError:
                continue  # nobody asks, which is told every moment
            self._answering.submit(self._serve, line)

    def _serve(self, line: socket.socket) -> None:
        """Hears one question and answers it."""
        with line, contextlib.suppress(OSError):
            line.settimeout(_SAYS)
            with line.makefile("rb") as stream:
                asked = stream.readline(_LONGEST)
            try:
                answer = self._answer(asked) if asked and not self._end.is_set() else None
            except CancelledError:
                return  # the watcher ends
            except Exception:
                log.exception("a question could not be answered")
                answer = None  # who asked then searches without a watcher
            if answer is not None:
                line.sendall(answer.model_dump_json(by_alias=True).encode() + b"\n")

    def _answer(self, line: bytes) -> _Answer:
        """What is said to one question."""
        from clip_atelier.engine.search.query import parse_query

        try:
            asked = Question.model_validate_json(line)
        except ValidationError:
            return _Answer(error=_("The question cannot be understood."))
        mine = self._known.model_ref
        if (asked.run, asked.strength, asked.model) != (mine.run, mine.strength, mine.model):
            return _Answer()
        try:
            query = parse_query(asked.text, [Path(one) for one in asked.images], asked.without)
            found = self._found(query, asked.top)
        except UserError as error:
            return _Answer(error=error.message, hint=error.hint)
        with self._counting:
            self.count += found is not None
        return _Answer(found=found) if found else _Answer(error=_("There is no drawing in the folder yet."))

    def _found(self, query: Query, top: int) -> SearchResult | None:
        """What is found; None where there is no drawing.

        Raises:
            UserError: the query cannot be answered, or not yet.
            CancelledError: the watcher ends.
        """
        known = self._known
        if not known.ready.wait(_FIRST):
            raise UserError(
                _("The drawings of this folder are being read for the first time."),
                _("Ask again in a while; what is ready by then is searched."),
            )
        if known.quick:
            asked = known.errands.ask(known.renewed)
            with contextlib.suppress(TimeoutError, WorkError):  # then it is answered from what was known
                asked.result(SOON)
            asked.cancel()
        search = known.search
        if search is None:
            return None
        if not search.needs_model(query):
            return search.find(query, top)

        def find() -> Work[object]:
            yield from ()
            return None if known.search is None else known.search.find(query, top)

        asked = known.errands.ask(find, between=True)
        try:
            found = asked.result(_FIRST)
        except TimeoutError:
            asked.cancel()
            raise UserError(
                _("The model is at work on new drawings."),
                _("Search with words alone, or ask again in a while."),
            ) from None
        assert found is None or isinstance(found, SearchResult)
        return found


@contextlib.contextmanager
def listening(home: Path, folder: Path) -> Iterator[socket.socket | None]:
    """A socket that questions about a folder come through; None where there can be none.

    Raises:
        UserError: another watcher of the folder is at work.
    """
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
        listener.settimeout(_OFTEN)
        yield listener
    finally:
        with contextlib.suppress(OSError):
            if listener.getsockname() == str(place):
                place.unlink(missing_ok=True)
        listener.close()
