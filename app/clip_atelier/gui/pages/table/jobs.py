"""What the Table page asks of the engine, as work for a lane. Nothing here loads torch before a cell is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clip_atelier.engine import settings
from clip_atelier.engine.core import Check, Control, Work
from clip_atelier.gui.jobs import at_once

if TYPE_CHECKING:
    from clip_atelier.engine.evaluation import Mark, Row
    from clip_atelier.engine.experiments import GridTable, Unfinished
    from clip_atelier.engine.reports import WrittenReport
    from clip_atelier.engine.storage import TrashEntry
    from clip_atelier.gui.workers import Tools


@dataclass(frozen=True)
class Request:
    """A grid as the window asks for it: the engine's `Grid`, before the engine is loaded."""

    folder: Path
    values: Mapping[str, Any]
    vary: Mapping[str, Sequence[Any]]
    seeds: tuple[int, ...] = ()
    preset: str = ""


@dataclass(frozen=True)
class Stand:
    """How things stand in a home: every run, and the grids that are not finished."""

    rows: list[Row] = field(default_factory=list)
    unfinished: list[Unfinished] = field(default_factory=list)


def read(tools: Tools, _control: Control) -> Work[Stand]:
    """Reads every run and unfinished grid from disk."""
    from clip_atelier.engine import experiments
    from clip_atelier.engine.evaluation import comparison

    return at_once(lambda: Stand(comparison.rows(tools.home), experiments.unfinished(tools.home)))


def mark(
    rows: Sequence[Row], keys: Sequence[str], _tools: Tools, control: Control
) -> Work[dict[str, dict[str, Mark]]]:
    """Which runs may be called the best: metric -> run -> mark."""
    from clip_atelier.engine.evaluation import comparison

    return at_once(lambda: {key: comparison.marks(rows, key, control) for key in keys})


def checks(runs: Sequence[str], tools: Tools, control: Control) -> Work[dict[str, list[Check]]]:
    """What each run measured on the validation images while it learned."""
    from clip_atelier.engine.runs import Runs

    found: dict[str, dict[int, Check]] = {}
    for run in runs:
        steps = found.setdefault(run, {})
        for event in Runs(tools.home).open(run).events():
            control.boundary()
            if isinstance(event, Check):
                steps[event.step] = event  # a resumed run repeats some
    yield from ()
    return {run: [steps[step] for step in sorted(steps)] for run, steps in found.items()}


def fill(request: Request, tools: Tools, control: Control) -> Work[GridTable]:
    """Trains what is missing of a grid."""
    from clip_atelier.engine import experiments

    grid = experiments.Grid(request.folder, request.values, request.vary, request.seeds, request.preset)
    name = "hardware.own_process"
    apart = bool(request.values.get(name, settings.DECLARED[name].default))
    return (yield from experiments.fill(grid, tools.home, tools.models, control, apart=apart))


def forget(grid: str, tools: Tools, _control: Control) -> Work[list[TrashEntry]]:
    """Puts an unfinished grid into the trash; its runs stay."""
    from clip_atelier.engine import experiments

    return at_once(lambda: [experiments.forget(tools.home, grid)])


def write_table(rows: Sequence[Row], out: Path, _tools: Tools, _control: Control) -> Work[Path]:
    """Writes the rows with every metric as CSV, Markdown or LaTeX."""
    from clip_atelier.engine.core import tables
    from clip_atelier.engine.evaluation import comparison

    def write() -> Path:
        tables.write(out, *comparison.table(rows))
        return out

    return at_once(write)


def write_report(runs: Sequence[str], out: Path, tools: Tools, _control: Control) -> Work[WrittenReport]:
    """Writes the one-page report."""
    from clip_atelier.engine.reports import page
    from clip_atelier.engine.runs import Runs

    home = Runs(tools.home)
    return (yield from page.report([home.open(run) for run in runs], out))
