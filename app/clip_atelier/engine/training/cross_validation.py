"""Measuring by folds: everything is learned without a part of the drawings, which then are the questions.

First what needs no training is measured on stored embeddings; then the update is trained once for each fold; then every
question chooses, among the settings of all parts, by what the other folds say. See `parts.cross_fitting`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from clip_atelier.engine.core import (
    Control,
    FoldStep,
    PartMeasured,
    Phase,
    T,
    UserError,
    Whole,
    Work,
    _,
    mapped,
    paths,
)
from clip_atelier.engine.data import Collection, ImageCache, Item
from clip_atelier.engine.evaluation import EvaluationSet
from clip_atelier.engine.evaluation import sets as evaluation_sets
from clip_atelier.engine.models import Model, adapters
from clip_atelier.engine.parts import (
    PLAIN,
    Answer,
    CrossFit,
    Known,
    Variant,
    Variants,
    answered,
    assign_folds,
    cross_fit,
    distinct_captions,
    embedded_variants,
    kept_strength,
    switched_on,
)
from clip_atelier.engine.settings import Settings
from clip_atelier.engine.storage import BlobCache
from clip_atelier.engine.training import fitting
from clip_atelier.engine.training.batches import Batches
from clip_atelier.engine.training.kept_folds import KeptFolds
from clip_atelier.engine.training.lengths import FEWEST_TO_A_FOLD, RunLength, affordable, fold_count

STRENGTHS: Final = (0.25, 0.5, 0.75, 1.0)
"""Strengths of an update alone."""
STRENGTHS_WITH_PARTS: Final = (0.5,)
"""Strengths that are tried together with every other part: full strength adds choices, and nothing else."""


@dataclass(frozen=True)
class Material:
    """A collection that is ready to be measured: every item can be read.

    Attributes:
        groups: One id per item; those of one group are never in different folds.
        folds: Fold of each item.
    """

    items: tuple[Item, ...]
    groups: tuple[int, ...]
    pictures: ImageCache
    folds: np.ndarray[tuple[int], np.dtype[np.int64]]

    @property
    def count(self) -> int:
        """How many folds there are."""
        return int(self.folds.max()) + 1 if len(self.folds) else 0


@dataclass
class Crossed:
    """What the folds found.

    Attributes:
        answers: Question -> what was measured and what is kept.
        fit: The tables behind them.
        strength: Of the update that is kept.
        steps: Steps that the update took in each fold.
        base: The collection in the untouched embeddings that were tried.
        skipped: What was shortened or left out, in sentences.
    """

    answers: Mapping[str, Answer]
    fit: CrossFit
    strength: float
    steps: int
    base: Variants
    seconds: float = 0.0
    skipped: list[str] = field(default_factory=list)


def material(
    collection: Collection,
    groups: Sequence[int],
    clip: Model,
    settings: Settings,
    store: BlobCache | None,
    control: Control,
) -> Work[Material]:
    """Prepares every drawing and deals them to folds.

    Raises:
        UserError: too few drawings to measure by folds.
    """
    yield Phase(name="encode", title=_("Preparing the images"))
    items, groups = tuple(collection.items), tuple(groups)
    data, seed = settings.data, settings.train.seed
    pictures = ImageCache(collection.root, items, clip.frame, data, seed, store)
    bad = set((yield from pictures.prepare(range(len(items)), control, data.views)))
    if bad:
        kept = [i for i in range(len(items)) if i not in bad]
        items, groups = tuple(items[i] for i in kept), tuple(groups[i] for i in kept)
        pictures = ImageCache(collection.root, items, clip.frame, data, seed, store)
        yield from pictures.prepare(range(len(items)), control, data.views)
    different = len(set(groups))
    count = fold_count(settings, groups)
    if count < 2:
        raise UserError(
            _("“{folder}” has {count} different drawings, too few to measure on.").format(
                folder=paths.shown(collection.root), count=different
            ),
            _("From {least} on, it can be told whether anything helps; add drawings.").format(
                least=2 * FEWEST_TO_A_FOLD
            ),
            "folder",
        )
    return Material(items, groups, pictures, assign_folds(items, groups, count))


def measured_by_folds(
    clip: Model, ready: Material, settings: Settings, control: Control, kept: KeptFolds | None = None
) -> Work[Crossed]:
    """Measures the parts, trains the update for each fold, and lets every question choose.

    Args:
        clip: The model, nothing attached.
        ready: The collection.
        settings: What is trained, and whether parts are tried.
        control: Stop and pause.
        kept: What was worked out before an interruption, and where it is kept; None to keep nothing.
    """
    began = time.monotonic()
    everything = range(len(ready.items))
    with_parts = settings.evaluation.parts
    strings = distinct_captions(ready.items)
    questions = _questions(ready)
    yield Phase(name="evaluate", title=_("Measuring the untouched model"))
    base = yield from embedded_variants(
        clip,
        ready.pictures,
        everything,
        strings,
        [PLAIN, Variant(0.0, True)] if with_parts else [PLAIN],
        control,
    )
    embedding = (time.monotonic() - began) / (4 if with_parts else 1)
    fits: Known = {}  # what is learned in the untouched embeddings is needed again at the end
    if with_parts:
        yield Phase(name="parts", title=_("Trying what needs no training"))
        quick = answered(
            cross_fit(ready.folds, questions, dict.fromkeys(questions, base), known=fits), joint=False
        )
        yield from _told(quick, final=False)
    variants: dict[int, Variants] = {}
    steps = Batches.of(ready.items, everything, ready.groups, settings).total(settings.train)
    strengths = STRENGTHS_WITH_PARTS if with_parts else STRENGTHS
    wanted = [Variant(s, v) for s in strengths for v in ((False, True) if with_parts else (False,))]
    decided = kept.length() if kept else None
    if decided is None:
        seconds = yield from _seconds_per_step(clip, ready, settings, control)
        spent = time.monotonic() - began
        embedding *= len(wanted) * (2.5 if with_parts else 1.0)
        decided = _affordable(settings, steps, seconds, ready.count, spent + ready.count * embedding)
        if kept:
            kept.keep_length(*decided)
    steps, skipped = decided
    yield Phase(name="folds", title=_("Training once for each fold"))
    whole = Whole(ready.count * 100)
    for fold in questions:
        learned = kept.variants(fold, base[PLAIN]) if kept else None
        if learned is None:
            work = _of_fold(clip, ready, settings, steps, fold, strings, wanted, control)
            learned = yield from whole.part(work, 100)
            if kept:
                kept.keep_variants(fold, learned)
        else:
            whole.done += 100
        variants[fold] = {**base, **learned}
    yield Phase(name="choose", title=_("Choosing what helps"))
    fit = cross_fit(ready.folds, questions, variants, with_parts, fits)
    answers = answered(fit, joint=not with_parts)
    yield from _told(answers, final=True)
    return Crossed(answers, fit, kept_strength(answers), steps, base, time.monotonic() - began, skipped)


def _questions(ready: Material) -> dict[int, EvaluationSet]:
    """The questions about the drawings of each fold; folds with fewer than two drawings are left out."""
    found = {}
    for fold in range(ready.count):
        indices = np.flatnonzero(ready.folds == fold).tolist()
        if len(indices) >= 2:
            found[fold] = evaluation_sets.evaluation_set(ready.items, indices, ready.groups)
    return found


def _seconds_per_step(clip: Model, ready: Material, settings: Settings, control: Control) -> Work[float]:
    """Time of a step on this machine, from the second and third of a fold's own."""
    train = np.flatnonzero(ready.folds != 0).tolist()
    probe = yield from _quiet(
        fitting.prepared(clip, settings, ready.items, ready.groups, ready.pictures, train, 3, control)
    )
    probe.step.step(0, probe.batches.at(0))
    began = time.monotonic()
    for step in (1, 2):
        control.boundary()
        float(probe.step.step(step, probe.batches.at(step)))
    adapters.detach(clip)
    return (time.monotonic() - began) / 2


def _affordable(
    settings: Settings, steps: int, seconds: float, folds: int, spent: float
) -> tuple[int, list[str]]:
    """How many steps each fold, and the update that is handed over, may take within the budget; and what to say of it."""
    taken = affordable(settings, RunLength(folds + 1, steps), seconds, spent).steps
    if taken == steps:
        return steps, []
    told = _("Training takes {taken} instead of {steps} steps, for a budget of {minutes:g} minutes.").format(
        taken=taken, steps=steps, minutes=settings.evaluation.minutes
    )
    return taken, [told]


def _of_fold(
    clip: Model,
    ready: Material,
    settings: Settings,
    steps: int,
    fold: int,
    strings: Sequence[str],
    wanted: Sequence[Variant],
    control: Control,
) -> Work[Variants]:
    """The collection embedded by an update that has learned from all other folds, at each wanted strength."""

    def told(step: int, loss: float) -> FoldStep:
        return FoldStep(fold=fold + 1, folds=ready.count, step=step, steps=steps, loss=loss)

    train = np.flatnonzero(ready.folds != fold).tolist()
    whole = Whole(100)
    fitted = yield from whole.part(
        _quiet(
            fitting.prepared(clip, settings, ready.items, ready.groups, ready.pictures, train, steps, control)
        ),
        5,
    )
    try:
        yield from whole.part(fitting.fit(fitted, steps, settings.train.seed, control, told), 75)
        everything = range(len(ready.items))
        embedded = embedded_variants(
            clip, ready.pictures, everything, strings, wanted, control, fitted.adapter
        )
        return (yield from whole.part(_quiet(embedded), 20))
    finally:
        adapters.detach(clip)


def _quiet(work: Work[T]) -> Work[T]:
    """The same work without what it tells: it is a small part of something that tells its own progress."""
    return mapped(work, lambda _event: None)


def _told(answers: Mapping[str, Answer], final: bool) -> Work[None]:
    for question, answer in answers.items():
        for part, gain in answer.parts.items():
            yield PartMeasured(
                name=part, question=question, value=gain.value, low=gain.low, high=gain.high,
                kept=final and part in switched_on(answer.kept),
            )  # fmt: skip
