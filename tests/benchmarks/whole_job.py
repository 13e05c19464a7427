"""What a person waits for: the whole `train` command beside the Trainer's training alone.

ViT-B/32 geometry with random weights, attention preset, the length of two epochs, one part of the drawings kept aside; the
plain recipe (nothing preserved, targets not smoothed), as the rival has none of it either. Contenders:

* `train`: the command from process start to the result, in a home without caches;
* `again`: the same command once more in the same home, another run on the same drawings;
* `trainer`: the training of Hugging Face Trainer + PEFT on the same drawings, nothing but its two epochs: no start, no
  measuring, no choice of strength.

With --phases, the seconds between the phases that `train` tells. Exits with 1 where a target is missed. About five minutes
on two idle cores:

    python tests/benchmarks/whole_job.py --rounds 1 --phases
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
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from training import QUIET, make_images, measured, prepared

EPOCHS = 2
ASKED = {"train": 2.5, "again": 3.0}
CHANGES = {
    "train.steps": "0",
    "train.epochs": str(EPOCHS),
    "train.batch_size": "32",
    "train.preservation": "0",
    "train.smoothing": "0",
    "train.initialization": "zero",
    "evaluation.folds": "0",
    "hardware.device": "cpu",
}


def command(model: Path, folder: Path, home: Path, phases: bool) -> float:
    """Seconds of one `train` command."""
    arguments = [
        sys.executable,
        "-m",
        "clip_atelier",
        "train",
        str(folder),
        "--home",
        str(home),
        "--preset",
        "attention",
    ]
    for name, value in {**CHANGES, "model.name": str(model)}.items():
        arguments += [f"--{name}", value]
    began = time.perf_counter()
    ended = subprocess.run(
        arguments,
        env={**os.environ, **QUIET},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - began
    if ended.returncode:
        raise SystemExit(ended.stdout)
    if phases:
        _print_phases(home)
    return seconds


def _print_phases(home: Path) -> None:
    """Seconds of each phase of the newest run, as its events tell."""
    newest = max((home / "runs").glob("*/events.jsonl"), key=lambda file: file.stat().st_mtime)
    events: list[dict[str, Any]] = [json.loads(line) for line in newest.read_text().splitlines()]
    times = [(e["time"], e["name"]) for e in events if e["kind"] == "phase"]
    for (at, name), (after, _next) in zip(times, [*times[1:], (events[-1]["time"], "")], strict=True):
        print(f"    {name:<12}{after - at:6.1f} s")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", default="vit-b-32", help="vit-b-32, starter, or a Hugging Face folder")
    parser.add_argument("--phases", action="store_true")
    parser.add_argument("--without-rival", action="store_true")
    arguments = parser.parse_args()
    rounds: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as scratch:
        model, folder = prepared(arguments.model, Path(scratch)), Path(scratch) / "drawings"
        make_images(folder, arguments.images)
        for number in range(arguments.rounds):
            home = Path(scratch) / f"home{number}"
            found = {name: command(model, folder, home, arguments.phases) for name in ASKED}
            if not arguments.without_rival:
                found["trainer"] = sum(measured("trainer", model, folder, "attention", EPOCHS)["wall"])
            print("  ".join(f"{name} {seconds:.1f} s" for name, seconds in found.items()), flush=True)
            rounds.append(found)
    if arguments.without_rival:
        return 0
    held = True
    for name, asked in ASKED.items():
        ratio = statistics.median(each["trainer"] / each[name] for each in rounds)
        held &= ratio >= asked
        print(
            f"{'holds ' if ratio >= asked else 'MISSED'} {name}: {ratio:.2f} × the Trainer's training (at least {asked:g})"
        )
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
