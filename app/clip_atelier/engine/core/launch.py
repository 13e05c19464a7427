"""Which of several processes this one is: what `accelerate launch` and `torchrun` tell it in the environment."""

from __future__ import annotations

import os

_NEEDED = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


def launched() -> bool:
    """Whether a launcher started this process together with others."""
    return all(name in os.environ for name in _NEEDED) and int(os.environ["WORLD_SIZE"]) > 1


def leads() -> bool:
    """Whether this process speaks and writes: it is alone, or the first of several."""
    return not launched() or int(os.environ["RANK"]) == 0


def processes_here() -> int:
    """How many processes of this training share this machine, itself included."""
    return max(1, int(os.environ.get("LOCAL_WORLD_SIZE", "1"))) if launched() else 1
