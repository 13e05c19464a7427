"""Processes that a launcher started to index one folder: each has its card, and they wait for each other at the end."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Final

from clip_atelier.engine.core import Control, Stopped, WorkError, _, launch

_PATIENCE: Final = timedelta(days=30)
"""A process that ends closes its connections, which ends the waiting at once; this is for machines that vanish."""


@contextlib.contextmanager
def together(control: Control) -> Iterator[Callable[[], None]]:
    """Meets the other processes; what is called in the block waits until all of them have called it.

    Raises:
        WorkError: another process ended or cannot be reached.
        Stopped: a stop was asked for.
    """
    import torch
    import torch.distributed as dist

    cards = torch.cuda.device_count()
    if cards:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")) % cards)

    def wait_for_all() -> None:
        with _talking(control):
            waiting = dist.all_reduce(torch.ones(1), async_op=True)
            while not waiting.is_completed():
                control.boundary()
                time.sleep(0.05)
            waiting.wait()

    with _talking(control):
        dist.init_process_group("gloo", timeout=_PATIENCE, rank=launch.rank(), world_size=launch.size())
    try:
        yield wait_for_all
    finally:
        with contextlib.suppress(RuntimeError, ValueError):
            dist.destroy_process_group()


@contextlib.contextmanager
def _talking(control: Control) -> Iterator[None]:
    try:
        yield
    except (RuntimeError, ValueError) as error:
        if control.stopping:
            raise Stopped from error
        raise WorkError(
            _("Another process has ended or cannot be reached: {reason}").format(
                reason=next(iter(str(error).splitlines()), "")
            ),
            _("What was embedded is kept. Start all processes again; they go on where they were."),
        ) from error
