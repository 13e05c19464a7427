"""Several processes train as one: real processes, real connections (gloo on the processor), the tiny model.

The leader is the test itself, so that its events can be looked at; the others are started as a launcher would start them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from clip_atelier.engine.core import Check, Control, Event, Progress, Step, UserError, drive
from clip_atelier.engine.models import Models
from clip_atelier.engine.runs import Runs
from clip_atelier.engine.training import Group, resume
from clip_atelier.engine.training.batches import Batch
from clip_atelier.engine.training.distributed.trainer import parts_of, share_seed
from clip_atelier.engine.training.steps import TrainStep
from two_processes import LIMIT, free_port, last_update, losses, trained, two

Quick = Callable[..., dict[str, Any]]

# What is added up in another order differs in the last digits.
EXACT = {
    "hardware__precision": "fp32",
    "hardware__threads": 1,
    "lora__lora_dropout": 0.0,
    "train__epochs": 3,
    "train__max_grad_norm": 0,
}


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Group]:
    """Two processes that train one run after another."""
    home = tmp_path_factory.mktemp("second") / "home"
    with two(home, Control()) as (group, companion):
        yield group
    assert companion.ended == (0, "", "")
    assert not (home / "runs").exists()


def assert_same(name: str, matrix: torch.Tensor, expected: torch.Tensor) -> None:
    """Ten millionths of the matrix, as a whole: AdamW makes the rounding of a single small gradient as large as any other."""
    apart = torch.linalg.vector_norm(matrix - expected)
    assert apart <= 1e-5 * torch.linalg.vector_norm(expected).clamp(min=1.0), (name, float(apart))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"train__batch_size": 7, "train__chunk_size": 3, "data__views": 2},
        {"train__temperature": "trained", "train__size_penalty": 0.01, "lora__bias": "all"},
        {"lora__target_modules": "visual_projection,text_projection"},
        {"train__text_weight": 0.0},
        {"train__method": "layernorm"},
    ],
)
def test_two_processes_train_as_one(
    home: Path,
    tiny_pairs: Path,
    quick: Quick,
    pair: Group,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, Any],
) -> None:
    values = quick(**EXACT | changes)
    first: list[dict[str, torch.Tensor | None]] = []
    step = TrainStep.step

    def recorded(train_step: TrainStep, number: int, batch: Batch) -> torch.Tensor:
        loss = step(train_step, number, batch)
        if number == 0:
            first.append(
                {
                    n: None if p.grad is None else p.grad.clone()
                    for n, p in train_step.adapter.trainable.items()
                }
            )
        return loss

    monkeypatch.setattr(TrainStep, "step", recorded)
    alone, seen_alone = trained(home, tiny_pairs, values, None)
    shared, seen = trained(home, tiny_pairs, values, pair)
    assert first[0].keys() == first[1].keys()
    for name, gradient in first[0].items():
        torch.testing.assert_close(first[1][name], gradient, rtol=1e-3, atol=1e-6)
    assert len(losses(seen)) == len(losses(seen_alone)) == alone["steps"] == shared["steps"]
    assert losses(seen) == pytest.approx(losses(seen_alone), rel=1e-6)
    assert shared["adapted"] == alone["adapted"]
    a, b = last_update(home, alone["run"]), last_update(home, shared["run"])
    assert a.keys() == b.keys()
    for name in a:
        # A key's bias moves no attention: its gradient is rounding, which AdamW makes as large as any other.
        if not name.endswith("k_proj.bias"):
            assert_same(name, b[name], a[name])
    # It did learn something, or the equality would say nothing.
    base = next(e for e in seen if isinstance(e, Check))
    assert losses(seen)[-1] != pytest.approx(base.loss, rel=1e-3)
    assert shared.keys() == alone.keys()
    # The second run finds the pictures decoded.
    told, told_alone = (
        [e.kind for e in events if not isinstance(e, Progress)] for events in (seen, seen_alone)
    )
    assert told == told_alone
    folders = [
        sorted(str(p.relative_to(run.path)) for p in run.path.rglob("*") if p.name != ".lock")
        for run in Runs(home).list()
    ]
    assert folders[0] == folders[1]
    assert len(folders) == 2


@pytest.mark.parametrize("first_alone", [True, False])
def test_a_run_goes_on_with_another_number_of_processes(
    home: Path, tiny_pairs: Path, quick: Quick, pair: Group, first_alone: bool
) -> None:
    values = quick(**EXACT)
    straight, _seen = trained(home, tiny_pairs, values, None)
    control = Control()

    def stop(event: Event) -> None:
        if isinstance(event, Step) and event.step == 4:
            control.stop()

    groups = (None, pair) if first_alone else (pair, None)
    stopped, _seen = trained(home, tiny_pairs, values, groups[0], control, stop)
    assert (stopped["status"], stopped["steps"]) == ("stopped", 4)
    resumed = drive(resume(home, stopped["run"], Models(home), Control(), groups[1])).as_json()
    assert resumed["status"] == "done"
    a, b = last_update(home, straight["run"]), last_update(home, resumed["run"])
    for name in a:
        assert_same(name, b[name], a[name])


def test_with_dropout_the_same_processes_give_the_same_run(
    home: Path, tiny_pairs: Path, quick: Quick, pair: Group
) -> None:
    values = quick(**EXACT | {"lora__lora_dropout": 0.5})
    first, _seen = trained(home, tiny_pairs, values, pair)
    second, _seen = trained(home, tiny_pairs, values, pair)
    a, b = last_update(home, first["run"]), last_update(home, second["run"])
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_a_launcher_starts_them_and_one_speaks(home: Path, tiny_pairs: Path, quick: Quick) -> None:
    flags = [part for name, value in quick(**EXACT).items() for part in (f"--{name}", str(value))]
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_addr", "127.0.0.1",
         "--master_port", str(free_port()), "-m", "clip_atelier", "train", str(tiny_pairs), "--json", "--home", str(home),
         *flags],
        capture_output=True, text=True, timeout=LIMIT, check=False,
        env=os.environ | {"GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["status"] == "done"
    assert done.stderr.count("Reading the collection") == 1
    assert [run.id for run in Runs(home).list()] == [document["run"]]
    alone, _seen = trained(home, tiny_pairs, quick(**EXACT), None)
    a, b = last_update(home, alone["run"]), last_update(home, document["run"])
    for name in a:
        assert_same(name, b[name], a[name])


@pytest.mark.parametrize("seed", [2**24, 20261126, 2**31 - 1])
def test_every_seed_that_the_settings_allow_trains(
    home: Path, tiny_pairs: Path, quick: Quick, pair: Group, seed: int
) -> None:
    values = quick(**EXACT | {"lora__lora_dropout": 0.5, "train__epochs": 1, "train__seed": seed})
    first, _seen = trained(home, tiny_pairs, values, pair)
    assert first["status"] == "done"
    second, _seen = trained(home, tiny_pairs, values, pair)
    a, b = last_update(home, first["run"]), last_update(home, second["run"])
    assert all(torch.equal(a[name], b[name]) for name in a)


@given(st.integers(0, 2**31 - 1), st.integers(0, 2**20), st.integers(1, 999))
def test_a_share_has_dropout_of_its_own(seed: int, step: int, rank: int) -> None:
    found = share_seed(seed, step, rank)
    torch.Generator().manual_seed(found)
    if seed < 2**24:  # as it always was: a run that is resumed goes on with the same draws
        assert found == (seed << 40) + (step << 16) + rank
    assert len({found, share_seed(seed, step + 1, rank), share_seed(seed, step, rank + 1)}) == 3


def test_a_batch_smaller_than_the_processes_is_refused(home: Path, tiny_pairs: Path, quick: Quick) -> None:
    many = Group.__new__(Group)
    many.size = 16
    with pytest.raises(UserError, match="8 cannot be shared by 16") as error:
        trained(home, tiny_pairs, quick(), many)
    assert error.value.setting == "train.batch_size"
    assert Runs(home).list() == []


@given(st.integers(0, 100), st.integers(1, 16))
def test_shares_are_even_and_whole(length: int, size: int) -> None:
    parts = parts_of(length, size)
    assert [n for part in parts for n in part] == list(range(length))
    assert len(parts) == size
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
