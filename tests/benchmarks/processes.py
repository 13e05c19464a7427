"""What several processes cost and save: the collectives of a step, and whole steps beside those of one process.

* collectives: every exchange of a step by 2, 4 and 8 processes of one thread over gloo on this machine, small and large;
  best of several rounds, since other work on the machine only ever adds to them;
* steps: ViT-B/32 geometry, attention LoRA, fp32, one large batch: one process of one thread, two of one thread each, one
  of two threads, in turn; medians of the ratios within a round. The processor seconds of the process that leads say
  what the share would be on an idle machine.

docs/decisions/0012-a-hundred-processes.md works out from these what a hundred processes would cost.

    python tests/benchmarks/processes.py                              # both; about five minutes on two idle cores
    python tests/benchmarks/processes.py --only collectives
    python tests/benchmarks/processes.py --only steps --batch 32 --rounds 1
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from training import make_images

from two_processes import environment, free_port, two

SIZES = (2, 4, 8)
SMALL, LARGE = 256, 500_000  # numbers of 4 bytes: 1 kB, and about the trained tensors of rank 8 in ViT-B/32
REPEATS, ROUNDS = 4, 60
SHARE, AGAINST_THREADS = 0.6, 1.1


# Collectives


def timed(work: Callable[[], object]) -> float:
    """Seconds of one call, the best of several rounds."""
    found = []
    for _round in range(ROUNDS):
        began = time.perf_counter()
        for _repeat in range(REPEATS):
            work()
        found.append((time.perf_counter() - began) / REPEATS)
    return min(found)


def worker() -> None:
    """One process of several: does the exchanges of a step, and the first one tells their seconds."""
    import torch

    from clip_atelier.engine.core import Control
    from clip_atelier.engine.training import joined

    torch.set_num_threads(1)
    with joined(Control()) as group:
        assert group is not None

        def order() -> None:
            if group.leads:
                with group.ordered({"captions": "x" * 4 * SMALL}):
                    pass
            else:
                group.hear()

        def part() -> None:
            with group.part():
                pass

        found = {"order": {"small": timed(order)}, "part": {"small": timed(part)}}
        for size, count in (("small", SMALL), ("large", LARGE)):
            whole = torch.zeros(count)
            each = count // group.size
            rows, lengths = torch.zeros(each), [each] * group.size
            everything = torch.zeros(each * group.size) if group.leads else rows
            for name, work in {
                "broadcast": lambda x=whole: group.broadcast(x),
                "gather": lambda x=rows, n=lengths: group.gather(x, n),
                "scatter": lambda x=everything, n=lengths: group.scatter(x, n),
                "reduce": lambda x=whole: group.reduce(x),
            }.items():
                found.setdefault(name, {})[size] = timed(work)
        part()
        if group.leads:
            print(json.dumps(found))


def collectives() -> None:
    """Prints microseconds of a small exchange and milliseconds of a large one, by the number of processes."""
    print(f"{'processes':<12}{'exchange':<12}{'1 kB, µs':>10}{f'{LARGE * 4 / 1e6:g} MB, ms':>12}")
    for size in SIZES:
        port = free_port()
        started = [
            subprocess.Popen(
                [sys.executable, __file__, "--worker"], env=os.environ | environment(rank, port, size),
                stdout=subprocess.PIPE, text=True,
            )
            for rank in range(size)
        ]  # fmt: skip
        answers = [process.communicate(timeout=600)[0] for process in started]
        if any(process.returncode for process in started):
            raise SystemExit("a process failed")
        for name, seconds in json.loads(answers[0].splitlines()[-1]).items():
            large = f"{seconds['large'] * 1e3:.2f}" if "large" in seconds else ""
            print(f"{size:<12}{name:<12}{seconds['small'] * 1e6:>10.0f}{large:>12}", flush=True)


# Steps


def seconds_of_steps(
    model: Path, folder: Path, batch: int, processes: int, threads: int
) -> tuple[float, float]:
    """Median seconds of the steps of a short run, the first one left out: of the wall, and of the leader's processor."""
    from clip_atelier.engine import settings
    from clip_atelier.engine.core import Control, drive
    from clip_atelier.engine.models import Models
    from clip_atelier.engine.training import Plan, train
    from clip_atelier.engine.training.steps import TrainStep

    chosen = settings.build(
        {
            "model.name": str(model), "train.batch_size": batch, "train.epochs": 3, "train.steps": 0,
            "train.checks": 1, "train.patience": 0, "train.preservation": 0.0, "train.smoothing": 0.0,
            "train.choose_strength": False, "lora.lora_dropout": 0.0, "hardware.device": "cpu",
            "hardware.precision": "fp32", "hardware.threads": threads, "data.validation": 0.02, "data.test": 0.0,
            "evaluation.folds": 0, "evaluation.parts": False,
        },
        "attention",
    )  # fmt: skip
    seconds: list[tuple[float, float]] = []
    whole = TrainStep.step

    def step(self: TrainStep, *args: Any) -> Any:
        began, busy = time.perf_counter(), time.process_time()
        loss = whole(self, *args)
        seconds.append((time.perf_counter() - began, time.process_time() - busy))
        return loss

    TrainStep.step = step  # type: ignore[method-assign]
    try:
        with tempfile.TemporaryDirectory() as home:
            plan = Plan(folder, chosen, Path(home))
            if processes == 1:
                drive(train(plan, Models(Path(home)), Control()))
            else:
                control = Control()
                with two(Path(home), control) as (group, _companion):
                    drive(train(plan, Models(Path(home)), control, group))
    finally:
        TrainStep.step = whole  # type: ignore[method-assign]
    return statistics.median(s[0] for s in seconds[1:]), statistics.median(s[1] for s in seconds[1:])


def steps(batch: int, rounds: int) -> bool:
    """Prints the steps' seconds and ratios; returns whether they hold."""
    from clip_folder import vit_b_32

    with tempfile.TemporaryDirectory() as scratch:
        model, folder = vit_b_32(Path(scratch) / "model"), Path(scratch) / "drawings"
        make_images(folder, batch)  # a few are kept aside: one step an epoch
        found: list[list[tuple[float, float]]] = []
        for _round in range(rounds):
            found.append([seconds_of_steps(model, folder, batch, *how) for how in ((1, 1), (2, 1), (1, 2))])
            told = ", ".join(
                f"{name} {wall:.2f} s (processor {busy:.2f})"
                for name, (wall, busy) in zip(
                    ("one process", "two", "one of two threads"), found[-1], strict=True
                )
            )
            print(f"batch {batch}: {told}", flush=True)
    share = statistics.median(shared[0] / one[0] for one, shared, _threads in found)
    against = statistics.median(shared[0] / threads[0] for _one, shared, threads in found)
    busy = statistics.median(shared[1] / one[1] for one, shared, _threads in found)
    print(f"      the leader's processor seconds, share of one process's: {busy:.3f}")
    held = share <= SHARE and against <= AGAINST_THREADS
    print(f"{'holds ' if share <= SHARE else 'MISSED'} two of one (at most {SHARE:g}): {share:.3f}")
    print(
        f"{'holds ' if against <= AGAINST_THREADS else 'MISSED'} two of one of two threads "
        f"(at most {AGAINST_THREADS:g}): {against:.3f}"
    )
    return held


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=("collectives", "steps"))
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        worker()
        return 0
    if arguments.only != "steps":
        collectives()
    return 0 if arguments.only == "collectives" else int(not steps(arguments.batch, arguments.rounds))


if __name__ == "__main__":
    sys.exit(main())
