"""What the Training page asks of the engine, as work for a lane."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from PySide6.QtCore import QBuffer, QByteArray
from PySide6.QtGui import QImage, QImageWriter

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

    plan = training.Plan(folder, chosen, tools.home, name)
    if chosen.hardware.own_process:
        tools.release()
        return training.train_apart(plan, control, tools.take_trainer())
    return training.train(plan, tools.models, control)


def resume(run: str, own_process: bool, tools: Tools, control: Control) -> Work[TrainResult]:
    """Goes on with a run; in which process is the window's choice of now, not the run's of then."""
    from clip_atelier.engine import training

    if own_process:
        tools.release()
        return training.resume_apart(tools.home, run, control, tools.take_trainer())
    return training.resume(tools.home, run, tools.models, control)


def replay(run: str, tools: Tools, control: Control) -> Work[None]:
    """The recorded events of a run, through the same door as live ones."""
    from clip_atelier.engine.runs import Runs

    for event in Runs(tools.home).open(run).events():
        control.boundary()
        yield event


def merge_run(run: str, tools: Tools, control: Control) -> Work[str]:
    """Makes a model at hand of a run, its update added to the weights; the model's name."""
    from clip_atelier.engine.reports import merged_as_base
    from clip_atelier.engine.runs import Runs

    return (yield from merged_as_base(Runs(tools.home).open(run), tools.models, control)).name


def export_run(run: str, to: str, out: Path, tools: Tools, control: Control) -> Work[WrittenFiles]:
    """Writes a run in a form that other programs take: "adapter", "merged", "onnx" or "code"."""
    from clip_atelier.engine.reports import export
    from clip_atelier.engine.runs import Runs

    return export(Runs(tools.home).open(run), cast(Any, to), out, tools.models, control)


def export_picture(drawn: QImage, out: Path, _tools: Tools, _control: Control) -> Work[None]:
    """Writes a picture as PNG."""
    from clip_atelier.engine.core import write_whole

    buffer = QBuffer()
    QImageWriter(buffer, QByteArray(b"png")).write(drawn)
    return at_once(lambda: write_whole(out, bytes(buffer.data().data())))
