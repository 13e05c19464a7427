"""Which images a trained run may be measured on: one answer for everything that measures."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from clip_atelier.engine.analysis import word_changes
from clip_atelier.engine.core import Control, Event, Notice, drive, write_document
from clip_atelier.engine.data import scan
from clip_atelier.engine.evaluation import open_on
from clip_atelier.engine.models import Models
from clip_atelier.engine.parts.run_evaluation import evaluate
from clip_atelier.engine.runs import DataRecord, Runs

Run = Callable[..., str]


def trained_on(home: Path, folder: Path, run: str) -> str:
    """The run, with what a training writes down of its collection."""
    chosen = Runs(home).open(run)
    collection = drive(scan(folder, chosen.settings.data, Control()))
    record = chosen.record.model_copy(update={"data": DataRecord(fingerprint=collection.fingerprint)})
    write_document(chosen.path / "run.json", record)
    return run


def opened(home: Path, run: str, folder: Path | None) -> tuple[bool, bool, str, int, bool]:
    """own, changed, measured on, images, whether the change was told."""
    seen: list[Event] = []
    held = drive(open_on(home, run, Models(home), Control(), folder), seen.append)
    held.close()
    told = any(isinstance(event, Notice) and "changed" in event.text for event in seen)
    return held.own, held.changed, held.measured_on, len(held.indices), told


def test_a_collection_is_the_runs_own_by_its_place_or_its_content(
    home: Path, tiny_collection: Path, adapted_run: Run, tmp_path: Path
) -> None:
    run = trained_on(home, tiny_collection, adapted_run(tiny_collection))
    copy = tmp_path / "a copy"
    shutil.copytree(tiny_collection, copy)
    own = opened(home, run, None)
    assert own[:3] == (True, False, "validation")
    assert own[3] < 24
    assert opened(home, run, copy) == own
    (tiny_collection / "red-circle.png").unlink()
    changed = opened(home, run, tiny_collection)
    assert changed[:3] == (True, True, "validation")
    assert changed[4]
    (copy / "red-ring.png").unlink()
    assert opened(home, run, copy) == (False, False, "all", 23, False)


def test_everything_that_measures_decides_alike(home: Path, tiny_collection: Path, adapted_run: Run) -> None:
    run = trained_on(home, tiny_collection, adapted_run(tiny_collection))
    (tiny_collection / "red-circle.png").unlink()
    measured: dict[str, Any] = drive(evaluate(home, run, tiny_collection, Models(home), Control())).as_json()
    asked = drive(
        word_changes.words(home, run, Models(home), Control(), tiny_collection, templates=("{}",))
    ).as_json()
    for name in ("images", "measured_on"):
        assert measured[name] == asked[name]
    assert measured["measured_on"] == "validation"
