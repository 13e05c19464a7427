"""Ctrl-C and SIGTERM ask the work to stop and keep what was done; asked twice, the process ends at once.

After the first Ctrl-C there are a few seconds for the comparison of base and adapted; what is not done then is left to
`resume`. Work that reaches no boundary in time, such as the import of a library on a busy machine, is ended with the
process: everything on disk is whole at any moment.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Final

from clip_atelier.cli.command import STOPPED
from clip_atelier.engine.core import Control, _

PATIENCE: Final = 3.5
"""Seconds that a stopped work may go on measuring; a step and a checkpoint more must fit into five."""

LAST: Final = 4.7
"""Seconds after which the process ends, whatever it is doing."""


@contextmanager
def stopping(control: Control) -> Iterator[None]:
    """While open, the first SIGINT calls `control.stop()`, SIGTERM `control.leave()`, and the second one kills."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    patience, last = threading.Timer(PATIENCE, control.leave), threading.Timer(LAST, _end)
    patience.daemon = last.daemon = True
    before = {number: signal.getsignal(number) for number in numbers}

    def stop(number: int, _frame: FrameType | None) -> None:
        # Ctrl-C is a person who still wants the comparison; SIGTERM is a machine that wants the process gone.
        if number == signal.SIGTERM:
            control.leave()
        else:
            control.stop()
            patience.start()
        last.start()
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)
        _say("\n" + _("Stopping; what was done is kept. Press Ctrl-C again to end at once.") + "\n")

    for number in numbers:
        signal.signal(number, stop)
    try:
        yield
    finally:
        patience.cancel()
        last.cancel()
        for number, handler in before.items():
            signal.signal(number, handler)


def _end() -> None:
    _say(_("It did not end in time and was ended. The last checkpoint is kept.") + "\n")
    os._exit(STOPPED)


def _say(text: str) -> None:
    """Writes past the buffer of stderr, which the signal may have interrupted in the middle of a write."""
    # A stream without a descriptor (windowed builds, tests) has nobody to read it.
    with suppress(AttributeError, OSError, ValueError):
        os.write(sys.stderr.fileno(), text.encode(sys.stderr.encoding or "utf-8", "backslashreplace"))
