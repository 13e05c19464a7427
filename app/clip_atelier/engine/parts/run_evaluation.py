"""Measuring a run on another collection: base and adapted, its parts included, on the same queries."""

from __future__ import annotations

from pathlib import Path

from clip_atelier.engine.core import Control, Phase, Work, _
from clip_atelier.engine.evaluation import (
    EvaluationSet,
    HeldOut,
    Task,
    Values,
    embed,
    open_on,
    significance,
)
from clip_atelier.engine.models import Models
from clip_atelier.engine.parts.arrays import FloatArray
from clip_atelier.engine.parts.cross_fitting import Variants
from clip_atelier.engine.parts.embedding import embedded_variants
from clip_atelier.engine.parts.fitted import FittedParts
from clip_atelier.engine.parts.questions import WORD_QUESTIONS, sketches_and_artworks
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
        before = evaluation_set.values(*base)
        parts = FittedParts.read(held.run.path)
        if used == 0:
            after = before
        elif parts is not None:
            after = yield from _with_parts(held, parts, evaluation_set, used, control)
        else:
            after = evaluation_set.values(
                *(yield from embed(held.clip, held.pictures, evaluation_set, control))
            )
    finally:
        held.close()
    compared = significance.compare(evaluation_set, before, after)
    return Evaluation(
        run=held.run.id,
        folder=str(folder),
        strength=used,
        images=len(evaluation_set.indices),
        measured_on=held.measured_on,
        **dict(compared),
    )


def _with_parts(
    held: HeldOut, parts: FittedParts, questions: EvaluationSet, strength: float, control: Control
) -> Work[Values]:
    """Values of every query as the run's parts answer it, named task/metric."""
    dial = held.opened.dial(strength)
    needed = tuple(dict.fromkeys(parts.setting(task.name, dial).variant for task in questions.tasks))
    strings = questions.captions
    variants = yield from embedded_variants(
        held.clip, held.pictures, questions.indices, strings, needed, control, held.adapter
    )
    return questions.values_of(lambda task: _scores(parts, task, variants, dial))


def _scores(parts: FittedParts, task: Task, variants: Variants, dial: float) -> FloatArray:
    """Scores [queries, gallery] of a question."""
    embedded = variants[parts.setting(task.name, dial).variant]
    if task.name in WORD_QUESTIONS:
        return parts.word_scores(
            task.name, embedded.texts, embedded.strings, embedded.images, embedded.roles, dial
        )
    sketches, artworks = sketches_and_artworks(task)
    return parts.picture_scores(task.name, embedded.images[sketches], embedded.images[artworks], dial)
