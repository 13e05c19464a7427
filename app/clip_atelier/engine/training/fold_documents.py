"""What a comparison by folds came to, as `crossval` and runs write it down."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from clip_atelier.engine.core import Control, Phase, Work, _
from clip_atelier.engine.data import open_collection
from clip_atelier.engine.evaluation import bootstrap, difference_of, significance
from clip_atelier.engine.models import Models, adapters
from clip_atelier.engine.parts import PARTS, Answer, names, share_of_folds, switched_on, trivial
from clip_atelier.engine.runs import CrossValidation, PartGain, TrivialWay
from clip_atelier.engine.settings import Settings
from clip_atelier.engine.storage import BlobCache
from clip_atelier.engine.training import explanation
from clip_atelier.engine.training.cross_validation import Crossed, Material, material, measured_by_folds


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
    return document(folder, crossed, ready)


def document(folder: Path, crossed: Crossed, ready: Material) -> CrossValidation:
    """The document of `crossval`."""
    questions = {
        name: significance.question(answer.base, answer.adapted, answer.clusters, answer.gallery)
        for name, answer in crossed.answers.items()
    }
    ways = trivial_ways(crossed, ready)
    kept = {name: switched_on(answer.kept) for name, answer in crossed.answers.items()}
    return CrossValidation(
        folder=str(folder),
        folds=len(crossed.fit.folds),
        seconds=round(crossed.seconds, 1),
        protocol=names.measured_by_folds(len(crossed.fit.folds)),
        steps=crossed.steps,
        strength=crossed.strength,
        questions=questions,
        parts=part_gains(crossed.answers),
        trivial=ways,
        skipped=tuple(crossed.skipped),
        summary=explanation.summary(kept, questions, ways, crossed.strength, crossed.skipped),
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
            gain=difference_of(answer.parts[part]),
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
                    difference=difference_of(difference),
                )
            )
    return tuple(found)
