"""Measuring a run on another collection: base and adapted on the same queries."""

from __future__ import annotations

from pathlib import Path

from clip_atelier.engine.core import Control, Phase, Work, _
from clip_atelier.engine.evaluation import significance
from clip_atelier.engine.evaluation.embedding import embed
from clip_atelier.engine.evaluation.held_out import open_on
from clip_atelier.engine.models import Models
from clip_atelier.engine.runs import Evaluation


def evaluate(
    home: Path, run_id: str, folder: Path, models: Models, control: Control, strength: float | None = None
) -> Work[Evaluation]:
    """Compares base and adapted on every image of a collection (on its held-out ones if it is the run's own).

    Args:
        home: Where runs and caches live.
        run_id: The run.
        folder: The collection to measure on.
        models: Owner of loaded models.
        control: Stop and pause.
        strength: Strength of the update; the recommended one where left out.

    Returns:
        The comparison, and what it was made on.

    Raises:
        UserError: no such run or folder, or too few images.
    """
    held = yield from open_on(home, run_id, models, control, folder)
    try:
        adapter = held.adapter
        if strength is not None:
            adapter.set_adapter_scale(strength)
        used = adapter.adapter_scale
        yield Phase(name="encode", title=_("Preparing the images"))
        evaluation_set = yield from held.evaluation_set(control)
        yield Phase(name="evaluate", title=_("Comparing base and adapted"))
        with adapter.at(0.0):
            base = yield from embed(held.clip, held.pictures, evaluation_set, control)
        adapted = base if used == 0 else (yield from embed(held.clip, held.pictures, evaluation_set, control))
    finally:
        held.close()
    compared = significance.compare(
        evaluation_set, evaluation_set.values(*base), evaluation_set.values(*adapted)
    )
    return Evaluation(
        run=held.run.id,
        folder=str(folder),
        strength=used,
        images=len(evaluation_set.indices),
        measured_on=held.measured_on,
        **dict(compared),
    )
