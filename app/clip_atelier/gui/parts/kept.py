"""What a run kept in the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clip_atelier.engine.runs import TrainResult


def untouched_kept(result: TrainResult) -> bool:
    """Whether nothing that was learned is in force: strength 0, or no step did better than the first."""
    return result.measured and not result.folds and (result.strength == 0 or result.best_step == 0)
