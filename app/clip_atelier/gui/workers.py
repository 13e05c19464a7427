"""Two lanes of long work: one thread that does one thing at a time, and a pool for pictures.

A lane runs the engine's generators. What they yield goes into an inbox, which one timer drains ten times a second, so
a thousand steps a second cost the window ten calls. Results and errors arrive on the window's thread; none is lost.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, QThread, QTimer, Signal

from clip_atelier.engine.core import Control, Event, Stopped, UserError, Work, drive

log = logging.getLogger(__name__)

_DRAIN_MS = 100
_MOST_AT_ONCE = 5000  # an old run's events come as fast as the disk reads them


class Tools:
    """What jobs work with, made on the lane's own thread when it is first asked for: torch is not imported before."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.kept: dict[str, Any] = {}  # what one job leaves for the next: an open gallery
        self._trainer: Any = None

    @cached_property
    def models(self) -> Any:
        """The one owner of loaded models."""
        from clip_atelier.engine.models import Models

        return Models(self.home)

    def get_trainer_ready(self) -> None:
        """Has a process started in which the next training begins at once."""
        from clip_atelier.engine.training import Trainer

        if self._trainer is None or not self._trainer.alive:
            self.close()
            self._trainer = Trainer(self.home)

    def take_trainer(self) -> Any:
        """The process that is ready, for one training; None where none is."""
        trainer, self._trainer = self._trainer, None
        return trainer

    def close(self) -> None:
        """Ends what would outlive the lane."""
        trainer = self.take_trainer()
        if trainer is not None:
            trainer.close()

    def release(self) -> None:
        """Lets go of open models and galleries, before another process needs their memory."""
        self.kept.clear()
        self.__dict__.pop("models", None)


class Job(QObject):
    """One piece of long work.

    Args:
        name: What kind of work it is: "scan", "train", "search", …
        make: Called on the lane's thread; returns the engine's generator.
        idle: Whether nothing is lost when the program ends in the middle of it, and nobody needs to hear of it.

    Signals, all on the window's thread: `started`; `events` with a list of events; then exactly one of `done` with the
    result, `failed` with the exception, or `stopped`; then `ended`.
    """

    started = Signal()
    events = Signal(object)
    done = Signal(object)
    failed = Signal(object)
    stopped = Signal()
    ended = Signal()

    def __init__(self, name: str, make: Callable[[Tools, Control], Work[Any]], *, idle: bool = False) -> None:
        super().__init__()
        self.name = name
        self.idle = idle
        self.make = make
        self.control = Control()
        self.over = False

    def stop(self) -> None:
        """Asks for the end at the next boundary; a job still waiting does not begin."""
        self.control.stop()


class _Worker(QThread):
    """Takes jobs from a queue until it is handed None."""

    def __init__(self, tools: Tools, inbox: deque[tuple[Job, str, Any]]) -> None:
        super().__init__()
        self.tools = tools
        self.jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._inbox = inbox

    def run(self) -> None:
        while (job := self.jobs.get()) is not None:
            self._inbox.append((job, "started", None))
            try:
                result = self._drive(job)
            except Stopped:
                self._inbox.append((job, "stopped", None))
            except BaseException as error:  # noqa: BLE001 - a thread that dies silently leaves a window that waits for ever
                self._inbox.append((job, "failed", error))
            else:
                self._inbox.append((job, "done", result))
        self.tools.close()

    def _drive(self, job: Job) -> Any:
        job.control.boundary()
        work = job.make(self.tools, job.control)
        return drive(work, lambda event: self._inbox.append((job, "event", event)))


class Lane(QObject):
    """A thread of its own that does submitted jobs one after another."""

    busy_changed = Signal(bool)
    current_changed = Signal(object)  # the job at work, or None
    events = Signal(object)  # whatever job is at work: a list of events

    def __init__(self, home: Path, name: str, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._inbox: deque[tuple[Job, str, Any]] = deque()
        self._worker = _Worker(Tools(home), self._inbox)
        self._worker.setObjectName(name)
        self._waiting: list[Job] = []
        self._current: Job | None = None
        self._closed = False
        self._timer = QTimer(self)
        self._timer.setInterval(_DRAIN_MS)
        self._timer.timeout.connect(self.drain)

    @property
    def busy(self) -> bool:
        """Whether a job is at work or waiting that somebody waits for."""
        return any(not job.idle for job in self._waiting)

    @property
    def current(self) -> Job | None:
        """The job at work."""
        return self._current

    def submit(self, job: Job) -> Job:
        """Puts a job at the end of the queue; connect its signals first or right after. A closed lane begins none."""
        if self._closed:
            # The window is going; what a last result asks for is not begun.
            job.stop()
            job.over = True
            return job
        if not self._worker.isRunning():
            self._worker.start()
        was_busy = self.busy
        self._waiting.append(job)
        self._worker.jobs.put(job)
        if not self._timer.isActive():
            self._timer.start()
        if self.busy and not was_busy:
            self.busy_changed.emit(True)
        return job

    def replace(self, job: Job) -> Job:
        """Submits a job in place of every earlier one of the same name, which are stopped."""
        for earlier in reversed(self._waiting):
            if earlier.name == job.name:
                earlier.stop()
        return self.submit(job)

    def stop_all(self) -> None:
        """Asks every job for its end; those that wait first, so that none of them begins in between."""
        for job in reversed(self._waiting):
            job.stop()

    def leave(self) -> None:
        """As `stop_all`, for a program that ends: nothing that may follow a stop is begun."""
        for job in reversed(self._waiting):
            job.control.leave()

    def drain(self, *, everything: bool = False) -> None:
        """Hands on what arrived, but no more than a tenth of a second should hold. Called by the timer."""
        batch: list[Event] = []
        holder: Job | None = None
        for _count in range(len(self._inbox) if everything else min(len(self._inbox), _MOST_AT_ONCE)):
            job, what, value = self._inbox.popleft()
            if what == "event":
                if holder is not job and batch and holder is not None:
                    self._hand_on(holder, batch)
                    batch = []
                holder = job
                batch.append(value)
                continue
            if batch and holder is not None:
                self._hand_on(holder, batch)
                batch = []
            self._tell(job, what, value)
        if batch and holder is not None:
            self._hand_on(holder, batch)
        if not self._waiting and not self._inbox:
            self._timer.stop()

    def _hand_on(self, job: Job, batch: list[Event]) -> None:
        job.events.emit(batch)
        self.events.emit(batch)

    def _tell(self, job: Job, what: str, value: Any) -> None:
        if what == "started":
            self._current = job
            job.started.emit()
            if not job.idle:
                self.current_changed.emit(job)
            return
        job.over = True
        self._waiting.remove(job)
        self._current = None
        if isinstance(value, UserError):
            log.info("%s: %s", job.name, value)
        elif what == "failed":
            log.error("%s failed", job.name, exc_info=value)
        try:
            if what == "stopped":
                job.stopped.emit()
            else:
                getattr(job, what).emit(value)
        finally:
            job.ended.emit()
            self.current_changed.emit(None)
            if not self.busy:
                self.busy_changed.emit(False)

    def close(self, seconds: float = 5.0) -> bool:
        """Stops all work at the next boundary and ends the thread; False if it did not end in time."""
        self._closed = True
        self.leave()
        self._worker.jobs.put(None)
        ended = not self._worker.isRunning() or self._worker.wait(round(seconds * 1000))
        if ended:
            self.drain(everything=True)
            self._timer.stop()
        return ended


class Lanes(QObject):
    """The window's lanes: `compute` owns the models, `reading` scans folders, `files` reads runs, `network` fetches.

    Args:
        home: HOME.
        ahead: Whether a process may be started before it is known to be needed.
    """

    def __init__(self, home: Path, parent: QObject | None = None, *, ahead: bool = False) -> None:
        super().__init__(parent)
        self.ahead = ahead
        self.home = home
        self.compute = Lane(home, "compute", self)
        self.reading = Lane(home, "reading", self)
        self.files = Lane(home, "files", self)
        self.network = Lane(home, "network", self)
        self.pictures = ThumbnailLoader(self)

    @property
    def busy(self) -> bool:
        """Whether any long work is going on."""
        return any(lane.busy for lane in self.all)

    @property
    def all(self) -> tuple[Lane, ...]:
        """Every lane, the one that is quickest to end first."""
        return (self.files, self.reading, self.network, self.compute)

    def leave(self) -> None:
        """Asks all work for its end, as the program ends."""
        for lane in self.all:
            lane.leave()

    def close(self, seconds: float = 5.0) -> bool:
        """Ends everything within `seconds`; False if something did not end."""
        until = time.monotonic() + seconds
        self.leave()
        self.pictures.close()
        ended = True
        for lane in self.all:  # each of them, also after one that did not end
            ended = lane.close(max(until - time.monotonic(), 0.05)) and ended
        return ended


class ThumbnailLoader(QObject):
    """Reads pictures on two threads, the latest asked for first, and forgets requests that scrolled out of sight."""

    ready = Signal(object, object)  # key, QImage or None where the file cannot be read

    _THREADS = 2
    _MOST_WAITING = 400

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._wanted: deque[tuple[Any, Callable[[], Any]]] = deque()
        self._known: set[Any] = set()
        self._turn = threading.Condition()
        self._closing = False
        self._threads: list[threading.Thread] = []

    def ask(self, key: Any, read: Callable[[], Any]) -> None:
        """Has `read()` called on a picture thread and its QImage delivered by `ready` under `key`."""
        with self._turn:
            if key in self._known or self._closing:
                return
            self._known.add(key)
            self._wanted.append((key, read))
            if len(self._wanted) > self._MOST_WAITING:
                forgotten, _read = self._wanted.popleft()
                self._known.discard(forgotten)
            if len(self._threads) < self._THREADS:
                thread = threading.Thread(target=self._work, name="pictures", daemon=True)
                self._threads.append(thread)
                thread.start()
            self._turn.notify()

    @property
    def busy(self) -> bool:
        """Whether pictures are being read or wait for it."""
        return bool(self._known)

    def forget(self) -> None:
        """Drops all requests that have not begun."""
        with self._turn:
            for key, _read in self._wanted:
                self._known.discard(key)
            self._wanted.clear()

    def close(self) -> None:
        """Ends the threads; each finishes the picture it is reading."""
        with self._turn:
            self._closing = True
            self._wanted.clear()
            self._turn.notify_all()
        for thread in self._threads:
            thread.join(2.0)

    def _work(self) -> None:
        while True:
            with self._turn:
                while not self._wanted and not self._closing:
                    self._turn.wait()
                if self._closing:
                    return
                key, read = self._wanted.pop()
            try:
                image = read()
            except Exception as error:  # noqa: BLE001 - one unreadable picture must not end the thread
                log.info("no picture for %r: %s", key, error)
                image = None
            self._hand_on(key, image)

    def _hand_on(self, key: Any, image: Any) -> None:
        with self._turn:
            self._known.discard(key)
            closing = self._closing
        if not closing:
            self.ready.emit(key, image)
