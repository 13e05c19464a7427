"""Whether a run has anything that it can go on with, told without importing what trains."""

from __future__ import annotations

from pathlib import Path
from typing import Final

FOLDS: Final = "folds"
"""Below a run: what was worked out for each fold."""


def begun(run: Path) -> bool:
    """Whether a run has a checkpoint or a fold."""
    return any((run / "checkpoints").glob("[0-9]*/manifest.json")) or any((run / FOLDS).glob("*/*"))
