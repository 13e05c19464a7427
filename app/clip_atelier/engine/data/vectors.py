"""SVG drawings, drawn by another process within bounds of bytes, parts, pixels, memory and time.

The library that draws them cannot be interrupted, keeps the interpreter to itself while it draws, and is ended by what is
nested too deep. In a process of its own it may be slow, greedy or dead without harm to anything else.
"""

from __future__ import annotations

import atexit
import contextlib
import io
import os
import subprocess
import threading
import time
from typing import BinaryIO, Final

from PIL import Image

from clip_atelier.engine.core import _, launch
from clip_atelier.engine.data.vector_drawer import ANSWER, MAX_BYTES, ORDER, Answer

SIDE: Final = 1024
"""The longer side of a drawing in pixels, as models and lists see it."""
LARGE: Final = 2048
"""The same where somebody looks at the drawing, and it can be drawn so large in time."""
CLOSE: Final = SIDE // 2
"""A target up to which a drawing of `SIDE` is more than twice as large."""
MAX_SECONDS: Final = 20.0
"""How long one drawing may take."""
MAX_MEMORY: Final = 1024 * 1024 * 1024
"""Bytes that the other process may fill."""
_STARTING: Final = 30.0
"""Seconds more for a process that is only being started."""
_LOOK: Final = 0.05


class NoDrawing(Exception):  # noqa: N818 - says what is wrong with the file
    """It cannot be drawn; the text says why, translated."""


class NotSvg(NoDrawing):
    """It is some other text."""


class _TooSlow(NoDrawing):
    pass


def begins(start: bytes) -> bool:
    """Whether a file of these first bytes may be an SVG drawing: XML of any encoding, or such packed (.svgz)."""
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    return text.startswith((b"<", b"\x1f\x8b\x08", b"\xff\xfe<\0", b"\xfe\xff\0<"))


def drawn(file: BinaryIO, target: int | None = None, seconds: float = MAX_SECONDS) -> Image.Image:
    """The drawing on transparent ground, RGBA, its longer side `SIDE` pixels.

    What it refers to outside of itself is not looked at, and its letters are drawn in the program's own typeface.

    Args:
        file: Open at its start.
        target: The side in pixels that it will be shown at, if known: from `CLOSE` on it is drawn `LARGE`, if there is time.
        seconds: How long it may take.

    Raises:
        NotSvg: it is no SVG drawing.
        NoDrawing: it is damaged, or beyond a bound.
    """
    content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise _refused(Answer.LARGE)
    if target is None or target > CLOSE:
        with contextlib.suppress(_TooSlow):
            return _answered(content, LARGE, seconds / 2)
    return _answered(content, SIDE, seconds)


def _answered(content: bytes, side: int, seconds: float) -> Image.Image:
    with _places:
        drawer = _taken()
        _busy.add(drawer)
        try:
            answer, body = drawer.ask(content, side, seconds)
            if (
                answer is Answer.GONE and drawer.asked > 1
            ):  # it had just left, as nothing had been asked for a while
                drawer.close()
                _busy.discard(drawer)
                drawer = _Drawer()
                _busy.add(drawer)
                answer, body = drawer.ask(content, side, seconds)
        except BaseException:
            drawer.close()
            raise
        finally:
            _busy.discard(drawer)
        if answer in (Answer.GONE, Answer.SLOW, Answer.GREEDY):
            drawer.close()
        else:
            with _lock:
                _free.append(drawer)
    if answer is not Answer.DRAWN:
        raise _refused(answer, body.decode("utf-8", "replace"))
    image = Image.open(io.BytesIO(body), formats=("PNG",))
    image.load()
    return image


def _refused(answer: Answer, said: str = "") -> NoDrawing:
    if answer is Answer.SLOW:
        return _TooSlow(_("It takes too long to draw."))
    if answer is Answer.NOT_SVG:
        return NotSvg()
    return NoDrawing(
        {
            Answer.LARGE: _("The drawing is larger than what is read."),
            Answer.DEEP: _("Its parts lie too deep inside each other."),
            Answer.MANY: _("It has more parts than are read."),
            Answer.GREEDY: _("It needs too much memory to draw."),
            Answer.NO_LIBRARY: _(
                "SVG drawings need the package “resvg-py”, which is not installed for this system."
            ),
            Answer.GONE: _("It cannot be drawn."),
        }.get(answer)
        or _("The drawing is damaged ({error}).").format(error=said)
    )


class _Drawer:
    """The other process, for one thread at a time. It leaves when its input ends, and when nothing is asked for a while."""

    def __init__(self) -> None:
        try:
            self._process = subprocess.Popen(
                launch.this_program("--svg-drawer"),
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )  # fmt: skip
        except OSError as error:
            raise NoDrawing(
                _("The process that draws it could not be started: {reason}.").format(
                    reason=error.strerror or error
                )
            ) from error
        self.asked = 0
        self._fault = Answer.GONE

    def ask(self, content: bytes, side: int, seconds: float) -> tuple[Answer, bytes]:
        """What it says to a drawing; it is dead where that takes too long or too much."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        done = threading.Event()
        until = time.monotonic() + seconds + (0 if self.asked else _STARTING)
        self.asked += 1
        watch = threading.Thread(target=self._watch, args=(done, until), name="svg", daemon=True)
        watch.start()
        head, body, length = b"", b"", 0
        number = 0
        try:
            self._process.stdin.write(ORDER.pack(side, len(content)) + content)
            self._process.stdin.flush()
            head = self._process.stdout.read(ANSWER.size)
            if len(head) == ANSWER.size:
                number, length = ANSWER.unpack(head)
                body = self._process.stdout.read(length)
        except OSError:
            pass  # it is gone, which its answer tells
        finally:
            done.set()
            watch.join()
        if len(head) < ANSWER.size or len(body) < length:
            return self._fault, b""
        return Answer(number), body

    def _watch(self, done: threading.Event, until: float) -> None:
        import psutil

        with contextlib.suppress(psutil.Error):
            process = psutil.Process(self._process.pid)
            while not done.wait(_LOOK):
                if time.monotonic() > until:
                    self.give_up(Answer.SLOW)
                elif process.memory_info().rss > MAX_MEMORY:
                    self.give_up(Answer.GREEDY)

    def give_up(self, fault: Answer) -> None:
        """Has who waits for it told this."""
        self._fault = fault
        self._process.kill()

    def close(self) -> None:
        """Ends it."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):  # what it did not take is not sent
                    pipe.close()


def _taken() -> _Drawer:
    with _lock:
        if _free:
            return _free.pop()
    return _Drawer()


def close() -> None:
    """Ends the processes that wait for drawings; the next drawing starts another."""
    with _lock:
        waiting = _free[:]
        _free.clear()
    for drawer in waiting:
        drawer.close()


def interrupt() -> None:
    """Gives up what is being drawn, from any thread: who waits for it is told that it takes too long."""
    for drawer in tuple(_busy):
        drawer.give_up(Answer.SLOW)


def _none_yet() -> None:
    """A process that was copied from this one has none of its drawers."""
    global _lock, _places, _free, _busy
    _lock, _places, _free, _busy = threading.Lock(), threading.BoundedSemaphore(launch.cores()), [], set()


_lock: threading.Lock
_places: threading.BoundedSemaphore
_free: list[_Drawer]
_busy: set[_Drawer]
_none_yet()
atexit.register(close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_none_yet)
