"""What the held-out questions say at one strength of the update after another.

No torch is needed here: what an adapter behind frozen features makes of them changes in a straight line with the
strength, so a window can ask at every notch of a dial, also while a model trains.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from pydantic import Field

from clip_atelier.engine.core import Record, Score
from clip_atelier.engine.evaluation import bootstrap, significance
from clip_atelier.engine.evaluation.metrics import METRICS
from clip_atelier.engine.evaluation.sets import EvaluationSet
from clip_atelier.engine.evaluation.significance import Values
from clip_atelier.engine.models import Features, normalised
from clip_atelier.engine.runs import Difference, TrainResult

REPORTED_METRICS: Final = ("R@1", "mAP")
"""What is told of the primary task at each strength."""


SELECTION_METRIC: Final = "mAP"
"""What checkpoints and strengths are chosen by: finer than R@1, which moves in whole queries."""


def key(strength: float) -> float:
    """A strength as it is looked up: 0.1 + 0.2 and 0.3 are one strength."""
    return round(float(strength), 6)


def behind_features(settings: Mapping[str, Any]) -> bool:
    """Whether a run's settings adapt the projections alone, so that everything before them is frozen.

    Args:
        settings: Dotted names.
    """
    targets = settings.get("lora.target_modules") or ()
    return (
        settings.get("train.method") == "lora"
        and settings.get("lora.bias") == "none"
        and bool(targets)
        and all(str(target).endswith("_projection") for target in targets)
    )


class MetricReading(Record):
    """One metric of the base and of the adapted model at one strength."""

    base: Score = None
    value: Score = None
    difference: Difference = Difference()
    verdict: str = ""


class StrengthReading(Record):
    """What a strength is worth on the held-out images.

    Attributes:
        strength: Of the update; 0 is the base.
        task: The task that matters most.
        metrics: By name, each of `REPORTED_METRICS`.
    """

    strength: float
    task: str = ""
    metrics: dict[str, MetricReading] = Field(default_factory=dict)


@dataclass(frozen=True)
class Line:
    """Embeddings before they are normalised: still + strength · update.

    Attributes:
        still: [N, dim], of the untouched base.
        update: [N, dim], what strength 1 adds; None where nothing is adapted.
    """

    still: Features
    update: Features | None

    def at(self, strength: float) -> Features:
        """Normalised embeddings [N, dim] at a strength."""
        moved = self.still if self.update is None else self.still + np.float32(strength) * self.update
        return normalised(moved)


@dataclass(frozen=True)
class StrengthSweep:
    """A run's held-out questions, ready to be answered at any strength within milliseconds.

    Attributes:
        evaluation_set: The questions.
        base: The base's value of every query.
        images: Embeddings of the set's images.
        texts: Embeddings of its captions.
        measured_on: "test" or "validation".
        changed: The collection is not the one that was trained on.
    """

    evaluation_set: EvaluationSet
    base: Values
    images: Line
    texts: Line
    measured_on: str
    changed: bool

    def at(self, strength: float) -> StrengthReading:
        """The reading at a strength."""
        now = self.base
        if strength != 0:
            now = self.evaluation_set.values(self.images.at(strength), self.texts.at(strength))
        return reading(self.evaluation_set, self.base, now, strength)


def reading(evaluation_set: EvaluationSet, base: Values, now: Values, strength: float) -> StrengthReading:
    """The task that matters most at a strength, against the base, with paired 95 % intervals."""
    task = evaluation_set.primary_metric
    clusters = evaluation_set.task(task).clusters
    found = {}
    for name in REPORTED_METRICS:
        one = f"{task}/{name}"
        interval = bootstrap.paired_bootstrap(base[one], now[one], clusters, average=METRICS[name].average)
        before, after = (significance.averages({one: values[one]})[one] for values in (base, now))
        found[name] = told(name, before, after, significance.difference_of(interval))
    return StrengthReading(strength=key(strength), task=task, metrics=found)


def told(name: str, base: Score, value: Score, difference: Difference) -> MetricReading:
    """One metric at one strength, with what the interval allows to say of it."""
    ends = (difference.value, difference.low, difference.high)
    change, low, high = (float("nan") if end is None else end for end in ends)
    return MetricReading(
        base=base,
        value=value,
        difference=difference,
        verdict=bootstrap.verdict(bootstrap.Interval(change, low, high), METRICS[name].direction),
    )


def helps(evaluation_set: EvaluationSet, base: Values, now: Values) -> bool:
    """Whether a strength may be handed over, by `SELECTION_METRIC` on the images that it is chosen on.

    The primary task must gain more than its standard error (the rule of Breiman et al. 1984, CART, 3.4.3, in favour of
    the base): otherwise the best of several strengths is a lucky draw. No other task may pay for it, that is, lose more
    than its own.
    """
    changes = {
        task.name: bootstrap.paired_bootstrap(
            base[f"{task.name}/{SELECTION_METRIC}"], now[f"{task.name}/{SELECTION_METRIC}"], task.clusters
        )
        for task in evaluation_set.tasks
    }
    gain = changes.pop(evaluation_set.primary_metric)
    return gain.value > gain.error and not any(change.value < -change.error for change in changes.values())


def from_result(result: TrainResult | None) -> list[StrengthReading]:
    """What a run's own comparison says: the base, and the strength that it recommends.

    Args:
        result: What came out of the run; None where nothing did.
    """
    if result is None:
        return []
    task = result.primary_metric.partition("/")[0]
    keys = {name: f"{task}/{name}" for name in REPORTED_METRICS}
    base, adapted, difference = result.base, result.adapted, result.difference
    if not all(one in table for one in keys.values() for table in (base, adapted, difference)):
        return []
    rows: dict[float, tuple[Mapping[str, Score], Mapping[str, Difference]]]
    rows = {0.0: (base, dict.fromkeys(keys.values(), Difference(value=0.0, low=0.0, high=0.0)))}
    rows[key(result.strength)] = (adapted, difference)
    return [
        StrengthReading(
            strength=strength,
            task=task,
            metrics={name: told(name, base[one], values[one], ends[one]) for name, one in keys.items()},
        )
        for strength, (values, ends) in rows.items()
    ]


def nearest(strengths: Iterable[float], wanted: float) -> float | None:
    """The strength that comes nearest to a wanted one, the smaller of two; None where there is none."""
    return min(sorted(strengths), key=lambda one: abs(one - wanted), default=None)
