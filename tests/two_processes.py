"""Starts a second process beside a test, as a launcher would, and makes the test itself the leader of both."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from clip_atelier.engine import settings
from clip_atelier.engine.core import Control, Event, Step, drive
from clip_atelier.engine.models import Models
from clip_atelier.engine.runs import checkpoints
from clip_atelier.engine.training import Group, Plan, joined, train

LIMIT = 120  # seconds that no wait of a test may exceed, on a busy machine


def environment(rank: int, port: int, size: int = 2) -> dict[str, str]:
    """What a launcher tells a process."""
    return {
        "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(size), "LOCAL_WORLD_SIZE": str(size),
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "GLOO_SOCKET_IFNAME": "lo",
    }  # fmt: skip


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class Companion:
    """The second process.

    Attributes:
        ended: Its exit code and what it wrote to stdout and stderr, once it has ended.
    """

    ended: tuple[int, str, str]

    def __init__(self, home: Path, port: int, code: str = "") -> None:
        start = "from clip_atelier.cli.main import main; import sys; sys.argv[0] = 'clip-atelier'; sys.exit(main())"
        self.process = subprocess.Popen(
            [sys.executable, "-c", f"{code}\n{start}", "train", "any", "--home", str(home)],
            env=os.environ | environment(1, port), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def end(self) -> None:
        """Waits for its end."""
        try:
            out, err = self.process.communicate(timeout=LIMIT)
        finally:
            self.process.kill()
        self.ended = (self.process.returncode, out, err)


@contextmanager
def two(home: Path, control: Control, code: str = "") -> Iterator[tuple[Group, Companion]]:
    """This process as the leader, and another one."""
    port = free_port()
    companion = Companion(home, port, code)
    try:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in environment(0, port).items():
                patch.setenv(name, value)
            with joined(control) as group:
                assert group is not None
                yield group, companion
    finally:
        if companion.process.poll() is None and sys.exc_info()[0]:
            companion.process.kill()
        companion.end()


# A run by several processes, or by one


def losses(seen: list[Event]) -> list[float]:
    return [float(e.loss) for e in seen if isinstance(e, Step) and e.loss is not None]


def last_update(home: Path, run_id: str) -> dict[str, torch.Tensor]:
    found, problems = checkpoints.newest(home / "runs" / run_id / "checkpoints")
    assert found is not None
    assert not problems
    return found.adapter


def trained(
    home: Path, folder: Path, values: dict[str, Any], group: Group | None, control: Control | None = None,
    on_event: Callable[[Event], None] = lambda _event: None,
) -> tuple[dict[str, Any], list[Event]]:  # fmt: skip
    seen: list[Event] = []

    def saw(event: Event) -> None:
        seen.append(event)
        on_event(event)

    plan = Plan(folder, settings.build(values), home)
    return drive(train(plan, Models(home), control or Control(), group), saw).as_json(), seen
