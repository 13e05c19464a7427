"""Numbers as people read them: one way to write a measure, a difference, a length of time, a size."""

from __future__ import annotations

import math

from clip_atelier.engine.core.i18n import _

NOTHING = "–"
"""What stands where nothing was measured."""


def digits_of(metric: str) -> int:
    """Decimals of a metric, named with or without its task: ranks are counted, all else is a share of one."""
    return 1 if metric.endswith("rank") else 3


def measured(value: float | None, metric: str = "") -> str:
    """A metric's value."""
    if value is None or not math.isfinite(value):
        return NOTHING
    return f"{value:.{digits_of(metric)}f}"


def signed(value: float | None, metric: str = "") -> str:
    """A difference: with its sign, and never as a negative zero."""
    if value is None or not math.isfinite(value):
        return NOTHING
    digits = digits_of(metric)
    return f"{value:+.{digits}f}" if round(value, digits) else f"{0:.{digits}f}"


def with_interval(value: float | None, low: float | None, high: float | None, metric: str = "") -> str:
    """A difference with its 95 % interval: "+0.035 (+0.005 … +0.070)"."""
    return f"{signed(value, metric)} ({signed(low, metric)} … {signed(high, metric)})"


def duration(seconds: float) -> str:
    """A length of time."""
    whole = max(0, round(seconds))
    if whole < 60:
        return _("{seconds} s").format(seconds=whole)
    if whole < 3600:
        return _("{minutes} min {seconds} s").format(minutes=whole // 60, seconds=whole % 60)
    return _("{hours} h {minutes} min").format(hours=whole // 3600, minutes=whole % 3600 // 60)


def size_words(count: int) -> str:
    """A number of bytes."""
    if count < 1_000_000:
        return f"{max(count / 1000, 1 if count else 0):.0f} kB"
    return f"{count / 1_000_000:.1f} MB" if count < 1_000_000_000 else f"{count / 1_000_000_000:.1f} GB"
