"""The other process of a training, as whoever waits for it sees it."""

from __future__ import annotations

import contextlib
import logging
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from pathlib import Path
from typing import IO, Final

from clip_atelier.engine.core import Control, WorkError, _, launch
from clip_atelier.engine.training.orders import Order, Word, line_of

log = logging.getLogger(__name__)

PATIENCE: Final = 3.0
"""Seconds that a stopped training may go on measuring before it is asked to leave."""

LAST: Final = 4.5
"""Seconds after a stop in which the trainer has to end by itself."""


class Trainer:
    """A process that trains: it makes itself ready, does one order, and is over at the latest when this is closed.

    Args:
        home: Where runs and caches live.

    Raises:
        WorkError: it cannot be started.
    """

    def __init__(self, home: Path) -> None:
        try:
            self._process = subprocess.Popen(
                launch.this_program("--trainer", "--home", str(home)),
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )  # fmt: skip
        except OSError as error:
            raise WorkError(
                _("The training process could not be started: {reason}.").format(reason=error.strerror or error),
                _("Free some memory and try again, or switch off “Train in a process of its own” (hardware.own_process)."),
                "hardware.own_process",
            ) from error  # fmt: skip
        self._inbox: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._trouble: deque[str] = deque(maxlen=200)  # the last lines that Python wrote about its own end
        self._told: set[Word] = set()
        self._asked_at: float | None = None
        self._readers = [
            threading.Thread(target=self._read, name="trainer", daemon=True),
            threading.Thread(target=self._read_trouble, name="trainer's trouble", daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    @property
    def alive(self) -> bool:
        """Whether the process is there."""
        return self._process.poll() is None

    def do(self, order: Order) -> None:
        """Has it do its one order."""
        self._say(line_of(order))

    def wake(self) -> None:
        """Ends a wait in `line`, from any thread."""
        self._inbox.put("")

    def line(self) -> str | None:
        """What it says next; empty where there is something to pass on, None when it is gone."""
        try:
            return self._inbox.get(timeout=self._seconds_left())
        except queue.Empty:
            return ""

    def pass_on(self, control: Control) -> None:
        """Tells what is asked for and was not told, and ends a trainer that does not end by itself."""
        if control.stopping and self._asked_at is None:
            self._asked_at = time.monotonic()
        waited = time.monotonic() - self._asked_at if self._asked_at is not None else 0.0
        if control.leaving or waited >= PATIENCE:
            self._tell("leave")
        elif control.stopping:
            self._tell("stop")
        elif control.paused != ("pause" in self._told):
            self._told.discard("pause")
            self._tell("pause" if control.paused else "go")
            self._told.discard("go")
        if control.take_evaluate():
            self._tell("evaluate")
            self._told.discard("evaluate")
        if waited >= LAST:
            self._process.kill()
        if waited >= LAST + 1:  # it waits for a drive that is gone, and cannot even be killed
            self._inbox.put(None)

    def _seconds_left(self) -> float | None:
        """Until `pass_on` has something to do by itself; None where it has not."""
        if self._asked_at is None:
            return None
        waited = time.monotonic() - self._asked_at
        return max(0.01, (LAST if "leave" in self._told else PATIENCE) - waited)

    def _tell(self, word: Word) -> None:
        if word not in self._told:
            self._told.add(word)
            self._say(word)

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        # A trainer that is gone hears nothing; the end of its output tells so.
        with contextlib.suppress(OSError):
            self._process.stdin.write(line.encode() + b"\n")
            self._process.stdin.flush()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.endswith(b"\n"):  # a process that is killed may leave half a line
                self._inbox.put(line.decode("utf-8", "replace").strip())
        self._inbox.put(None)

    def _read_trouble(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._trouble.append(line.decode("utf-8", "replace").rstrip())

    def death(self) -> WorkError:
        """Why it is gone, for people; where in the program it was stands in the log."""
        self._process.wait()
        self._readers[1].join(1.0)
        code = self._process.returncode
        log.error("the training process ended with %s\n%s", code, "\n".join(self._trouble))
        return WorkError(
            _("The training process ended in the middle of its work: {reason}.").format(reason=_reason(code)),
            _("Nothing else is affected. “Resume this training” goes on from the last checkpoint; if it happens again, set a smaller chunk size (train.chunk_size)."),
        )  # fmt: skip

    def close(self) -> None:
        """The process is over, whatever it was doing."""
        self._process.kill()
        if sys.is_finalizing():  # its readers are gone without a word, and hold what would be closed
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1.0)
        for reader in self._readers:
            reader.join(1.0)
        streams: tuple[IO[bytes] | None, ...] = (
            self._process.stdin,
            self._process.stdout,
            self._process.stderr,
        )
        for stream in streams:
            if stream is not None and not any(reader.is_alive() for reader in self._readers):
                with contextlib.suppress(OSError):
                    stream.close()


def _reason(code: int) -> str:
    """What an exit code says, in words."""
    crashes = {-getattr(signal, name, 0) for name in ("SIGSEGV", "SIGABRT", "SIGBUS", "SIGFPE", "SIGILL")} - {
        0
    }
    if code == -getattr(signal, "SIGKILL", 0) and code:
        return _("it was killed, as the system does where the memory is used up")
    # Windows gives what went wrong as a large number: 0xC0000005 is an access to memory that is not there.
    if code in crashes or (code & 0xFFFFFFFF >= 0xC0000000 and sys.platform == "win32"):
        return _("it crashed")
    return _("exit code {code}").format(code=code)
