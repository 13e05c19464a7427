"""Grids: one training per cell and seed, in a queue on disk that survives a restart and goes on after a failure.

HOME/grids/ID.json holds the whole queue. ID is a hash of everything that decides the results (the collection's content,
the settings, what is varied, the seeds), so the same request finds its unfinished queue again. torch is imported when
a cell is trained, not before: the window looks at grids too.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import filelock
import numpy as np
from pydantic import AliasChoices, Field

from clip_atelier.engine import settings
from clip_atelier.engine.core import (
    Cell,
    Control,
    DamagedFile,
    Event,
    Record,
    Score,
    Started,
    Stopped,
    Text,
    UserError,
    Work,
    WorkError,
    _,
    cannot_write,
    mapped,
    paths,
    plain,
    read_document,
    write_document,
)
from clip_atelier.engine.data import scan, scan_cache_file
from clip_atelier.engine.evaluation import metrics
from clip_atelier.engine.models import Models
from clip_atelier.engine.runs import Difference, TrainResult
from clip_atelier.engine.settings import DECLARED, Settings, written

SCHEMA: Final = 1

# The brief's table: both of its configurations, each with r 8 or 16 and lora_alpha 16 or 32.
DEFAULT_GRID: Final[Mapping[str, tuple[Any, ...]]] = {
    "preset": ("attention", "projection"),
    "lora.r": (8, 16),
    "lora.lora_alpha": (16, 32),
}


@dataclass(frozen=True)
class Grid:
    """What is to be tried on a folder.

    Attributes:
        folder: The collection.
        values: Dotted settings that hold in every cell.
        vary: Dotted setting, or "preset", -> the values to try; every combination is a cell.
        seeds: Seeds that each cell is trained with; empty: the one of `values`.
        preset: Starting point of every cell, unless "preset" itself is varied.
    """

    folder: Path
    values: Mapping[str, Any] = field(default_factory=dict)
    vary: Mapping[str, Sequence[Any]] = field(default_factory=lambda: DEFAULT_GRID)
    seeds: tuple[int, ...] = ()
    preset: str = ""

    def cells(self) -> list[dict[str, Any]]:
        """The varied values of each cell, the first name changing slowest.

        Raises:
            UserError: an unknown name, no value for it, or a value that is out of range; names the setting.
        """
        for name, values in self.vary.items():
            if name != "preset" and name not in DECLARED:
                raise UserError(
                    _("There is no setting named “{name}”.").format(name=name),
                    _("Vary “preset” or one of the settings, such as lora.r."),
                    name,
                )
            if not values:
                raise UserError(_("{name}: give at least one value to try.").format(name=name), "", name)
        names = list(self.vary)
        cells = [dict(zip(names, values, strict=True)) for values in itertools.product(*self.vary.values())]
        return [self._read(cell) for cell in cells]

    def _read(self, cell: Mapping[str, Any]) -> dict[str, Any]:
        """The cell with its values as the settings read them: numbers, not their text."""
        read = settings.flat(self.settings(cell))
        return {name: value if name == "preset" else read[name] for name, value in cell.items()}

    def settings(self, cell: Mapping[str, Any], seed: int | None = None) -> Settings:
        """All settings of one run of a cell.

        Raises:
            UserError: they are not possible.
        """
        values = {**self.values, **cell}
        if seed is not None:
            values["train.seed"] = seed
        return settings.build(values, str(values.pop("preset", self.preset)) or None)


class GridRun(Record):
    """One run of a row of the table."""

    run: str = ""
    seed: int = 0
    status: str = ""
    error: Text = ""


class GridRow(Record):
    """A cell of the grid with what its runs gave; metrics are means over the seeds.

    Attributes:
        settings: The varied settings by dotted name.
        status: "waiting", "running", "failed" or "done".
        metrics: Of the adapted model.
        base: Of the untouched one.
        difference: Adapted minus base; bounds averaged over seeds.
        spread: Standard deviation over seeds; empty for a single one.
    """

    settings: dict[str, Any]
    status: str
    metrics: Mapping[str, Score] = Field(default_factory=dict)
    base: Mapping[str, Score] = Field(default_factory=dict)
    difference: Mapping[str, Difference] = Field(default_factory=dict)
    spread: Mapping[str, Score] = Field(default_factory=dict)
    verdict: str = ""
    trainable_parameters: int | None = None
    seconds: float | None = None
    runs: tuple[GridRun, ...] = ()


class GridTable(Record):
    """The filled table, as `grid` shows it."""

    schema_version: int = Field(default=SCHEMA, alias="schema")
    grid: str
    path: Text
    status: str
    primary_metric: str = Field(default="", validation_alias=AliasChoices("primary_metric", "headline"))
    rows: tuple[GridRow, ...] = ()


class StoredRun(Record):
    """One run of a stored queue."""

    cell: int = Field(ge=0)
    seed: int
    status: str = "waiting"
    run: str = ""
    error: Text = ""
    result: TrainResult | None = None


class StoredGrid(Record):
    """HOME/grids/ID.json: what was asked, and how far its queue has come."""

    schema_version: int = Field(default=SCHEMA, alias="schema")
    folder: Text
    values: dict[str, Any] = Field(default_factory=dict)
    preset: str = ""
    vary: dict[str, tuple[Any, ...]]
    seeds: tuple[int, ...] = ()
    cells: tuple[dict[str, Any], ...] = ()
    entries: tuple[StoredRun, ...]

    def request(self) -> Grid:
        """What was asked for."""
        return Grid(Path(self.folder), self.values, self.vary, self.seeds, self.preset)


@dataclass
class QueuedRun:
    """One run of the queue: a cell with one seed."""

    cell: int
    seed: int
    status: str = "waiting"  # waiting, running, done, failed
    run: str = ""
    error: str = ""
    result: TrainResult | None = None


class Queue:
    """A grid's queue on disk: which runs are done, what they gave, which come next."""

    def __init__(self, home: Path, grid: Grid, fingerprint: str) -> None:
        self.grid = grid
        self.cells = grid.cells()
        seeds = grid.seeds or (grid.settings(self.cells[0]).train.seed,)
        request = {
            "schema": SCHEMA,
            "collection": fingerprint,
            "cells": [settings.flat(grid.settings(cell)) for cell in self.cells],
            "seeds": list(seeds),
        }
        text = json.dumps(plain(request), sort_keys=True)
        self.id = hashlib.sha256(text.encode()).hexdigest()[:12]
        self.path = home / "grids" / f"{self.id}.json"
        self.entries = [QueuedRun(cell, seed) for seed in seeds for cell in range(len(self.cells))]
        if self.path.is_file():
            self._read(home)

    def _read(self, home: Path) -> None:
        try:
            stored = read_document(self.path, StoredGrid)
        except DamagedFile as error:
            raise UserError(
                _("The grid's file “{path}” cannot be read: {reason}").format(
                    path=self.path, reason=error.reason
                ),
                _("Delete it to start the grid again; finished runs stay in the list of runs."),
            ) from error
        self.entries = [QueuedRun(**dict(entry)) for entry in stored.entries if entry.cell < len(self.cells)]
        for entry in self.entries:
            # What failed or was deleted is trained anew; what was running when the program ended goes on.
            if entry.status == "failed" or (entry.run and not (home / "runs" / entry.run).exists()):
                entry.status, entry.run, entry.result = "waiting", "", None
            if entry.status != "done":
                entry.status, entry.error = "waiting", ""

    def save(self) -> None:
        """Writes the queue, whole or not at all."""
        stored = StoredGrid(
            folder=paths.shown(self.grid.folder.absolute()),
            values=dict(self.grid.values),
            preset=self.grid.preset,
            vary={name: tuple(values) for name, values in self.grid.vary.items()},
            seeds=self.grid.seeds,
            cells=tuple(self.cells),
            entries=tuple(StoredRun(**vars(entry)) for entry in self.entries),
        )
        write_document(self.path, stored)

    def title(self, entry: QueuedRun) -> str:
        """The entry's varied settings in words."""
        words = [f"{name}={written(value)}" for name, value in self.cells[entry.cell].items()]
        if len({e.seed for e in self.entries}) > 1:
            words.append(f"train.seed={entry.seed}")
        return " ".join(words)

    def name(self, entry: QueuedRun) -> str:
        """The same as a run's name: "projection r=8 lora_alpha=16"."""
        words = [
            written(value) if name == "preset" else f"{name.rpartition('.')[2]}={written(value)}"
            for name, value in self.cells[entry.cell].items()
        ]
        if len({e.seed for e in self.entries}) > 1:
            words.append(f"seed={entry.seed}")
        return " ".join(words)

    def seconds_left(self) -> float | None:
        """Time for the runs that wait, from those that are done; runs of the same targets and length count first."""
        done = [(self._cost(e), e.result.seconds) for e in self.entries if e.result and e.result.seconds]
        if not done:
            return None
        overall = sum(seconds for _cost, seconds in done) / len(done)
        left = 0.0
        for entry in self.entries:
            if entry.status in ("waiting", "running"):
                alike = [seconds for cost, seconds in done if cost == self._cost(entry)]
                left += sum(alike) / len(alike) if alike else overall
        return left

    def _cost(self, entry: QueuedRun) -> tuple[object, ...]:
        chosen = self.grid.settings(self.cells[entry.cell])
        return (
            chosen.lora.target_modules,
            chosen.train.towers,
            chosen.train.method,
            chosen.train.epochs,
            chosen.model.name,
        )

    def document(self, status: str) -> GridTable:
        """The table as `grid` shows it."""
        rows = tuple(self._row(number) for number in range(len(self.cells)))
        primary = next((e.result.primary_metric for e in self.entries if e.result), "")
        return GridTable(grid=self.id, path=str(self.path), status=status, primary_metric=primary, rows=rows)

    def _row(self, number: int) -> GridRow:
        entries = [entry for entry in self.entries if entry.cell == number]
        results = [entry.result for entry in entries if entry.result is not None]
        statuses = [entry.status for entry in entries]
        order = ("running", "waiting", "failed", "done")
        return GridRow(
            settings=self.cells[number],
            status=next((status for status in order if status in statuses), "waiting"),
            metrics=_mean([result.adapted for result in results]),
            base=_mean([result.base for result in results]),
            difference=_mean_differences([result.difference for result in results]),
            spread=_spread([result.adapted for result in results]),
            verdict=_verdict(results),
            trainable_parameters=results[0].trainable_parameters if results else None,
            seconds=sum(result.seconds for result in results) if results else None,
            runs=tuple(GridRun(run=e.run, seed=e.seed, status=e.status, error=e.error) for e in entries),
        )


Scores = Mapping[str, Score]


def _numbers(values: Sequence[Scores], name: str) -> list[float]:
    return [number for one in values if (number := one.get(name)) is not None]


def _mean(values: Sequence[Scores]) -> dict[str, Score]:
    """The mean over seeds of each metric."""
    names = dict.fromkeys(name for one in values for name in one)
    return {name: float(np.mean(found)) for name in names if (found := _numbers(values, name))}


def _spread(values: Sequence[Scores]) -> dict[str, Score]:
    """The standard deviation over seeds of each metric; empty for a single seed."""
    names = dict.fromkeys(name for one in values for name in one)
    return {name: float(np.std(found, ddof=1)) for name in names if len(found := _numbers(values, name)) > 1}


def _mean_differences(values: Sequence[Mapping[str, Difference]]) -> dict[str, Difference]:
    """Mean difference over seeds with the mean of the bounds.

    Seeds share the collection, so their intervals are not independent: averaging the bounds is right for fully
    dependent ones and too wide for all others.
    """
    names = dict.fromkeys(name for one in values for name in one)
    return {name: Difference(**_mean([dict(one[name]) for one in values if name in one])) for name in names}


def _verdict(results: Sequence[TrainResult]) -> str:
    """A single run's own verdict; for several seeds that of the mean interval of their primary metric."""
    if len(results) < 2:
        return results[0].verdict if results else ""
    mean = _mean_differences([result.difference for result in results]).get(results[0].primary_metric)
    if mean is None or mean.value is None or mean.low is None or mean.high is None:
        return ""
    return metrics.verdict(metrics.Interval(mean.value, mean.low, mean.high))


def table(document: GridTable) -> tuple[list[str], list[list[str]]]:
    """Header and rows of the whole table, every metric with its base value and interval, for a file."""
    varied = list(dict.fromkeys(name for row in document.rows for name in row.settings))
    names = list(dict.fromkeys(name for row in document.rows for name in row.metrics))
    header = [*varied, _("status"), _("runs"), _("trainable parameters"), _("seconds"), _("verdict")]
    for name in names:
        header += [
            f"{name} {word}" for word in (_("base"), _("adapted"), _("difference"), _("low"), _("high"))
        ]
    lines = []
    for row in document.rows:
        line = [written(row.settings.get(name, "")) for name in varied]
        line += [row.status, str(len(row.runs)), written(row.trainable_parameters)]
        line += ["" if row.seconds is None else f"{row.seconds:.1f}", row.verdict]
        for name in names:
            gap = row.difference.get(name, Difference())
            numbers = (row.base.get(name), row.metrics.get(name), gap.value, gap.low, gap.high)
            line += ["" if number is None else f"{number:.4f}" for number in numbers]
        lines.append(line)
    return header, lines


def fill(grid: Grid, home: Path, models: Models, control: Control) -> Work[GridTable]:
    """Trains what is still missing of a grid and returns its table.

    A cell that fails is noted and the next one begins. Stopping keeps everything: the same call goes on, also within
    the run that was stopped.

    Raises:
        UserError: the folder or a setting is wrong, or another process is filling the same grid.
    """
    grid.cells()
    data = grid.settings(grid.cells()[0]).data
    collection = yield from scan(grid.folder, data, control, scan_cache_file(home))
    queue = Queue(home, grid, collection.fingerprint)
    lock = filelock.FileLock(queue.path.with_suffix(".lock"))
    try:
        queue.path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except filelock.Timeout as error:
        raise UserError(
            _("Another window or command is filling this grid at the moment."),
            _("Wait for it, or stop it first."),
        ) from error
    except OSError as error:
        raise cannot_write(queue.path, error) from error
    try:
        return (yield from _fill(queue, home, models, control))
    finally:
        lock.release()


def _fill(queue: Queue, home: Path, models: Models, control: Control) -> Work[GridTable]:
    total = len(queue.entries)
    queue.save()
    for number, entry in enumerate(queue.entries, 1):
        if entry.status == "done":
            continue
        if control.stopping:
            return queue.document("stopped")
        entry.status = "running"
        title = queue.title(entry)
        yield Cell(
            number=number, total=total, title=title, status="running", seconds_left=queue.seconds_left()
        )
        try:
            result = yield from _run(queue, entry, home, models, control)
        except Stopped:
            result = TrainResult(status="stopped")
        except Exception as error:  # noqa: BLE001 - one failure, whatever it is, does not end the night
            entry.status, entry.error = "failed", str(error) or type(error).__name__
        else:
            if result.status != "stopped":
                entry.status, entry.result, entry.run = "done", result, result.run or entry.run
        if entry.status == "running":
            entry.status = "waiting"
            queue.save()
            return queue.document("stopped")
        queue.save()
        yield Cell(
            number=number, total=total, title=title, status=entry.status, run=entry.run, message=entry.error,
            seconds_left=queue.seconds_left(),
        )  # fmt: skip
    return queue.document("done")


def _run(queue: Queue, entry: QueuedRun, home: Path, models: Models, control: Control) -> Work[TrainResult]:
    """Goes on with the entry's own unfinished run where there is one, else trains a new one."""
    from clip_atelier.engine import training

    if entry.run:
        try:
            return (yield from _noting(training.resume(home, entry.run, models, control), queue, entry))
        except WorkError:
            raise
        except UserError:
            # The run was deleted, or has no whole checkpoint: begin again.
            entry.run = ""
    chosen = queue.grid.settings(queue.cells[entry.cell], entry.seed)
    plan = training.Plan(queue.grid.folder, chosen, home, queue.name(entry))
    return (yield from _noting(training.train(plan, models, control), queue, entry))


def _noting(work: Work[TrainResult], queue: Queue, entry: QueuedRun) -> Work[TrainResult]:
    """Hands a training's events on, and writes the run's name down as soon as it has one."""

    def note(event: Event) -> Event:
        if isinstance(event, Started) and event.run != entry.run:
            entry.run = event.run
            queue.save()
        return event

    return mapped(work, note)
