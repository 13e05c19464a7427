"""A run taken straight to its end, and the same run stopped on the way and resumed."""

from __future__ import annotations

from pathlib import Path

from clip_atelier.engine.core import Control, Event, Step, drive
from clip_atelier.engine.models import Models
from clip_atelier.engine.runs import TrainResult
from clip_atelier.engine.settings import Settings
from clip_atelier.engine.training import Plan, resume, train


def trained_and_resumed(folder: Path, chosen: Settings, home: Path, models: Models) -> TrainResult:
    """The straight run's result, after showing that a run stopped at its second step and resumed ends in the same figures."""
    straight = drive(train(Plan(folder, chosen, home), models, Control()))
    assert straight.status == "done"
    assert straight.base_untouched
    control = Control()

    def stop_at_two(event: Event) -> None:
        if isinstance(event, Step) and event.step == 2:
            control.stop()

    stopped = drive(train(Plan(folder, chosen, home), models, control), stop_at_two)
    assert stopped.status == "stopped"
    resumed = drive(resume(home, stopped.run, Models(home), Control()))
    assert resumed.adapted == straight.adapted, "resumed bit for bit"
    return straight
