"""The course of a run as TensorBoard reads it."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from clip_atelier.engine.core import WorkError, _
from clip_atelier.engine.runs import curves

if TYPE_CHECKING:
    from clip_atelier.engine.runs import RunFolder

_LOSSES: Final = {
    "loss": "loss/training",
    "validation_loss": "loss/validation",
    "learning_rate": "learning_rate",
}


def write(run: RunFolder, out: Path) -> None:
    """Writes a folder of events: losses, learning rate and every metric, each by step.

    Raises:
        UserError: the run has recorded nothing yet.
        WorkError: TensorBoard is not installed.
    """
    if find_spec("tensorboard") is None:
        raise WorkError(
            _("Writing for TensorBoard needs a package that is not installed: tensorboard."),
            _(
                "Install it with “pip install tensorboard”, or take the table: clip-atelier runs curves {run}"
            ).format(run=run.id),
        )
    found = curves(run)
    found.must_hold_something()
    from torch.utils.tensorboard.writer import SummaryWriter

    began = run.record.created
    with SummaryWriter(str(out)) as writer:
        for point in found.points:
            told = {title: getattr(point, name) for name, title in _LOSSES.items()} | dict(point.metrics)
            for name, value in told.items():
                if value is not None:
                    writer.add_scalar(name, value, point.step, walltime=began + point.step)
