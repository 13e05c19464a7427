"""A run made the base of others: its update is added to the weights, and the result is a model at hand."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final

from clip_atelier.engine.core import Control, Notice, UserError, Work, _
from clip_atelier.engine.models import Ancestor, ModelInfo, Models, lineage_of
from clip_atelier.engine.reports.ancestry import ancestor
from clip_atelier.engine.reports.exports import export

if TYPE_CHECKING:
    from clip_atelier.engine.runs import RunFolder

_LONGEST: Final = 60
_MANY: Final = 1000


def merged_as_base(run: RunFolder, models: Models, control: Control, name: str = "") -> Work[ModelInfo]:
    """Adds a run's update to its base and keeps the result as a model that can be trained on.

    The same run at the same strength is not merged twice: the model that is there already is taken.

    Args:
        run: A run that kept an update.
        models: Where its base is, and where the new model goes.
        control: Stop and pause.
        name: What to call the model; after the run where left out.

    Raises:
        UserError: the run has no adapter, or kept the untouched model.
        WorkError: the disk has no room for it.
    """
    from clip_atelier.engine.parts import DESCRIPTION

    if run.status == "running":
        raise UserError(
            _("The training “{run}” is being worked on by another process.").format(run=run.id),
            _("Wait until it ends, or stop it there."),
            "run",
        )
    made = ancestor(run)
    there = _there(made, models)
    if there is not None and not name:
        return there
    if (run.path / DESCRIPTION).is_file():
        yield Notice(
            text=_(
                "What “{run}” keeps beside its update (learned words and the like) is no part of the merged model."
            ).format(run=run.name)
        )
    folder = models.home / "downloads" / f"merged-{run.id}"
    shutil.rmtree(folder, ignore_errors=True)
    try:
        yield from export(run, "merged", folder, models, control)
        return models.add(folder, name or _free_name(run, models))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _there(made: Ancestor, models: Models) -> ModelInfo | None:
    for info in models.list():
        if info.source == "added" and lineage_of(Path(info.path))[-1:] == (made,):
            return info
    return None


def _free_name(run: RunFolder, models: Models) -> str:
    stem = re.sub(r"[^\w -]+", "-", run.name, flags=re.UNICODE).strip("- ")[:_LONGEST] or run.id
    taken = {info.name for info in models.list()}
    names = (stem if number == 1 else f"{stem}-{number}" for number in range(1, _MANY))
    return next(name for name in names if name not in taken)
