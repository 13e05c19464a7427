"""What the Training page asks of the engine, as work for a lane."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from clip_atelier.engine.core import Control, Work
from clip_atelier.engine.settings import Settings
from clip_atelier.gui.jobs import at_once

if TYPE_CHECKING:
    from clip_atelier.engine.reports import WrittenFiles
    from clip_atelier.engine.runs import TrainResult
    from clip_atelier.gui.workers import Tools


def train(folder: Path, chosen: Settings, name: str, tools: Tools, control: Control) -> Work[TrainResult]:
    """Trains a new run."""
    from clip_atelier.engine import training

    return training.train(training.Plan(folder, chosen, tools.home, name), tools.models, control)


def resume(run: str, tools: Tools, control: Control) -> Work[TrainResult]:
    """Goes on with a run."""
    from clip_atelier.engine import training

    return training.resume(tools.home, run, tools.models, control)


def replay(run: str, tools: Tools, control: Control) -> Work[None]:
    """The recorded events of a run, through the same door as live ones."""
    from clip_atelier.engine.runs import Runs

    for event in Runs(tools.home).open(run).events():
        control.boundary()
        yield event


def export_run(run: str, to: str, out: Path, tools: Tools, control: Control) -> Work[WrittenFiles]:
    """Writes a run in a form that other programs take: "adapter", "merged", "onnx" or "code"."""
    from clip_atelier.engine.reports import export
    from clip_atelier.engine.runs import Runs

    return export(Runs(tools.home).open(run), cast(Any, to), out, tools.models, control)


def delete_run(run: str, tools: Tools, _control: Control) -> Work[None]:
    """Removes a run from disk."""
    from clip_atelier.engine.runs import Runs

    return at_once(lambda: Runs(tools.home).delete(run))
