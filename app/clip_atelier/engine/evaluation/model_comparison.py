"""Which model for my drawings: every model at hand is asked the collection's questions as it is, without training."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from pydantic import Field

from clip_atelier.engine.core import (
    Control,
    Notice,
    Phase,
    Record,
    Score,
    Text,
    UserError,
    Work,
    WorkError,
    _,
    measured,
)
from clip_atelier.engine.data import Collection, ImageCache, open_collection
from clip_atelier.engine.evaluation import bootstrap, metrics
from clip_atelier.engine.evaluation.embedding import evaluation_set_of
from clip_atelier.engine.evaluation.sets import TASKS, EvaluationSet
from clip_atelier.engine.evaluation.significance import Values, averages, difference_of
from clip_atelier.engine.models import Model, Models, features, languages
from clip_atelier.engine.runs import Difference
from clip_atelier.engine.settings import DataSettings, HardwareSettings
from clip_atelier.engine.storage import BlobCache

SCHEMA: Final = 1
METRIC: Final = "mAP"
"""What is compared: finer than R@1."""
MOST: Final = 1000
"""Drawings that are asked about where no other number is given: enough for intervals of about two hundredths."""
_TIMED: Final = 64


class Answered(Record):
    """One question put to one model.

    Attributes:
        queries: How many were asked.
        gallery: How many images or captions each was looked for in.
        metrics: Every metric.
        chance: mAP of random rankings.
        interval: mAP with its 95 % interval.
        behind: mAP minus that of the best model on the primary question, with the paired 95 % interval.
    """

    queries: int
    gallery: int
    metrics: Mapping[str, Score]
    chance: Score = None
    interval: Difference
    behind: Difference = Difference()


class ComparedModel(Record):
    """One model.

    Attributes:
        seconds_per_1000: To embed a thousand prepared images on this device.
        languages: In which its words can be; empty where that is not known.
        warning: Whether the captions are in a language that it does not know; "" where they are not.
        error: Why it could not be asked; "" where it was.
    """

    name: Text
    family: str
    parameters: int
    image_size: int
    seconds_per_1000: Score = None
    languages: tuple[str, ...] = ()
    questions: Mapping[str, Answered] = Field(default_factory=dict)
    warning: Text = ""
    error: Text = ""


class ModelComparison(Record):
    """Every model at hand on one collection.

    Attributes:
        folder: The collection.
        images: How many of its drawings were asked about.
        of: How many it has.
        device: Where the models computed.
        primary_metric: The question that the recommendation is about first.
        models: The best first; those that could not be asked last.
        recommended: Name of one of them; "" where none could be asked.
        reason: Why, in the user's language.
    """

    schema_version: int = Field(default=SCHEMA, alias="schema")
    folder: Text
    images: int
    of: int
    device: str = ""
    primary_metric: str
    models: tuple[ComparedModel, ...]
    recommended: Text = ""
    reason: Text = ""


@dataclass(frozen=True)
class _Asked:
    model: ComparedModel
    values: Values


def compare_models(
    folder: Path,
    models: Models,
    control: Control,
    names: Sequence[str] = (),
    most: int = MOST,
    data: DataSettings | None = None,
    hardware: HardwareSettings | None = None,
) -> Work[ModelComparison]:
    """Asks models a collection's questions as they are.

    Args:
        folder: The collection.
        models: Owner of the loaded model.
        control: Stop and pause.
        names: Which models; every one at hand where left out.
        most: So many drawings at most, evenly taken, pairs kept together.
        data: How the collection is read.
        hardware: Where they compute.

    Raises:
        UserError: the folder holds too little to ask about, or a name is not known.
        Stopped: a stop was asked for.
    """
    data, hardware = data or DataSettings(), hardware or HardwareSettings()
    infos = [models.info(name) for name in names] if names else models.list()
    collection, parts = yield from open_collection(folder, data, models.home, control)
    indices = _evenly(parts.groups, most)
    store = BlobCache.of_features(models.home, hardware.cache_gb)
    asked: list[_Asked] = []
    failed: list[ComparedModel] = []
    device = ""
    try:
        pictures = ImageCache(collection.root, collection.items, infos[0].image_size, data, 0, store)
        questions = yield from evaluation_set_of(pictures, indices, parts.groups, control)
        _must_ask(questions, folder)
        for number, info in enumerate(infos, 1):
            control.boundary()
            name = info.name if not names else names[number - 1]
            yield Phase(
                name="evaluate",
                title=_("Asking {model} ({number} of {count})").format(
                    model=name, number=number, count=len(infos)
                ),
            )
            entry = ComparedModel(
                name=name, family=info.family, parameters=info.parameters, image_size=info.image_size
            )
            try:
                clip = models.open(name, hardware)
                device = clip.device.kind
                pictures = ImageCache(collection.root, collection.items, clip.frame, data, 0, store)
                yield from pictures.prepare(questions.indices, control)
                asked.append(
                    (yield from _ask(entry, clip, pictures, questions, collection, models.home, control))
                )
            except (UserError, WorkError) as error:
                failed.append(entry.model_copy(update={"error": error.message}))
                yield Notice(text=f"{name}: {error.message}")
    finally:
        store.close()
    result = ModelComparison(
        folder=str(collection.root), images=len(questions.indices), of=len(collection.items),
        device=device, primary_metric=f"{questions.primary_metric}/{METRIC}", models=tuple(failed),
    )  # fmt: skip
    return _recommended(result, asked, failed, questions) if asked else result


def _evenly(groups: Sequence[int], most: int) -> list[int]:
    """At most so many items (at least two), whole groups taken evenly from all of them."""
    members: dict[int, list[int]] = {}
    for index, group in enumerate(groups):
        members.setdefault(group, []).append(index)
    every = list(members.values())
    wanted = min(len(every), max(2, int(len(every) * min(1.0, most / max(1, len(groups))))))
    while True:
        places = np.unique(np.linspace(0, len(every) - 1, wanted).round().astype(int))
        found = sorted(index for place in places for index in every[place])
        # Groups differ in size: fewer of them where those that fell to the lot are large.
        if len(found) <= most or wanted <= 2:
            return found
        wanted -= 1


def _must_ask(questions: EvaluationSet, folder: Path) -> None:
    if not questions.captions and len(questions.tasks) <= 2:
        raise UserError(
            _("“{folder}” has neither captions nor pairs, so no model can be asked about it.").format(
                folder=folder
            ),
            _("Name the drawings, put them into folders by what they show, or pair sketches with artworks."),
            "folder",
        )


def _ask(
    entry: ComparedModel,
    clip: Model,
    pictures: ImageCache,
    questions: EvaluationSet,
    collection: Collection,
    home: Path,
    control: Control,
) -> Work[_Asked]:
    some = questions.indices[:_TIMED]
    yield from features.fresh_images(clip, pictures, some[: clip.device.batch], control)  # warms up
    began = time.perf_counter()
    yield from features.fresh_images(clip, pictures, some, control)
    seconds = (time.perf_counter() - began) / len(some) * 1000
    images = yield from features.images(clip, pictures, questions.indices, control)
    values = questions.values(images, features.texts(clip, questions.captions))
    spoken = yield from languages.languages(clip, home, control)
    average, chance = averages(values), questions.chance()
    found = {}
    for task in questions.tasks:
        names = metrics.applicable(len(task.gallery))
        own = values[f"{task.name}/{METRIC}"]
        if not np.isfinite(own).any():
            continue
        found[task.name] = Answered(
            queries=int(np.isfinite(own).sum()),
            gallery=len(task.gallery),
            metrics={name: average[f"{task.name}/{name}"] for name in names},
            chance=chance.get(f"{task.name}/{METRIC}"),
            interval=difference_of(bootstrap.paired_bootstrap(np.zeros_like(own), own, task.clusters)),
        )
    captions = [c for i in questions.indices for c in collection.items[i].captions]
    return _Asked(
        entry.model_copy(update={
            "seconds_per_1000": seconds, "languages": spoken, "questions": found,
            "warning": languages.warning(captions, spoken, entry.name),
        }),
        values,
    )  # fmt: skip


def _recommended(
    result: ModelComparison, asked: list[_Asked], failed: list[ComparedModel], questions: EvaluationSet
) -> ModelComparison:
    """The quickest of the models that are not measurably worse than the best on any question."""
    primary = questions.primary_metric
    ranked = sorted(asked, key=lambda one: -(_score(one.model, primary)))
    best = ranked[0]
    compared = [
        one.model.model_copy(update={"questions": {
            name: answer.model_copy(update={"behind": _behind(best, one, questions, name)})
            for name, answer in one.model.questions.items()
        }})
        for one in ranked
    ]  # fmt: skip
    alike = [
        one
        for one in compared
        if not any((answer.behind.high or 0.0) < 0 for answer in one.questions.values())
    ]
    chosen = min(alike, key=lambda one: one.seconds_per_1000 or 0.0)
    return result.model_copy(update={
        "models": (*compared, *failed), "recommended": chosen.name, "reason": _reason(compared, chosen, primary),
    })  # fmt: skip


def _score(model: ComparedModel, task: str) -> float:
    answer = model.questions.get(task)
    return (answer.metrics.get(METRIC) or 0.0) if answer else 0.0


def _behind(best: _Asked, one: _Asked, questions: EvaluationSet, task: str) -> Difference:
    name = f"{task}/{METRIC}"
    return difference_of(
        bootstrap.paired_bootstrap(best.values[name], one.values[name], questions.task(task).clusters)
    )


def _reason(compared: Sequence[ComparedModel], chosen: ComparedModel, primary: str) -> str:
    best, asked = compared[0], chosen.questions[primary]
    facts = {
        "model": chosen.name,
        "question": _(TASKS[primary]),
        "value": measured(asked.metrics.get(METRIC), METRIC),
        "chance": measured(asked.chance, METRIC),
    }
    if len(compared) == 1:
        return _(
            "“{model}” is the only model that could be asked: {question}, mAP {value} (chance {chance})."
        ).format(**facts)
    if chosen is best:
        other = compared[1]
        gap = other.questions[primary].behind
        lead = {
            "other": other.name, "gap": measured(-(gap.value or 0.0)), "low": measured(-(gap.high or 0.0)),
            "high": measured(-(gap.low or 0.0)),
        }  # fmt: skip
        if (gap.high or 0.0) < 0:
            return _(
                "“{model}” finds the most: {question}, mAP {value} (chance {chance}), {gap} more than “{other}” (95 % interval {low} to {high})."
            ).format(**facts, **lead)
        return _(
            "“{model}” finds the most: {question}, mAP {value} (chance {chance}), but no more than “{other}” for certain (difference {gap}, 95 % interval {low} to {high}); it is the quickest of those that do as well."
        ).format(**facts, **lead)
    gap = asked.behind
    return _("“{model}” finds as much as “{best}” as far as these {count} queries can tell ({question}: mAP {value} against {most}, difference {gap}, 95 % interval {low} to {high}), and is quicker: {seconds} s instead of {longer} s for 1,000 images.").format(
        **facts, best=best.name, most=measured(best.questions[primary].metrics.get(METRIC), METRIC),
        count=asked.queries, gap=measured(gap.value), low=measured(gap.low), high=measured(gap.high),
        seconds=f"{chosen.seconds_per_1000:.1f}", longer=f"{best.seconds_per_1000:.1f}",
    )  # fmt: skip
