"""How far work has come and how long it still takes: the one place that reckons it."""

from __future__ import annotations

import time
from typing import TypeVar

from clip_atelier.engine.core.events import Event, Progress, Work, mapped

T = TypeVar("T")


class Countdown:
    """Work of a known size, at the pace it has had since this was made.

    Args:
        total: Its size, in any unit.
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self._began = time.monotonic()

    def left(self, done: int) -> float | None:
        """Seconds until the end; None while nothing is done."""
        return (time.monotonic() - self._began) / done * (self.total - done) if done else None

    def at(self, done: int, item: str = "") -> Progress:
        """The progress to tell."""
        return Progress(done=done, total=self.total, seconds_left=self.left(done), item=item)


class Whole:
    """One progress over several pieces of work that each count for themselves.

    Args:
        total: Sum of the sizes of all pieces, in any unit.
    """

    def __init__(self, total: int) -> None:
        self.done = 0
        self._countdown = Countdown(total)

    def part(self, work: Work[T], size: int) -> Work[T]:
        """Runs a piece of work of a size, its own progress told as progress of the whole."""

        def of_the_whole(event: Event) -> Event:
            if not isinstance(event, Progress):
                return event
            return self._countdown.at(self.done + round(size * event.done / max(event.total, 1)))

        value = yield from mapped(work, of_the_whole)
        self.done += size
        yield self._countdown.at(self.done)
        return value
