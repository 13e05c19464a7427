"""One process: with a launcher it is a group of its own, without one there is no group."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from clip_atelier.engine.core import Control, launch
from clip_atelier.engine.training import joined
from two_processes import LIMIT, environment, free_port, last_update, losses, trained

Quick = Callable[..., dict[str, Any]]


def test_one_process_that_a_launcher_started_is_a_group(
    home: Path, tiny_pairs: Path, quick: Quick, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = quick(lora__lora_dropout=0.5)
    alone, seen_alone = trained(home, tiny_pairs, values, None)
    for name, value in environment(0, 1, size=1).items():  # nobody listens on that port
        monkeypatch.setenv(name, value)
    with joined(Control()) as group:
        assert group is not None
        shared, seen = trained(home, tiny_pairs, values, group)
    assert losses(seen) == losses(seen_alone)
    a, b = last_update(home, alone["run"]), last_update(home, shared["run"])
    assert all(torch.equal(a[name], b[name]) for name in a)


SAYS_WHO = """
from clip_atelier.engine.core import Control
from clip_atelier.engine.training import joined
import torch
with joined(Control()) as group:
    with group.part():
        pass
    print("group of", group.size, "sum", float(group.reduce(torch.ones(1))))
"""


@pytest.mark.parametrize(
    "launcher",
    [
        ("torch.distributed.run", "--nproc-per-node", "1", "--master-addr", "127.0.0.1"),
        ("accelerate.commands.launch", "--num_processes", "1", "--cpu"),
    ],
    ids=["torchrun", "accelerate"],
)
def test_a_launch_of_one_process_forms_a_group(tmp_path: Path, launcher: tuple[str, ...]) -> None:
    pytest.importorskip(launcher[0].split(".")[0])
    script = tmp_path / "says_who.py"
    script.write_text(SAYS_WHO)
    port = ["--master-port", str(free_port())] if "torch" in launcher[0] else []
    done = subprocess.run(
        [sys.executable, "-m", *launcher, *port, str(script)],
        capture_output=True, text=True, timeout=LIMIT, check=False,
        env=os.environ | {"GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["group of 1 sum 1.0"]


def test_alone_there_is_no_group(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "ACCELERATE_MIXED_PRECISION"):
        monkeypatch.delenv(name, raising=False)
    with joined(Control()) as group:
        assert group is None
    # Some queues of clusters set these for every job.
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert launch.leads()
    with joined(Control()) as group:
        assert group is None
