"""Stopping: wherever the work is, it ends within five seconds, and a training goes on from there."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clip_atelier.cli import signals
from clip_atelier.engine import settings
from clip_atelier.engine.core import Control, Event, Phase, Stopped, drive
from clip_atelier.engine.models import Models
from clip_atelier.engine.runs import Runs
from clip_atelier.engine.training import Plan, resume, train

Quick = Callable[..., dict[str, Any]]


@pytest.mark.fault(38, 57)
@pytest.mark.parametrize("folds", [0, 2])
def test_every_stage_of_a_training_ends_soon_when_it_is_left_and_goes_on_later(
    home: Path, tiny_pairs: Path, quick: Quick, folds: int
) -> None:
    """After `signals.PATIENCE` the work is left; what then remains of the five seconds must do in every stage."""
    values = quick(train__epochs=1, evaluation__folds=folds, evaluation__parts=bool(folds))
    plan, models = Plan(tiny_pairs, settings.build(values), home), Models(home)
    stages: list[str] = []
    took: dict[str, float] = {}
    while True:
        control, left = Control(), 0.0

        def leave(event: Event, control: Control = control) -> None:
            nonlocal left
            # Each stage in turn: of those that were tried already nothing is asked.
            if isinstance(event, Phase) and event.name not in stages and not control.leaving:
                stages.append(event.name)
                control.leave()
                left = time.monotonic()

        kept = Runs(home).list()
        try:
            work = resume(home, kept[0].id, models, control) if kept else train(plan, models, control)
            result = drive(work, leave)
        except Stopped:
            took[stages[-1]] = time.monotonic() - left
            continue
        break
    assert result.status == "done"
    assert result.steps
    assert {"scan", "load", "encode", "train"} <= set(stages)
    assert ({"folds", "parts"} if folds else {"evaluate", "strength"}) <= set(stages)
    slowest = max(took, key=lambda stage: took[stage])
    assert took[slowest] < 5 - signals.PATIENCE, f"{slowest}: {took}"


@pytest.mark.fault(57)
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT from another process")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_work_that_reaches_no_boundary_is_ended_all_the_same(name: str) -> None:
    code = f"""
import os, signal, threading
from clip_atelier.cli import signals
from clip_atelier.engine.core import Control
signals.PATIENCE, signals.LAST = 0.1, 0.3
with signals.stopping(Control()):
    os.kill(os.getpid(), signal.{name})
    threading.Event().wait(60)
"""
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=50, check=False
    )
    assert ended.returncode == 130
    assert "The last checkpoint is kept" in ended.stderr
    assert signals.LAST < 5
