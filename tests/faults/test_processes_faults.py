"""Several processes train as one, and one of them is stopped, fails or is gone: the run ends, says why, and is kept."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clip_atelier.engine import settings
from clip_atelier.engine.core import Control, Event, Saved, WorkError, drive
from clip_atelier.engine.models import Models
from clip_atelier.engine.runs import Runs
from clip_atelier.engine.training import Group, Plan, resume, train
from two_processes import Companion, environment, free_port, two

Quick = Callable[..., dict[str, Any]]


def trained(
    home: Path,
    folder: Path,
    values: dict[str, Any],
    group: Group,
    control: Control,
    saw: Callable[[Event], None],
) -> dict[str, Any]:
    return drive(
        train(Plan(folder, settings.build(values), home), Models(home), control, group), saw
    ).as_json()


def test_a_stop_asked_of_another_process_reaches_the_leader(
    home: Path, tiny_pairs: Path, quick: Quick
) -> None:
    control = Control()
    with two(home, control) as (group, companion):
        asked: list[int] = []

        def interrupt(event: Event) -> None:
            # Once only: asked twice, a process ends at once.
            if isinstance(event, Saved) and not asked:
                asked.append(event.step)
                companion.process.send_signal(signal.SIGINT)

        values = quick(train__epochs=200, train__checks=200, train__patience=0)
        result = trained(home, tiny_pairs, values, group, control, interrupt)
    assert companion.ended == (0, "", "")
    assert result["status"] == "stopped"
    assert 0 < result["steps"] < result["total_steps"]
    assert Runs(home).open(result["run"]).status == "stopped"
    assert (Path(result["path"]) / "adapter" / "adapter_model.safetensors").is_file()


FAILS = """
from clip_atelier.engine.training import steps
share = steps.TrainStep.share
count = iter(range(4))
def failing(*args):
    if next(count) == 3:
        raise RuntimeError("the other card is on fire")
    return share(*args)
steps.TrainStep.share = failing
"""


def test_an_error_of_another_process_ends_the_run_and_is_named(
    home: Path, tiny_pairs: Path, quick: Quick
) -> None:
    control = Control()
    values = quick(train__checks=6)
    with (
        two(home, control, FAILS) as (group, companion),
        pytest.raises(WorkError, match="Process 2 of 2: the other card is on fire"),
    ):
        trained(home, tiny_pairs, values, group, control, lambda _event: None)
    assert companion.ended == (0, "", "")
    run = Runs(home).open("latest")
    assert run.status == "failed"
    # What was done is kept: one process goes on with it.
    assert drive(resume(home, run.id, Models(home), Control())).as_json()["status"] == "done"


def test_a_process_that_is_gone_ends_the_run(home: Path, tiny_pairs: Path, quick: Quick) -> None:
    control = Control()
    with two(home, control) as (group, companion):

        def kill(event: Event) -> None:
            if isinstance(event, Saved):
                companion.process.kill()

        with pytest.raises(WorkError, match="has ended or cannot be reached"):
            trained(home, tiny_pairs, quick(), group, control, kill)
    assert Runs(home).open("latest").status == "failed"


def test_a_leader_that_is_gone_ends_the_others(home: Path, tiny_pairs: Path, tiny_clip: Path) -> None:
    port = free_port()
    arguments = ["train", str(tiny_pairs), "--home", str(home), "--model", str(tiny_clip), "--train.epochs", "9000",
                 "--hardware.device", "cpu"]  # fmt: skip
    leader = subprocess.Popen(
        [sys.executable, "-m", "clip_atelier", *arguments], env=os.environ | environment(0, port),
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    companion = Companion(home, port)
    assert leader.stderr is not None
    assert any("check at step" in line for line in leader.stderr)
    leader.kill()
    leader.communicate()
    companion.end()
    assert companion.ended == (1, "", "")
