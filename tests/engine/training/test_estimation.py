"""Estimates come from a step that was really taken, and keep nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from clip_atelier.engine import settings
from clip_atelier.engine.core import Control, Event, FoldStep, drive
from clip_atelier.engine.data import open_collection
from clip_atelier.engine.models import Models
from clip_atelier.engine.runs import Runs
from clip_atelier.engine.training import Plan, RunLength, affordable, estimate, run_length, train
from clip_atelier.engine.training import estimation as room
from clip_atelier.engine.training.steps import TrainStep

Quick = Callable[..., dict[str, Any]]


@pytest.mark.parametrize("changes", [{}, {"lora__target_modules": "visual_projection"}])
def test_it_counts_the_steps_that_training_takes(
    home: Path, tiny_pairs: Path, quick: Quick, changes: dict[str, Any]
) -> None:
    chosen = settings.build(quick(train__patience=0, **changes))
    models = Models(home)
    found = drive(estimate(tiny_pairs, chosen, home, models, Control())).as_json()
    assert found["seconds_per_step"] > 0
    assert found["seconds"] >= found["steps"] * found["seconds_per_step"]
    assert 0 < found["memory"] < found["available"]
    assert found["fits"]
    assert found["chunk_size"] == 0
    assert found["gradient_checkpointing"] is False
    assert Runs(home).list() == []
    assert (
        drive(train(Plan(tiny_pairs, chosen, home), models, Control())).as_json()["steps"] == found["steps"]
    )


def test_a_run_by_folds_trains_once_for_each_and_once_on_everything(
    home: Path, tiny_pairs: Path, quick: Quick
) -> None:
    """With all that such a run compares with in each step: smoothed targets, and what the model knew before."""
    values = quick(
        train__steps=4, evaluation__folds=3, evaluation__parts=True, train__preservation=1.0, train__smoothing=0.2
    )  # fmt: skip
    chosen, models, seen = settings.build(values), Models(home), list[Event]()
    found = drive(estimate(tiny_pairs, chosen, home, models, Control()))
    assert (found.trainings, found.steps) == (4, 16)
    assert found.seconds >= 16 * found.seconds_per_step > 0
    result = drive(train(Plan(tiny_pairs, chosen, home), models, Control()), seen.append)
    folds = [event for event in seen if isinstance(event, FoldStep) and event.step == event.steps]
    assert sum(event.steps for event in folds) + result.total_steps in (
        12,
        16,
    )  # an update that does not help is left out


def test_the_length_of_a_run_is_what_the_run_does(tiny_pairs: Path, home: Path, quick: Quick) -> None:
    def length(**changes: Any) -> tuple[RunLength, RunLength]:
        chosen = settings.build(quick(train__steps=100, **changes))
        collection, parts = drive(open_collection(tiny_pairs, chosen.data, home, Control()))
        wanted = run_length(collection.items, parts, chosen)
        return wanted, affordable(chosen, wanted, 1.0, 12.0)

    assert length() == (RunLength(1, 100), RunLength(1, 100))
    assert length(evaluation__folds=5)[0].total == 600
    # 24 groups and at least 4 to a fold.
    assert length(evaluation__folds=20)[0] == RunLength(7, 100)
    # What is left of the budget, over all trainings; and never fewer than are worth it.
    assert length(evaluation__folds=5, evaluation__minutes=8.0)[1] == RunLength(6, 78)
    assert length(evaluation__folds=5, evaluation__minutes=1.0)[1] == RunLength(6, 40)


def test_out_of_memory_proposes_a_chunk(
    home: Path, tiny_pairs: Path, quick: Quick, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: TrainStep, step: int, batch: object) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(TrainStep, "step", full)
    chosen = settings.build(quick(train__batch_size=16))
    found = drive(estimate(tiny_pairs, chosen, home, Models(home), Control())).as_json()
    assert not found["fits"]
    assert found["chunk_size"] == 8


@pytest.mark.parametrize(
    ("changes", "proposed"),
    [
        ({}, True),
        ({"train__gradient_checkpointing": True}, False),
        # No layer is computed at a step: there is nothing to compute again.
        ({"lora__target_modules": "visual_projection"}, False),
    ],
)
def test_checkpointing_is_proposed_where_it_would_help(
    home: Path,
    tiny_pairs: Path,
    quick: Quick,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, Any],
    proposed: bool,
) -> None:
    monkeypatch.setattr(room, "_available", lambda clip: 1)
    found = drive(
        estimate(tiny_pairs, settings.build(quick(**changes)), home, Models(home), Control())
    ).as_json()
    assert not found["fits"]
    assert found["gradient_checkpointing"] is proposed


@pytest.mark.parametrize(
    ("size", "memory", "available", "chunk"),
    [(64, 100, 50, 16), (64, 100, 117, 32), (64, 100, 1, 2), (4, 0, 50, 2)],
)
def test_the_proposed_chunk_fits(size: int, memory: int, available: int, chunk: int) -> None:
    assert room._chunk(size, memory, available) == chunk
