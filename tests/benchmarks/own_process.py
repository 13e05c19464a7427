"""What a training in a process of its own costs: seconds to begin, speed of the steps, memory.

The same training on a part of the bundled sample, by turns in this process, whose libraries are loaded by then, in one of
its own that is started for it, and in one that was started ahead; and whether all give the same bits. Seconds of the
processor are given beside those of the clock, for machines that do other work meanwhile.

    python tests/benchmarks/own_process.py            # five rounds of each
    python tests/benchmarks/own_process.py --rounds 1
"""

from __future__ import annotations

import argparse
import os
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from clip_atelier import engine
from clip_atelier.cli.sample_part import part_of_sample
from clip_atelier.engine import settings
from clip_atelier.engine.core import Control, Event, Phase, Saved, Started, Step, Work, drive
from clip_atelier.engine.models import Models
from clip_atelier.engine.runs import TrainResult
from clip_atelier.engine.training import Plan, Trainer, train, train_apart

MB = 1 << 20


@dataclass
class Seen:
    """When what arrived, in seconds since it was asked for; the trainer's memory and processor."""

    began: float = field(default_factory=time.perf_counter)
    first: float = 0.0
    started: float = 0.0
    processor: float = 0.0
    steps: list[float] = field(default_factory=list)
    memory: int = 0
    digest: bytes = b""

    def __call__(self, event: Event) -> None:
        """Takes an event in."""
        now = time.perf_counter() - self.began
        if isinstance(event, Phase) and not self.first:
            self.first = now
        elif isinstance(event, Started):
            self.started = now
            self.processor = sum(sum(p.cpu_times()[:2]) for p in trainers())
        elif isinstance(event, Step):
            self.steps.append(now)
        elif isinstance(event, Saved):
            self.digest = (Path(event.path) / "adapter.safetensors").read_bytes()
            self.memory = sum(p.memory_info().rss for p in trainers())

    @property
    def per_step(self) -> float:
        """Seconds from the first step to the last, for each, checks and all."""
        return (self.steps[-1] - self.steps[0]) / (len(self.steps) - 1)


def trainers() -> list[psutil.Process]:
    """The processes that train for this one."""
    return [p for p in psutil.Process().children() if "--trainer" in p.cmdline()]


def seen(work: Callable[[], Work[TrainResult]]) -> Seen:
    """Does one training."""
    into = Seen()
    drive(work(), into)
    return into


def wait_until_idle(process: psutil.Process) -> None:
    """Until a process that was started ahead has imported what it needs."""
    pause, before = threading.Event(), -1.0
    while (now := sum(process.cpu_times()[:2])) != before:
        before = now
        pause.wait(2.0)


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    engine.keep_to_itself()
    chosen = settings.build(
        {
            "evaluation.folds": 0, "train.steps": 0, "train.epochs": 12, "train.batch_size": 16, "train.checks": 4,
            "train.patience": 0, "train.preservation": 0.0, "hardware.device": "cpu", "hardware.threads": 1,
            "train.choose_strength": False,
        },
        "attention",
    )  # fmt: skip
    bare = psutil.Process().memory_info().rss
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        home, drawings = Path(scratch) / "home", Path(scratch) / "drawings"
        part_of_sample(drawings)
        plan, models = Plan(drawings, chosen, home), Models(home)
        cold = seen(lambda: train(plan, models, Control()))
        loaded = psutil.Process().memory_info().rss
        here, there, ahead, waiting = [], [], [], 0
        for _round in range(rounds):
            here.append(seen(lambda: train(plan, models, Control())))
            there.append(seen(lambda: train_apart(plan, Control())))
            ready = Trainer(home)
            wait_until_idle(trainers()[0])
            waiting = trainers()[0].memory_info().rss
            ahead.append(seen(lambda ready=ready: train_apart(plan, Control(), ready)))  # type: ignore[misc]
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "")
    print(f"{'best of ' + str(rounds):<44}{'here':>10}{'apart':>10}{'ahead':>10}")
    for title, name in (
        ("seconds to the first event", "first"), ("seconds to the first step", "started"), ("seconds a step", "per_step")
    ):  # fmt: skip
        values = [min(getattr(one, name) for one in side) for side in (here, there, ahead)]
        print(f"{title:<44}" + "".join(f"{value:>10.3f}" for value in values))
    both = [*there, *ahead]
    print(f"a step apart / here: {min(t.per_step for t in both) / min(h.per_step for h in here):.3f}")
    print(f"seconds to the first step, nothing loaded before: {cold.started:.1f} here")
    print(f"of the processor to the first step, apart: {min(t.processor for t in there):.1f} s")
    print(f"memory of this process: {bare / MB:.0f} MB bare, {loaded / MB:.0f} MB after a training in it")
    print(
        f"memory of the trainer: {waiting / MB:.0f} MB waiting, {max(t.memory for t in both) / MB:.0f} MB training"
    )
    print(f"the same bits: {len({one.digest for one in [*here, *both]}) == 1}")


if __name__ == "__main__":
    main()
