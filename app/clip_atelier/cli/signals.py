"""Ctrl-C and SIGTERM ask the work to stop and keep what was done; asked twice, the process ends at once."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from clip_atelier.cli import console
from clip_atelier.engine.control import Control
from clip_atelier.engine.i18n import _


@contextmanager
def stopping(control: Control) -> Iterator[None]:
    """While open, the first SIGINT or SIGTERM calls `control.stop()` and the second one kills."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in numbers}

    def stop(_number: int, _frame: FrameType | None) -> None:
        control.stop()
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)
        console.err("\n" + _("Stopping; what was done is kept. Press Ctrl-C again to end at once."))

    for number in numbers:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
