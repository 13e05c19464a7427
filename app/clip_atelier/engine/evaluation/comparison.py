"""Runs against each other: rows of the table, and which of them may be called the best.

Two runs can be compared query by query where both answered the same questions: same collection, same held-out images.
For that each run keeps the value of every single query (RUN/values.npz, arrays only, nothing pickled).
"""

from __future__ import annotations

import logging
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from clip_atelier.engine.core import Control, UserError, _, replacing, with_interval
from clip_atelier.engine.evaluation import bootstrap
from clip_atelier.engine.evaluation.metrics import METRICS
from clip_atelier.engine.evaluation.sets import TASKS
from clip_atelier.engine.runs import Difference, ModelRecord, RunFolder, RunLabel, Runs, TrainResult, label_of
from clip_atelier.engine.settings import DECLARED, affecting, written

log = logging.getLogger(__name__)

Mark = Literal["best", "as good"]

VALUES: Final = "values.npz"


def keep(
    folder: Path,
    clusters: Mapping[str, NDArray[np.int64]],
    base: Mapping[str, NDArray[np.float64]],
    adapted: Mapping[str, NDArray[np.float64]],
) -> None:
    """Writes the values of every query into a run's folder.

    Args:
        folder: The run's folder.
        clusters: task -> [Q]; queries of one cluster are not independent.
        base: task/metric -> [Q] values of the untouched model.
        adapted: The same of the adapted model.

    Raises:
        WorkError: it cannot be written; names the file.
    """
    arrays: dict[str, NDArray[Any]] = {f"base/{name}": value for name, value in base.items()}
    arrays |= {f"adapted/{name}": value for name, value in adapted.items()}
    arrays |= {f"clusters/{name}": value for name, value in clusters.items()}
    path = folder / VALUES
    with replacing(path) as partial, partial.open("wb") as stream:
        np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Row:
    """One run as the table shows it.

    Attributes:
        settings: Dotted names; empty where the run cannot be understood.
        result: What came out; empty while there is nothing.
        collection: Fingerprint of what it was trained on; empty while unknown.
        preset: The name it was begun with: in the window that of its preset.
        label: What the user says of it.
    """

    run: str
    name: str
    status: str
    created: float
    folder: str
    path: Path
    settings: Mapping[str, Any] = field(default_factory=dict)
    result: TrainResult = field(default_factory=TrainResult)
    collection: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    model: ModelRecord | None = None
    preset: str = ""
    label: RunLabel = field(default_factory=RunLabel)

    @property
    def measured(self) -> bool:
        """Whether base and adapted were compared."""
        return self.result.measured

    @property
    def primary_metric(self) -> str:
        """The measure of its verdict: task/metric."""
        return self.result.primary_metric

    @property
    def targets(self) -> str:
        """What was trained, as the table groups it: "q_proj+v_proj", or "LayerNorm"."""
        if self.settings.get("train.method") == "layernorm":
            return "LayerNorm"
        return written(self.settings.get("lora.target_modules", ""))

    @property
    def questions(self) -> tuple[Any, ...]:
        """Equal for runs that were measured on the same queries."""
        sizes = [self.result.queries, self.result.gallery]
        return (
            self.collection or self.folder,
            self.result.measured_on,
            *(self.settings.get(name) for name in affecting("split")),
            *(tuple(sorted(size.items())) for size in sizes),
        )

    def value(self, key: str, model: str = "adapted") -> float:
        """A metric ("task/metric") of the "base" or the "adapted" model; NaN where it was not measured."""
        return _number((self.result.base if model == "base" else self.result.adapted).get(key))

    def difference(self, key: str) -> bootstrap.Interval:
        """Adapted minus base with its 95 % interval; NaN where it was not measured."""
        found = self.result.difference.get(key, Difference())
        return bootstrap.Interval(_number(found.value), _number(found.low), _number(found.high))

    def verdict(self, key: str) -> str:
        """What the interval allows to say of one metric; empty where it was not measured."""
        change = self.difference(key)
        return bootstrap.verdict(change, _direction(key)) if np.isfinite(change.value) else ""

    @cached_property
    def values(self) -> Mapping[str, NDArray[Any]]:
        """Arrays of `keep`; empty where the run has none."""
        try:
            # Opened here: numpy leaves the file open where it is no archive.
            with (self.path / VALUES).open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
                return {name: stored[name] for name in stored.files}
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            log.info("%s: no values of single queries: %s", self.run, error)
            return {}


def rows(home: Path) -> list[Row]:
    """Every run of a home, oldest first; those that cannot be read are left out and logged."""
    found = []
    for run in Runs(home).list():
        try:
            found.append(row(run))
        except UserError as error:
            log.warning("%s", error)
    return found


def row(run: RunFolder) -> Row:
    """One run.

    Raises:
        UserError: its record cannot be read.
    """
    record, label = run.record, label_of(run.path)
    return Row(
        run=run.id,
        name=label.name or record.name,
        status=run.status,
        created=record.created,
        folder=record.folder,
        path=run.path,
        settings=record.settings,
        result=run.result or TrainResult(),
        collection=record.data.fingerprint if record.data else "",
        versions=record.versions,
        model=record.model,
        preset=record.name,
        label=label,
    )


def varied(rows: Iterable[Row]) -> list[str]:
    """Names of the settings in which the rows differ, in the order of their declaration."""
    known = [row.settings for row in rows if row.settings]
    telling = [name for name, declared in DECLARED.items() if declared.affects != {"process"}]
    return [name for name in telling if len({written(one.get(name)) for one in known}) > 1]


def keys(rows: Iterable[Row]) -> list[str]:
    """Every task/metric that some row was measured by, in the order in which they are written."""
    return list(dict.fromkeys(key for row in rows for key in row.result.base))


def marks(rows: Sequence[Row], key: str, control: Control | None = None) -> dict[str, Mark]:
    """Which runs may be called the best by one metric, run id -> mark.

    Runs are compared where they answered the same questions. The best one is marked only if it is better than its own
    base beyond chance: the 95 % interval of the difference excludes zero. Others that are better than the base too,
    and cannot be told from the best one query by query, are "as good".

    Raises:
        Stopped: the control said so.
    """
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for one in rows:
        if np.isfinite(one.value(key)):
            groups.setdefault(one.questions, []).append(one)
    sign = 1.0 if _direction(key) == "up" else -1.0
    found: dict[str, Mark] = {}
    for group in groups.values():
        # Equal values: the earlier run, so that a mark does not jump when a run is repeated.
        best = max(group, key=lambda one: (sign * one.value(key), -one.created))
        if best.verdict(key) != "gain":
            continue
        found[best.run] = "best"
        for other in group:
            if control is not None:
                control.boundary()
            if other is not best and other.verdict(key) == "gain" and not apart(best, other, key):
                found[other.run] = "as good"
    return found


def conclusion(rows: Sequence[Row], key: str, marks: Mapping[str, Mark]) -> str:
    """What may be said about several runs by one metric, in the user's language; empty where none was measured."""
    measured = [one for one in rows if np.isfinite(one.value(key))]
    if not measured:
        return ""
    task, _slash, metric = key.rpartition("/")
    measure = f"{_(TASKS.get(task, task))} · {metric}"
    best = [one for one in measured if marks.get(one.run) == "best"]
    alike = sum(marks.get(one.run) == "as good" for one in measured)
    if not best:
        return _("{measure}: no training is measurably better than the untouched base.").format(
            measure=measure
        )
    if len(best) > 1:
        count = len({one.questions for one in measured})
        text = _(
            "{measure}: the trainings answered {count} different sets of questions; the best of each is marked."
        )
        return text.format(measure=measure, count=count)
    name = best[0].name or best[0].run
    if len(measured) == 1:
        return _("{measure}: “{run}” is measurably better than the untouched base.").format(
            measure=measure, run=name
        )
    if alike:
        text = _("{measure}: best is “{run}”; {count} more cannot be told from it, query by query.")
        return text.format(measure=measure, run=name, count=alike)
    alike_asked = [one for one in measured if one.questions == best[0].questions and one is not best[0]]
    beaten = sum(one.verdict(key) == "gain" for one in alike_asked)
    said = (
        _("{measure}: best is “{run}”, measurably ahead of all others that helped ({count}).")
        if beaten
        else _("{measure}: only “{run}” is measurably better than the untouched base.")
    ).format(measure=measure, run=name, count=beaten)
    if len(alike_asked) + 1 < len(measured):
        said += " " + _("Those that answered other questions are not compared with it.")
    return said


def apart(one: Row, other: Row, key: str) -> bool:
    """Whether two runs that answered the same questions differ in a metric beyond chance (95 %).

    Paired by query. For runs without the values of single queries: whether the intervals of their differences to the
    base do not overlap, which is the more cautious question.
    """
    interval = between(one, other, key)
    if interval is not None:
        return interval.low > 0 or interval.high < 0
    first, second = one.difference(key), other.difference(key)
    return first.low > second.high or second.low > first.high


def between(one: Row, other: Row, key: str) -> bootstrap.Interval | None:
    """`one` minus `other` by a metric, paired by query; None where that cannot be computed."""
    first, second = one.values.get(f"adapted/{key}"), other.values.get(f"adapted/{key}")
    if first is None or second is None or first.shape != second.shape:
        return None
    if np.array_equal(first, second):
        return bootstrap.Interval(0.0, 0.0, 0.0)
    task, _slash, metric = key.rpartition("/")
    clusters = one.values.get(f"clusters/{task}")
    if clusters is None or clusters.shape != first.shape:
        return None
    return bootstrap.paired_bootstrap(second, first, clusters, average=METRICS[metric].average)


def table(rows: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    """Header and lines of all rows with every metric, its base value and interval, for a file."""
    names, measured = varied(rows), keys(rows)
    header = [
        _("run"),
        _("name"),
        _("status"),
        *names,
        _("trainable parameters"),
        _("seconds"),
        _("verdict"),
    ]
    for key in measured:
        header += [
            f"{key} {word}" for word in (_("base"), _("adapted"), _("difference"), _("low"), _("high"))
        ]
    lines = []
    for one in rows:
        seconds = one.result.seconds if one.measured else None
        line = [one.run, one.name, one.status, *(written(one.settings.get(name)) for name in names)]
        line += [
            written(one.result.trainable_parameters if one.measured else None),
            "" if seconds is None else f"{seconds:.1f}",
        ]
        line.append(one.result.verdict)
        for key in measured:
            change = one.difference(key)
            numbers = (one.value(key, "base"), one.value(key), change.value, change.low, change.high)
            line += [f"{number:.4f}" if np.isfinite(number) else "" for number in numbers]
        lines.append(line)
    return header, lines


def spoken(change: bootstrap.Interval, key: str) -> str:
    """A difference of a metric with its interval, as people read it."""
    return with_interval(change.value, change.low, change.high, key)


def _direction(key: str) -> Literal["up", "down"]:
    metric = METRICS.get(key.rpartition("/")[2])
    return metric.direction if metric is not None else "up"


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else float("nan")
