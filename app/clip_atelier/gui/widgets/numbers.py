"""Numbers as people write them."""

from __future__ import annotations

from clip_atelier.engine.core import _


def size_words(count: int) -> str:
    """A number of bytes."""
    if count < 1_000_000:
        return f"{max(count / 1000, 1 if count else 0):.0f} kB"
    return f"{count / 1_000_000:.1f} MB" if count < 1_000_000_000 else f"{count / 1_000_000_000:.1f} GB"


def duration(seconds: float) -> str:
    """A length of time."""
    whole = max(0, round(seconds))
    if whole < 60:
        return _("{seconds} s").format(seconds=whole)
    if whole < 3600:
        return _("{minutes} min {seconds} s").format(minutes=whole // 60, seconds=whole % 60)
    return _("{hours} h {minutes} min").format(hours=whole // 3600, minutes=whole % 3600 // 60)


def share(value: float, metric: str = "") -> str:
    """A metric's value: ranks as they are, all else as a share of one."""
    if value != value:  # NaN: not measured
        return "–"
    return f"{value:.1f}" if metric == "median_rank" else f"{value:.3f}"
