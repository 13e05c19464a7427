"""Measuring by folds: everything is learned without a part of the drawings, which then are the questions.

First what needs no training is measured on stored embeddings; then the update is trained once for each fold; then every
question chooses, among the settings of all parts, by what the other folds say. See `parts.cross_fitting`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from clip_atelier.engine.core import Control, PartMeasured, Phase, UserError, Whole, Work, _, paths
from clip_atelier.engine.data import Collection, ImageCache, Item, open_collection
from clip_atelier.engine.evaluation import EvaluationSet, bootstrap
from clip_atelier.engine.evaluation import metrics as evaluation_metrics
from clip_atelier.engine.evaluation import sets as evaluation_sets
from clip_atelier.engine.models import Model, Models, adapters
from clip_atelier.engine.parts import (
    PARTS,
    PLAIN,
    Answer,
    CrossFit,
    Variant,
    Variants,
    answered,
    assign_folds,
    cross_fit,
    distinct_captions,
    embedded_variants,
    kept_strength,
    share_of_folds,
    switched_on,
    trivial,
)
from clip_atelier.engine.runs import CrossValidation, Difference, PartGain, QuestionResult, TrivialWay
from clip_atelier.engine.settings import Settings
from clip_atelier.engine.storage import BlobCache
from clip_atelier.engine.training import explanation, fitting

if TYPE_CHECKING:
    pass

if TYPE_CHECKING:
    from clip_atelier.engine.training.by_folds import KeptFolds

FEWEST_TO_A_FOLD: Final = 4
"""Groups that a fold must hold, so that its questions can be answered wrongly."""
FEWEST_STEPS: Final = 40
"""Fewer are not worth the time: where the budget allows no more, it is overstepped, and said so."""
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

    root: Path
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


def crossval(
    folder: Path, settings: Settings, home: Path, models: Models, control: Control
) -> Work[CrossValidation]:
    """Compares base and adapted by folds; nothing is kept.

    Raises:
        UserError: the folder, the model or a setting is at fault, or there are too few drawings.
    """
    collection, parts = yield from open_collection(folder, settings.data, home, control)
    yield Phase(name="load", title=_("Opening the model"))
    clip = models.open(settings.model.name, settings.hardware)
    store = BlobCache.of_features(home, settings.hardware.cache_gb)
    try:
        ready = yield from material(collection, parts.groups, clip, settings, store, control)
        crossed = yield from measured_by_folds(clip, ready, settings, control)
    finally:
        store.close()
        adapters.detach(clip)
    return document(folder, crossed, ready, settings)


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
    pictures = ImageCache(collection.root, items, clip.image_size, data, seed, store)
    bad = set((yield from pictures.prepare(range(len(items)), control, data.views)))
    if bad:
        kept = [i for i in range(len(items)) if i not in bad]
        items, groups = tuple(items[i] for i in kept), tuple(groups[i] for i in kept)
        pictures = ImageCache(collection.root, items, clip.image_size, data, seed, store)
        yield from pictures.prepare(range(len(items)), control, data.views)
    different = len(set(groups))
    count = min(max(2, settings.evaluation.folds), different // FEWEST_TO_A_FOLD)
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
    return Material(collection.root, items, groups, pictures, assign_folds(items, groups, count))


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
    if with_parts:
        yield Phase(name="parts", title=_("Trying what needs no training"))
        quick = answered(cross_fit(ready.folds, questions, dict.fromkeys(questions, base)), joint=False)
        yield from _told(quick, final=False)
    skipped: list[str] = []
    variants: dict[int, Variants] = dict.fromkeys(questions, base)
    steps = settings.train.steps or settings.train.epochs * fitting.steps_of_an_epoch(
        ready.items, ready.groups, settings
    )
    if steps:
        strengths = STRENGTHS_WITH_PARTS if with_parts else STRENGTHS
        wanted = [Variant(s, v) for s in strengths for v in ((False, True) if with_parts else (False,))]
        decided = kept.length() if kept else None
        if decided is None:
            seconds = yield from _seconds_per_step(clip, ready, settings, steps, control)
            spent = time.monotonic() - began
            embedding *= len(wanted) * (2.5 if with_parts else 1.0)
            decided = _affordable(settings, steps, seconds, embedding, ready.count, spent)
            if kept:
                kept.keep_length(*decided)
        steps, skipped = decided
        yield Phase(name="folds", title=_("Training for each of {count} folds").format(count=ready.count))
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
    fit = cross_fit(ready.folds, questions, variants, with_parts)
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


def _seconds_per_step(
    clip: Model, ready: Material, settings: Settings, steps: int, control: Control
) -> Work[float]:
    """Time of a step on this machine, from the second and third of a fold's own."""
    if not steps:
        return 0.0
    train = np.flatnonzero(ready.folds != 0).tolist()
    probe = yield from fitting.prepared(
        clip, settings, ready.items, ready.groups, ready.pictures, train, 3, control
    )
    probe.step.step(0, probe.batches.at(0))
    began = time.monotonic()
    for step in (1, 2):
        control.boundary()
        float(probe.step.step(step, probe.batches.at(step)))
    adapters.detach(clip)
    return (time.monotonic() - began) / 2


def _affordable(
    settings: Settings,
    steps: int,
    seconds: float,
    embedding: float,
    folds: int,
    spent: float,
) -> tuple[int, list[str]]:
    """How many steps each fold, and the update that is handed over, may take within the budget; and what to say of it."""
    left = settings.evaluation.minutes * 60 - spent - folds * embedding
    fits = int(left / max(1e-9, seconds * (folds + 1)))
    if fits >= steps:
        return steps, []
    taken = min(steps, max(FEWEST_STEPS, fits))
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
    train = np.flatnonzero(ready.folds != fold).tolist()
    fitted = yield from fitting.prepared(
        clip, settings, ready.items, ready.groups, ready.pictures, train, steps, control
    )
    try:
        yield from fitting.fit(fitted, steps, settings.train.seed, control)
        return (
            yield from embedded_variants(
                clip, ready.pictures, range(len(ready.items)), strings, wanted, control, fitted.adapter
            )
        )
    finally:
        adapters.detach(clip)


def _told(answers: Mapping[str, Answer], final: bool) -> Work[None]:
    for question, answer in answers.items():
        for part, gain in answer.parts.items():
            yield PartMeasured(
                name=part, question=question, value=gain.value, low=gain.low, high=gain.high,
                kept=final and part in switched_on(answer.kept),
            )  # fmt: skip


# What is told


def document(folder: Path, crossed: Crossed, ready: Material, settings: Settings) -> CrossValidation:
    """The document of `crossval`."""
    questions = {name: question_result(answer) for name, answer in crossed.answers.items()}
    ways = trivial_ways(crossed, ready)
    return CrossValidation(
        folder=str(folder),
        folds=len(crossed.fit.folds),
        seconds=round(crossed.seconds, 1),
        protocol=explanation.protocol(len(crossed.fit.folds)),
        steps=crossed.steps,
        strength=crossed.strength,
        questions=questions,
        parts=part_gains(crossed.answers),
        trivial=ways,
        skipped=tuple(crossed.skipped),
        summary=explanation.summary(crossed.answers, questions, ways, crossed.strength, crossed.skipped),
    )


def question_result(answer: Answer) -> QuestionResult:
    """One question's comparison as documents write it."""

    def means(values: Mapping[str, np.ndarray[tuple[int], np.dtype[np.float64]]]) -> dict[str, float]:
        return evaluation_metrics.aggregate(dict(values))

    differences = {
        name: bootstrap.paired_bootstrap(
            answer.base[name], answer.adapted[name], answer.clusters,
            average=evaluation_metrics.METRICS[name].average,
        )
        for name in answer.base
    }  # fmt: skip
    return QuestionResult(
        queries=len(answer.clusters),
        gallery=answer.gallery,
        base=means(answer.base),
        adapted=means(answer.adapted),
        difference={name: _difference(interval) for name, interval in differences.items()},
        verdict=bootstrap.verdict(differences["mAP"]),
    )


def chance(crossed: Crossed) -> dict[str, float]:
    """Each metric's value for random rankings: the mean over the folds."""
    of_folds = [asking.questions.chance() for asking in crossed.fit.asking.values()]
    return {
        name: float(np.mean([one[name] for one in of_folds]))
        for name in of_folds[0]
        if all(name in one for one in of_folds)
    }


def part_gains(answers: Mapping[str, Answer]) -> tuple[PartGain, ...]:
    """What each part alone does for each question, in the order of the parts' cost."""
    return tuple(
        PartGain(
            name=part,
            question=question,
            gain=_difference(answer.parts[part]),
            kept=part in switched_on(answer.kept),
            folds=share_of_folds(answer.chosen, part),
        )
        for part in PARTS
        for question, answer in answers.items()
        if part in answer.parts
    )


def trivial_ways(crossed: Crossed, ready: Material) -> tuple[TrivialWay, ...]:
    """The trivial ways on the same queries, against what is handed over."""
    found = []
    for way in trivial.WAYS:
        of_folds = [
            trivial.precision(way, asking, np.flatnonzero(ready.folds != fold))
            for fold, asking in crossed.fit.asking.items()
        ]
        for question in of_folds[0]:
            values = np.concatenate([one[question] for one in of_folds])
            answer = crossed.answers[question]
            difference = bootstrap.paired_bootstrap(values, answer.adapted["mAP"], answer.clusters)
            found.append(
                TrivialWay(
                    name=way,
                    question=question,
                    value=float(values.mean()),
                    difference=_difference(difference),
                )
            )
    return tuple(found)


def _difference(interval: bootstrap.Interval) -> Difference:
    return Difference(value=interval.value, low=interval.low, high=interval.high)
