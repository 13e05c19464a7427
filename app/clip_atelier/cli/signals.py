"""Ctrl-C and SIGTERM ask the work to stop and keep what was done; asked twice, the process ends at once."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from clip_atelier.engine.core import Control, _


@contextmanager
def stopping(control: Control) -> Iterator[None]:
    """While open, the first SIGINT calls `control.stop()`, SIGTERM `control.leave()`, and the second one kills."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in numbers}

    def stop(number: int, _frame: FrameType | None) -> None:
        # Ctrl-C is a person who still wants the comparison; SIGTERM is a machine that wants the process gone.
        if number == signal.SIGTERM:
            control.leave()
        else:
            control.stop()
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)
        _say("\n" + _("Stopping; what was done is kept. Press Ctrl-C again to end at once.") + "\n")

    for number in numbers:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _say(text: str) -> None:
    """Writes past the buffer of stderr, which the signal may have interrupted in the middle of a write."""
    # A stream without a descriptor (windowed builds, tests) has nobody to read it.
    with suppress(AttributeError, OSError, ValueError):
        os.write(sys.stderr.fileno(), text.encode(sys.stderr.encoding or "utf-8", "backslashreplace"))
