"""Estimates come from a step that was really taken, and keep nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from clip_atelier.engine import settings
from clip_atelier.engine.core import Control, drive
from clip_atelier.engine.models import Models
from clip_atelier.engine.runs import Runs
from clip_atelier.engine.training import Plan, estimate, train
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
