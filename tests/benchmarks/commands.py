"""How long commands take from the start of their process, beside a version of before, in turn and in one run.

    python tests/benchmarks/commands.py [--before CHECKOUT/app] [--rounds 3] [--folder FOLDER]

Each version first makes a home of its own, with an index of the folder (the sample where none is given) and a run on a part
of the sample whose update is of both sides, and answers once unmeasured, so that what it keeps is there. Printed are the
medians of seconds on the clock, of the processor's own seconds, which hardly depend on what else the machine does, and of
the time until the first line on stderr, which tells the first phase. The imports are processes of their own. Each answer is
printed as it comes, so that a run that is ended early has told what it found.

With --part the folder is that part of the sample instead of all of it: the commands' own start is the same, in a quarter of the time.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from clip_atelier.selftest import part_of_sample

NOW = Path(__file__).resolve().parents[2] / "app"
SAMPLE = NOW.parent / "resources" / "samples" / "emoji"
WORDS = "cherry blossom"
QUERIES = 101
SHORT = (
    "--preset", "attention", "--evaluation.folds", "0", "--train.steps", "2", "--train.checks", "1", "--train.warmup", "0",
    "--train.preservation", "0", "--train.choose_strength", "false", "--hardware.device", "cpu",
)  # fmt: skip
IMPORTS = {
    "import torch": "import torch",
    "import transformers' CLIP": "from transformers import CLIPModel",
    "import PEFT": "import peft",
}


@dataclass(frozen=True)
class Took:
    """Seconds of one process: on the clock, of the processor, and until the first line on stderr."""

    wall: float
    processor: float
    begins: float


def run(app: Path, *arguments: str) -> Took:
    """Runs a Python process of a version; raises where it fails."""
    environment = os.environ | {"PYTHONPATH": str(app), "QT_QPA_PLATFORM": "offscreen"}
    before, began, first = os.times(), time.perf_counter(), 0.0
    process = subprocess.Popen(
        [sys.executable, *arguments], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    told = b""
    while line := process.stderr.readline():
        first = first or time.perf_counter() - began
        told = line
    if process.wait():
        raise SystemExit(f"{' '.join(arguments)} failed: {told.decode()}")
    after = os.times()
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    took = Took(time.perf_counter() - began, spent, first)
    words = " ".join(word for word in arguments if not word.startswith(("/", "-m", "clip_atelier")))[:60]
    print(f"  {took.wall:8.2f} s {took.processor:8.2f} s of the processor  {words}", flush=True)
    return took


def prepared(app: Path, folder: Path, part: Path, home: Path) -> str:
    """Indexes the folder, trains a short run on a part of the sample and gives the run's id."""
    program = ("-m", "clip_atelier")
    run(app, *program, "index", str(folder), "--home", str(home))
    run(app, *program, "train", str(part), *SHORT, "--home", str(home))
    (made,) = (home / "runs").iterdir()
    run(app, *program, "index", str(folder), "--run", made.name, "--strength", "1", "--home", str(home))
    return made.name


def commands(
    folder: Path, part: Path, home: Path, made: str, batch: Path | None
) -> dict[str, tuple[str, ...]]:
    """Name -> arguments of the commands that are measured."""
    adapted = ("--run", made, "--strength", "1")
    search = ("-m", "clip_atelier", "search", str(folder), "--home", str(home), "--json")
    found = {
        "search": (*search, "--text", WORDS),
        "search --run": (*search, "--text", WORDS, *adapted),
        "doctor": ("-m", "clip_atelier", "doctor", "--home", str(home)),
        "train, 64 drawings, 2 steps": (
            "-m",
            "clip_atelier",
            "train",
            str(part),
            *SHORT,
            "--home",
            str(home),
        ),
    }
    if batch is not None:
        found[f"search --batch, {QUERIES} lines"] = (*search, "--batch", str(batch))
        found[f"search --run --batch, {QUERIES} lines"] = (*search, "--batch", str(batch), *adapted)
    return found


def shown(rounds: list[Took]) -> str:
    if not rounds:
        return f"{'–':>24}"
    wall, processor, begins = (
        statistics.median(getattr(took, name) for took in rounds) for name in ("wall", "processor", "begins")
    )
    return f"{wall:8.2f}{processor:8.2f}" + (f"{begins:8.2f}" if begins else f"{'':8}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--before", type=Path, help="the app folder of a checkout of an earlier version")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=SAMPLE)
    parser.add_argument("--part", action="store_true", help="a part of the sample is the folder")
    options = parser.parse_args()
    took: dict[tuple[str, str], list[Took]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        part, batch = Path(scratch) / "part", Path(scratch) / "asked.txt"
        part_of_sample(part)
        batch.write_text("\n".join(f"{WORDS} number {n}" for n in range(QUERIES)), encoding="utf-8")
        folder = part if options.part else options.folder
        versions = {"now": NOW} | ({"before": options.before} if options.before else {})
        made = {name: prepared(app, folder, part, Path(scratch) / name) for name, app in versions.items()}
        for round_ in range(options.rounds + 1):
            for name, app in versions.items():
                lines = batch if name == "now" else None
                asked = commands(folder, part, Path(scratch) / name, made[name], lines)
                for command, arguments in asked.items():
                    found = run(app, *arguments)
                    if round_:  # the first answers are not measured
                        took.setdefault((command, name), []).append(found)
            for title, code in IMPORTS.items():
                took.setdefault((title, "now"), []).append(run(NOW, "-c", code))
    columns = "".join(f"{word:>8}" for word in ("clock", "cpu", "begins"))
    print(f"{'seconds, medians of ' + str(options.rounds):36}{'before':>24}{'now':>24}")
    print(f"{'':36}{columns}{columns}")
    for command in dict.fromkeys(name for name, _version in took):
        print(
            f"{command:36}{shown(took.get((command, 'before'), []))}{shown(took.get((command, 'now'), []))}"
        )
    for kind in ("search", "search --run"):
        many, one = took[f"{kind} --batch, {QUERIES} lines", "now"], took[kind, "now"]
        further = statistics.median(t.processor for t in many) - statistics.median(t.processor for t in one)
        print(
            f"{kind} --batch: {1000 * further / (QUERIES - 1):.1f} ms of the processor for each further line"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
