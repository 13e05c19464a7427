"""A grid's queue on disk: which runs are done, what they gave, which come next."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from clip_atelier.engine import settings
from clip_atelier.engine.core import (
    DamagedFile,
    Score,
    UserError,
    _,
    paths,
    plain,
    read_document,
    write_document,
)
from clip_atelier.engine.evaluation import bootstrap
from clip_atelier.engine.experiments.grid import Grid
from clip_atelier.engine.experiments.grid_records import (
    SCHEMA,
    GridRow,
    GridRun,
    GridTable,
    StoredGrid,
    StoredRun,
)
from clip_atelier.engine.runs import Difference, TrainResult
from clip_atelier.engine.settings import written


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
                _("Delete it to start the grid again; finished trainings stay in the list of trainings."),
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
        write_document(self.path, stored, copy=True)

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
            chosen.train.last_layers,
            chosen.train.layers_to_transform,
            chosen.lora.use_dora,
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
    return bootstrap.verdict(bootstrap.Interval(mean.value, mean.low, mean.high))


def table(document: GridTable) -> tuple[list[str], list[list[str]]]:
    """Header and rows of the whole table for a file: every metric with its base value, its interval, and its spread over seeds."""
    varied = list(dict.fromkeys(name for row in document.rows for name in row.settings))
    names = list(dict.fromkeys(name for row in document.rows for name in row.metrics))
    several = any(row.spread for row in document.rows)
    header = [*varied, _("status"), _("runs"), _("trainable parameters"), _("seconds"), _("verdict")]
    words = (
        _("base"),
        _("adapted"),
        _("difference"),
        _("low"),
        _("high"),
        *([_("spread")] if several else ()),
    )
    header += [f"{name} {word}" for name in names for word in words]
    lines = []
    for row in document.rows:
        line = [written(row.settings.get(name, "")) for name in varied]
        line += [row.status, str(len(row.runs)), written(row.trainable_parameters)]
        line += ["" if row.seconds is None else f"{row.seconds:.1f}", row.verdict]
        for name in names:
            gap = row.difference.get(name, Difference())
            numbers = [row.base.get(name), row.metrics.get(name), gap.value, gap.low, gap.high]
            numbers += [row.spread.get(name)] if several else []
            line += ["" if number is None else f"{number:.4f}" for number in numbers]
        lines.append(line)
    return header, lines
