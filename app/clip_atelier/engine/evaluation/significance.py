"""Base against adapted: the paired comparison, and what may honestly be said about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from clip_atelier.engine.core import _
from clip_atelier.engine.evaluation import bootstrap, metrics
from clip_atelier.engine.evaluation.sets import TASKS, EvaluationSet
from clip_atelier.engine.runs import Comparison, Difference, QuestionResult

Values = dict[str, NDArray[np.float64]]

TOO_FEW: Final = "too few to measure"
"""The verdict where not even a change of every answer to the better could be told from luck."""
FEWEST: Final = 6
"""Independent queries from which on a difference can be more than luck: of five that all improve, a fair coin does as much
in 6 % of cases (sign test, two-sided, 2 / 2^5), of six in 3 %."""


def difference_of(interval: bootstrap.Interval) -> Difference:
    """An interval as documents write it."""
    return Difference(value=interval.value, low=interval.low, high=interval.high)


def averages(values: Values) -> dict[str, float]:
    """One number per task/metric."""
    return {
        name: metrics.aggregate({name.rpartition("/")[2]: value})[name.rpartition("/")[2]]
        for name, value in values.items()
    }


def compare(evaluation_set: EvaluationSet, base: Values, adapted: Values) -> Comparison:
    """Base, adapted, difference with intervals, and the verdict, from values named task/metric.

    The verdict is about the primary task's R@1 at 95 %.
    """
    asked = questions(evaluation_set, base, adapted)
    return compared(asked, f"{evaluation_set.primary_metric}/R@1", evaluation_set.chance())


def compared(
    asked: Mapping[str, QuestionResult], primary_metric: str, chance: Mapping[str, float]
) -> Comparison:
    """The questions as one comparison, its metrics named task/metric.

    Args:
        asked: By name of the task.
        primary_metric: The task/metric that the verdict is about; larger is better.
        chance: Each metric's value for random rankings.
    """
    before = {f"{task}/{name}": value for task, one in asked.items() for name, value in one.base.items()}
    after = {f"{task}/{name}": value for task, one in asked.items() for name, value in one.adapted.items()}
    difference = {
        f"{task}/{name}": change for task, one in asked.items() for name, change in one.difference.items()
    }
    primary = difference[primary_metric]
    word: str = bootstrap.verdict(
        bootstrap.Interval(_number(primary.value), _number(primary.low), _number(primary.high))
    )
    if asked[primary_metric.rpartition("/")[0]].verdict == TOO_FEW:
        word = TOO_FEW
    return Comparison(
        base=before,
        adapted=after,
        difference=difference,
        primary_metric=primary_metric,
        verdict=word,
        verdict_text=sentence(
            word, primary_metric, _number(before[primary_metric]), _number(after[primary_metric]), difference
        ),
        queries={task: one.queries for task, one in asked.items()},
        gallery={task: round(one.gallery) for task, one in asked.items()},
        chance=chance,
    )


def question(
    base: Mapping[str, NDArray[np.float64]],
    adapted: Mapping[str, NDArray[np.float64]],
    clusters: NDArray[np.int64],
    gallery: float,
) -> QuestionResult:
    """One question's comparison: every metric with its interval, the verdict on mAP, which is finer than R@1.

    Below `FEWEST` independent queries there are no intervals, and the verdict says so.

    Args:
        base: Metric -> [Q] values of the untouched model.
        adapted: The same of the adapted one.
        clusters: [Q]; queries of one cluster are not independent.
        gallery: How many items each query is looked for in.
    """
    intervals = {
        name: bootstrap.paired_bootstrap(
            base[name], adapted[name], clusters, average=metrics.METRICS[name].average
        )
        for name in base
    }
    few = len(np.unique(clusters)) < FEWEST
    return QuestionResult(
        queries=len(clusters),
        gallery=gallery,
        base=metrics.aggregate(dict(base)),
        adapted=metrics.aggregate(dict(adapted)),
        difference={
            name: Difference(value=interval.value) if few else difference_of(interval)
            for name, interval in intervals.items()
        },
        verdict=TOO_FEW if few else bootstrap.verdict(intervals["mAP"]),
    )


def questions(evaluation_set: EvaluationSet, base: Values, adapted: Values) -> dict[str, QuestionResult]:
    """Each question's comparison, from values named task/metric."""
    found = {}
    for task in evaluation_set.tasks:
        names = metrics.applicable(len(task.gallery))
        before, after = ({name: of[f"{task.name}/{name}"] for name in names} for of in (base, adapted))
        found[task.name] = question(before, after, task.clusters, len(task.gallery))
    return found


def sentence(
    word: str, primary_metric: str, before: float, after: float, difference: Mapping[str, Difference]
) -> str:
    """The verdict in plain words, in the user's language, and its `price`.

    Args:
        word: The verdict.
        primary_metric: The task/metric it is about.
        before: That of the base.
        after: That of the adapted model.
        difference: Adapted minus base by task/metric, each with `value`, `low` and `high`.
    """
    if word == TOO_FEW:
        return _("Too few drawings to measure: add drawings, or look at the results by eye.")
    task, _slash, metric = primary_metric.rpartition("/")
    facts = _("{direction} {metric}: {before:.3f} before, {after:.3f} after (difference {value:+.3f}, 95 % interval {low:+.3f} to {high:+.3f}).").format(
        direction=_(TASKS[task]), metric=metric, before=before, after=after, **_ends(difference[primary_metric])
    )  # fmt: skip
    opening = {
        "gain": _("The adaptation helped."),
        "loss": _("The adaptation made retrieval worse."),
    }.get(word, _("No difference found that chance could not explain."))
    return f"{opening} {facts} {price(difference, primary_metric)}".rstrip()


def price(difference: Mapping[str, Difference], primary_metric: str) -> str:
    """What became worse meanwhile, in the user's language: the verdict is on one direction, and others may pay for it.

    Args:
        difference: Adapted minus base by task/metric, each with `value`, `low` and `high`.
        primary_metric: What the verdict is about; the same metric of the other directions is looked at.

    Returns:
        Empty where no other direction fell by more than chance allows (95 %).
    """
    own, _slash, metric = primary_metric.rpartition("/")
    changes = {name: difference.get(f"{name}/{metric}", Difference()) for name in TASKS if name != own}
    worse = [
        _("{direction} {metric} {value:+.3f} ({low:+.3f} to {high:+.3f})").format(
            direction=_(TASKS[name]), metric=metric, **_ends(change)
        )
        for name, change in changes.items()
        if _fell(change, metric)
    ]
    return _("Worse than before: {directions}.").format(directions=", ".join(worse)) if worse else ""


def _ends(difference: Difference) -> dict[str, float]:
    """The numbers of a difference for a sentence; NaN where they are missing."""
    return {
        "value": _number(difference.value),
        "low": _number(difference.low),
        "high": _number(difference.high),
    }


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def _fell(change: Difference, metric: str) -> bool:
    """Whether a metric became worse beyond chance; a difference that could not be measured says nothing."""
    if change.value is None or change.low is None or change.high is None:
        return False
    interval = bootstrap.Interval(change.value, change.low, change.high)
    return bootstrap.verdict(interval, metrics.METRICS[metric].direction) == "loss"
