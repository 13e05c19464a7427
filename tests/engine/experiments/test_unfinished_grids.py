from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from clip_atelier.engine.core import Cell, Control, Event, drive
from clip_atelier.engine.experiments import Grid, forget, unfinished
from clip_atelier.engine.experiments import fill as fill_grid
from clip_atelier.engine.models import Models
from clip_atelier.engine.runs import Runs

Values = Callable[..., dict[str, Any]]


def fill(grid: Grid, home: Path, control: Control | None = None, on_event: Any = None) -> dict[str, Any]:
    return drive(fill_grid(grid, home, Models(home), control or Control()), on_event).as_json()


def test_an_unfinished_grid_is_offered_with_all_that_it_asked_for(
    tiny_pairs: Path, home: Path, quick: Values
) -> None:
    grid = Grid(tiny_pairs, quick(train__epochs=1), {"lora.r": (2, 4)}, (3, 4), "projection")
    control = Control()

    def stop_in_the_second(event: Event) -> None:
        if isinstance(event, Cell) and event.number == 2:
            control.stop()

    result = fill(grid, home, control, stop_in_the_second)
    (offered,) = unfinished(home)
    assert (offered.id, offered.total, offered.done, offered.failed) == (result["grid"], 4, 1, 0)
    assert offered.grid == grid

    assert fill(offered.grid, home)["grid"] == result["grid"]
    assert unfinished(home) == []
    done = [run.name for run in Runs(home).list() if run.status == "done"]
    assert sorted(done) == ["r=2 seed=3", "r=2 seed=4", "r=4 seed=3", "r=4 seed=4"]


def test_a_grid_that_is_being_filled_or_was_forgotten_is_not_offered(
    tiny_pairs: Path, home: Path, quick: Values
) -> None:
    work = fill_grid(Grid(tiny_pairs, quick(), {"lora.r": [2, 4]}), home, Models(home), Control())
    for event in work:
        if isinstance(event, Cell):
            break
    assert unfinished(home) == []
    work.close()
    (offered,) = unfinished(home)
    forget(home, offered.id)
    assert unfinished(home) == []


def test_a_grid_file_that_cannot_be_read_hides_no_other(tiny_pairs: Path, home: Path, quick: Values) -> None:
    work = fill_grid(Grid(tiny_pairs, quick(), {"lora.r": [2]}), home, Models(home), Control())
    next(event for event in work if isinstance(event, Cell))
    work.close()
    (home / "grids" / "broken.json").write_text('{"entries": 3', encoding="utf-8")
    (home / "grids" / "other.json").write_text("[]", encoding="utf-8")
    assert len(unfinished(home)) == 1


def test_looking_at_grids_and_rows_loads_no_torch() -> None:
    code = (
        "import sys; from clip_atelier.engine.evaluation import comparison; from clip_atelier.engine.experiments import Grid, unfinished; from pathlib import Path; "
        "Grid(Path()).cells(); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
