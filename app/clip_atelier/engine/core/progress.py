"""One progress over several pieces of work that each count for themselves."""

from __future__ import annotations

import time
from typing import TypeVar

from clip_atelier.engine.core.events import Progress, Work

T = TypeVar("T")


class Whole:
    """The whole of some pieces of work.

    Args:
        total: Sum of the sizes of all pieces, in any unit.
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self.done = 0
        self._began = time.monotonic()

    def part(self, work: Work[T], size: int) -> Work[T]:
        """Runs a piece of work of a size, its own progress told as progress of the whole."""
        try:
            while True:
                event = next(work)
                if isinstance(event, Progress):
                    yield self._at(self.done + round(size * event.done / max(event.total, 1)))
                else:
                    yield event
        except StopIteration as end:
            self.done += size
            yield self._at(self.done)
            value: T = end.value
            return value

    def _at(self, done: int) -> Progress:
        left = (time.monotonic() - self._began) / done * (self.total - done) if done else None
        return Progress(done=done, total=self.total, seconds_left=left)
