"""What the Settings page asks of the engine, as work for a lane."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from clip_atelier.engine.core import Control, Work
from clip_atelier.engine.settings import Settings

if TYPE_CHECKING:
    from clip_atelier.engine.training import Estimate
    from clip_atelier.gui.workers import Tools


def estimate(folder: Path, chosen: Settings, tools: Tools, control: Control) -> Work[Estimate]:
    """Takes one step and reckons a run's time and memory from it."""
    from clip_atelier.engine.training import estimate as estimated

    return estimated(folder, chosen, tools.home, tools.models, control)
