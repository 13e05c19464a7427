"""Processes: which of several this one is, as `accelerate launch` and `torchrun` tell it, and how another is started."""

from __future__ import annotations

import atexit
import gc
import os
import sys
from typing import Final

_SELDOM: Final = 50_000
"""New objects after which garbage is looked for; Python's own number is 700, or 2,000."""
_NEEDED = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
_ACCELERATE = (
    "ACCELERATE_MIXED_PRECISION"  # set by every `accelerate launch`, which tells a single process no rank
)


def _ranked() -> bool:
    return all(name in os.environ for name in _NEEDED)


def launched() -> bool:
    """Whether a launcher started this process, be it a single one."""
    return _ranked() or _ACCELERATE in os.environ


def rank() -> int:
    """This process's number among those that a launcher started together, from 0."""
    return int(os.environ["RANK"]) if _ranked() else 0


def size() -> int:
    """How many processes a launcher started together; 1 where there is no launcher."""
    return int(os.environ["WORLD_SIZE"]) if _ranked() else 1


def leads() -> bool:
    """Whether this process speaks and writes: it is alone, or the first of several."""
    return rank() == 0


def processes_here() -> int:
    """How many processes of this training share this machine, itself included."""
    return max(1, int(os.environ.get("LOCAL_WORLD_SIZE", "1"))) if _ranked() else 1


def cores() -> int:
    """Processor cores that this process may keep busy, its share where several train on this machine."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, allowed // processes_here())


def collect_seldom() -> None:
    """For a process that does one thing and ends.

    Importing torch, transformers and PEFT makes millions of objects that stay. Looking through them for garbage after every
    700 new ones takes a fifth of the time until work begins, and once more at the end a second in which whoever waits
    sees nothing happen: then the memory goes back to the system at once.
    """
    gc.set_threshold(_SELDOM, *gc.get_threshold()[1:])
    atexit.register(gc.freeze)


def this_program(*arguments: str) -> list[str]:
    """The command line that starts this program once more, from a checkout, a wheel or a frozen program."""
    if getattr(sys, "frozen", False):
        return [sys.executable, *arguments]
    return [sys.executable, "-m", "clip_atelier", *arguments]
