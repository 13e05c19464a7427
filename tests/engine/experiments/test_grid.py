from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clip_atelier.cli.commands import grid as grid_command
from clip_atelier.engine import settings, training
from clip_atelier.engine.core import Cell, Control, Event, Started, UserError, drive, events
from clip_atelier.engine.experiments import Grid, GridTable, table
from clip_atelier.engine.experiments import fill as fill_grid
from clip_atelier.engine.models import Models
from clip_atelier.engine.runs import Runs

Values = Callable[..., dict[str, Any]]
VARY = {"lora.r": ["2", "4"], "lora.target_modules": [["q_proj", "v_proj"], ["visual_projection"]]}


def fill(grid: Grid, home: Path, control: Control | None = None, on_event: Any = None) -> dict[str, Any]:
    return drive(fill_grid(grid, home, Models(home), control or Control()), on_event).as_json()


def statuses(result: dict[str, Any]) -> list[str]:
    return [row["status"] for row in result["rows"]]


def test_a_grid_fills_every_cell_and_is_not_trained_twice(
    tiny_pairs: Path, home: Path, quick: Values
) -> None:
    seen: list[Event] = []
    grid = Grid(tiny_pairs, quick(train__epochs=1), VARY)
    result = fill(grid, home, on_event=seen.append)
    assert result["status"] == "done"
    assert statuses(result) == ["done"] * 4
    assert [row["settings"]["lora.r"] for row in result["rows"]] == [2, 2, 4, 4]
    for row in result["rows"]:
        chosen = Runs(home).open(row["runs"][0]["run"]).settings
        assert chosen.lora.r == row["settings"]["lora.r"]
        assert list(chosen.lora.target_modules) == row["settings"]["lora.target_modules"]
        assert row["metrics"].keys() == row["base"].keys() == row["difference"].keys()
        assert row["trainable_parameters"] > 0
    cells = [event for event in seen if isinstance(event, Cell)]
    assert [cell.status for cell in cells] == ["running", "done"] * 4
    assert cells[0].seconds_left is None
    assert cells[-1].seconds_left == 0

    again = fill(grid, home)
    assert again["rows"] == result["rows"]
    assert len(Runs(home).list()) == 4


def test_a_stopped_grid_goes_on_where_it_stopped(tiny_pairs: Path, home: Path, quick: Values) -> None:
    grid = Grid(tiny_pairs, quick(), {"lora.r": [2, 4]})
    control = Control()

    def stop_in_the_second(event: Event) -> None:
        if isinstance(event, events.Step) and len(Runs(home).list()) == 2:
            control.stop()

    stopped = fill(grid, home, control, stop_in_the_second)
    assert stopped["status"] == "stopped"
    assert statuses(stopped) == ["done", "waiting"]
    first, second = Runs(home).list()
    assert second.status == "stopped"

    started: list[Event] = []
    result = fill(grid, home, on_event=started.append)
    assert statuses(result) == ["done", "done"]
    assert [run.id for run in Runs(home).list()] == [first.id, second.id]
    assert [event.run for event in started if isinstance(event, Started)] == [second.id]


@pytest.mark.parametrize("kind", [events.Phase, Started])
def test_a_cell_stopped_before_its_first_step_leaves_no_run(
    tiny_pairs: Path, home: Path, quick: Values, kind: type[Event]
) -> None:
    grid = Grid(tiny_pairs, quick(train__epochs=1), {"lora.r": [2]})
    control = Control()

    def stop_early(event: Event) -> None:
        if isinstance(event, kind) and Runs(home).list():
            control.stop()

    stopped = fill(grid, home, control, stop_early)
    assert stopped["status"] == "stopped"
    assert statuses(stopped) == ["waiting"]
    assert list(Runs(home).folder.iterdir()) == []
    assert statuses(fill(grid, home)) == ["done"]
    assert len(Runs(home).list()) == 1


def test_a_queue_whose_process_died_goes_on(tiny_pairs: Path, home: Path, quick: Values) -> None:
    grid = Grid(tiny_pairs, quick(train__epochs=1), {"lora.r": [2, 4]})
    work = fill_grid(grid, home, Models(home), Control())
    for event in work:
        if isinstance(event, events.Step):
            break
    stored = json.loads(next((home / "grids").glob("*.json")).read_text("utf-8"))
    assert [entry["status"] for entry in stored["entries"]] == ["running", "waiting"]
    assert stored["entries"][0]["run"] == Runs(home).list()[0].id
    work.close()
    assert statuses(fill(grid, home)) == ["done", "done"]


def test_one_failure_does_not_end_the_night_and_is_tried_again(
    tiny_pairs: Path, home: Path, quick: Values, monkeypatch: pytest.MonkeyPatch
) -> None:
    grid = Grid(tiny_pairs, quick(train__epochs=1), {"lora.r": [2, 4, 8]})
    train = training.train

    def failing(plan: training.Plan, *rest: Any) -> events.Work[dict[str, Any]]:
        if plan.settings.lora.r == 4:
            raise RuntimeError("CUDA error: an illegal memory access")
        return train(plan, *rest)

    monkeypatch.setattr(training, "train", failing)
    result = fill(grid, home)
    assert statuses(result) == ["done", "failed", "done"]
    assert "illegal memory access" in result["rows"][1]["runs"][0]["error"]
    assert result["rows"][1]["metrics"] == {}
    monkeypatch.setattr(training, "train", train)
    assert statuses(fill(grid, home)) == ["done"] * 3


def test_a_deleted_run_is_trained_anew(tiny_pairs: Path, home: Path, quick: Values) -> None:
    grid = Grid(tiny_pairs, quick(train__epochs=1), {"lora.r": [2, 4]})
    first, kept = (row["runs"][0]["run"] for row in fill(grid, home)["rows"])
    Runs(home).delete(first)
    again = fill(grid, home)
    assert statuses(again) == ["done", "done"]
    runs = [row["runs"][0]["run"] for row in again["rows"]]
    assert runs[1] == kept
    assert {run.id for run in Runs(home).list()} == set(runs)


def test_several_seeds_make_one_row_with_means(tiny_pairs: Path, home: Path, quick: Values) -> None:
    result = fill(Grid(tiny_pairs, quick(train__epochs=1), {"lora.r": [2]}, seeds=(3, 4)), home)
    (row,) = result["rows"]
    runs = [Runs(home).open(run["run"]) for run in row["runs"]]
    assert [run.settings.train.seed for run in runs] == [3, 4]
    for name, value in row["metrics"].items():
        values = [run.result.adapted[name] for run in runs if run.result]
        assert value == pytest.approx(sum(values) / 2)
    assert row["spread"].keys() == row["metrics"].keys()
    for name, value in row["spread"].items():
        values = [run.result.adapted[name] for run in runs if run.result]
        assert value == pytest.approx(abs(values[0] - values[1]) / 2**0.5)
    header, (line,) = table(GridTable.model_validate(result))
    told = dict(zip(header, line, strict=True))
    for name in row["metrics"]:
        assert told[f"{name} adapted"] == f"{row['metrics'][name]:.4f}"
        assert told[f"{name} spread"] == f"{row['spread'][name]:.4f}"
    printed = grid_command._text(GridTable.model_validate(result))
    assert "spread over 2 seeds" in printed
    assert f"{row['spread'][result['primary_metric']]:.3f}" in printed
    gap = row["difference"][result["primary_metric"]]
    excludes_zero = gap["low"] > 0 or gap["high"] < 0
    assert (row["verdict"] != "no measurable difference") == excludes_zero


def test_wrong_values_are_refused_before_anything_is_trained(
    tiny_pairs: Path, home: Path, quick: Values
) -> None:
    for vary, setting in (
        ({"lora.rank": [8]}, "lora.rank"),
        ({"lora.r": [8, 0]}, "lora.r"),
        ({"lora.r": []}, "lora.r"),
    ):
        with pytest.raises(UserError) as caught:
            fill(Grid(tiny_pairs, quick(), vary), home)
        assert caught.value.setting == setting
    with pytest.raises(UserError):
        fill(Grid(tiny_pairs / "missing", quick(), {"lora.r": [2]}), home)
    assert Runs(home).list() == []


def test_a_grid_that_another_process_fills_is_refused(tiny_pairs: Path, home: Path, quick: Values) -> None:
    grid = Grid(tiny_pairs, quick(train__epochs=1), {"lora.r": [2]})
    first = fill_grid(grid, home, Models(home), Control())
    for event in first:
        if isinstance(event, Cell):
            break
    with pytest.raises(UserError, match="Another"):
        fill(grid, home)
    first.close()


def test_a_changed_collection_is_another_grid(tiny_pairs: Path, home: Path, quick: Values) -> None:
    grid = Grid(tiny_pairs, quick(train__epochs=1), {"lora.r": [2]})
    first = fill(grid, home)
    (tiny_pairs / "sketches" / "red circle.png").unlink()
    assert fill(grid, home)["grid"] != first["grid"]


def test_the_briefs_grid_has_its_eight_cells() -> None:
    cells = Grid(Path()).cells()
    assert len(cells) == 8
    for cell in cells:
        built = Grid(Path()).settings(cell)
        assert built.lora.r in (8, 16)
        assert built.lora.lora_alpha in (16, 32)
        expected = {"attention": ("q_proj", "v_proj"), "projection": ("visual_projection",)}[cell["preset"]]
        assert built.lora.target_modules == expected
    epochs = settings.build({}, "projection").train.epochs
    assert Grid(Path()).settings({"preset": "projection"}).train.epochs == epochs


def test_the_table_has_every_metric_with_its_interval(tiny_pairs: Path, home: Path, quick: Values) -> None:
    result = fill(Grid(tiny_pairs, quick(train__epochs=1), {"lora.r": [2]}), home)
    header, rows = table(GridTable.model_validate(result))
    assert len(rows) == 1
    assert len(rows[0]) == len(header)
    row = dict(zip(header, rows[0], strict=True))
    assert row["lora.r"] == "2"
    name = result["primary_metric"]
    assert float(row[f"{name} adapted"]) == pytest.approx(result["rows"][0]["metrics"][name], abs=1e-4)
    assert float(row[f"{name} low"]) <= float(row[f"{name} high"])
