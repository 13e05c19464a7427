"""The documents of a grid: its table as it is shown, and its queue as it is stored."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import AliasChoices, Field

from clip_atelier.engine.core import (
    Record,
    Score,
    Text,
)
from clip_atelier.engine.experiments.grid import Grid
from clip_atelier.engine.runs import Difference, TrainResult

SCHEMA: Final = 1


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
