"""How far a map is, and how long it still takes: one bar from the first neighbours to the last score."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final, TypeVar

from clip_atelier.engine.core import Event, Progress, Work, mapped

T = TypeVar("T")

_UNITS: Final = 1000  # of the bar


class Pace:
    """Parts of a piece of work, each of a known size beside the others; how fast they go is seen on the way.

    Args:
        sizes: What each part may take, in seconds of some machine: only their ratios matter.
    """

    def __init__(self, sizes: Mapping[str, float]) -> None:
        self._sizes = dict(sizes)
        self._total = sum(sizes.values()) or 1.0
        self._before = 0.0  # what the parts that are over come to
        self._began = time.monotonic()

    def part(self, name: str, work: Work[T]) -> Work[T]:
        """A part's work, its progress told as that of the whole."""

        def told(event: Event) -> Event:
            if isinstance(event, Progress):
                return self._progress(self._before + self._sizes[name] * event.done / max(1, event.total))
            return event

        result = yield from mapped(work, told)
        yield self.over(name)
        return result

    def over(self, name: str) -> Progress:
        """Counts a part that is over."""
        self._before += self._sizes[name]
        return self._progress(self._before)

    def _progress(self, done: float) -> Progress:
        spent = time.monotonic() - self._began
        left = spent * (self._total - done) / done if done else None
        return Progress(done=round(_UNITS * done / self._total), total=_UNITS, seconds_left=left)


def neighbours_seconds(count: int, dim: int) -> float:
    """About how long the exact neighbours of `count` vectors take."""
    return 2e-11 * count * count * (dim + 100)


def drawing_seconds(count: int, iterations: int) -> float:
    """About how long so many iterations of t-SNE take."""
    return iterations * (2e-3 + 8e-7 * count)


def scoring_seconds(count: int) -> float:
    """About how long the scores of a map take."""
    return 0.05 + 6e-5 * count
