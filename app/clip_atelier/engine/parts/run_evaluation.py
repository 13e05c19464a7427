"""Measuring a run on another collection: base and adapted, its parts included, on the same queries."""

from __future__ import annotations

from pathlib import Path

from clip_atelier.engine.core import Control, Phase, Work, _
from clip_atelier.engine.data import ImageCache
from clip_atelier.engine.evaluation import (
    EvaluationSet,
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
from clip_atelier.engine.runs import AdaptedModel, Evaluation


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
        after = before
        if used:
            after = yield from values_at(held.opened, held.pictures, evaluation_set, used, control)
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


def values_at(
    opened: AdaptedModel, pictures: ImageCache, questions: EvaluationSet, strength: float, control: Control
) -> Work[Values]:
    """Values of every query as a run answers it at a strength, by its parts if it keeps any, named task/metric.

    Args:
        opened: The run.
        pictures: The drawings that are asked for, prepared.
        questions: The queries about them.
        strength: Position of the strength dial; 0 is the untouched model.
        control: Stop and pause.
    """
    parts = FittedParts.read(opened.run.path) if strength else None
    if parts is None:
        with opened.adapter.at(strength):
            return questions.values(*(yield from embed(opened.clip, pictures, questions, control)))
    dial = opened.dial(strength)
    needed = tuple(dict.fromkeys(parts.setting(task.name, dial).variant for task in questions.tasks))
    variants = yield from embedded_variants(
        opened.clip, pictures, questions.indices, questions.captions, needed, control, opened.adapter
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
