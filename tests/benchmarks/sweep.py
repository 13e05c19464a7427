"""What a sweep of the learning rate is worth: against the rate that a preset has, at the same number of steps in all.

    python tests/benchmarks/sweep.py COLLECTION [COLLECTION ...] [--preset projection] [--trials 6] [--splits 3] [--home FOLDER]

For each collection and each of several splits it trains three ways: the preset as it is, the preset with as many steps as the
whole sweep takes, and the sweep. The table has mAP on the test part, which none of them chose anything by, and the seconds
that each took, reading and measuring included.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import numpy as np

from clip_atelier.engine import settings, training
from clip_atelier.engine.core import Control, drive
from clip_atelier.engine.experiments import Sweep, sweep
from clip_atelier.engine.models import Models
from clip_atelier.engine.runs import Runs, TrainResult

WAYS = ("as it is", "more steps", "sweep")


def main() -> int:
    """Measures and prints the table."""
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("collections", type=Path, nargs="+")
    arguments.add_argument("--preset", default="projection")
    arguments.add_argument("--trials", type=int, default=6)
    arguments.add_argument("--splits", type=int, default=3)
    arguments.add_argument("--threads", type=int, default=0, help="hardware.threads; 1 on a busy machine")
    arguments.add_argument("--home", type=Path)
    args = arguments.parse_args()
    home = args.home or Path(tempfile.mkdtemp(prefix="sweep-"))
    models = Models(home)
    print("| collection | split | question | base mAP | " + " | ".join(WAYS) + " | rate chosen | seconds |")
    print("|---|---|---|---|---|---|---|---|---|", flush=True)
    gains: dict[str, list[float]] = defaultdict(list)
    for folder in args.collections:
        for seed in range(args.splits):
            values = {"data.split_seed": seed, "evaluation.folds": 0, "evaluation.parts": False}
            values |= {"hardware.threads": args.threads}
            found, seconds, rate = measured(folder, values, args.preset, args.trials, home, models)
            for name in [name for name in found["sweep"].base if name.endswith("/mAP")]:
                base = found["sweep"].base[name] or 0.0
                cells = []
                for way in WAYS:
                    gain = (found[way].adapted[name] or 0.0) - base
                    gains[way].append(gain)
                    cells.append(f"{gain:+.3f}")
                question, took = name.partition("/")[0], " / ".join(f"{seconds[way]:.0f}" for way in WAYS)
                print(f"| {folder.name} | {seed} | {question} | {base:.3f} | {' | '.join(cells)} | {rate:.2g} | {took} |", flush=True)  # fmt: skip
    print("\n" + ", ".join(f"{way}: {np.mean(gains[way]):+.4f}" for way in WAYS))
    return 0


def measured(
    folder: Path, values: dict[str, object], preset: str, trials: int, home: Path, models: Models
) -> tuple[dict[str, TrainResult], dict[str, float], float]:
    """The three ways on one split: what each gave, the seconds it took, and the rate that the sweep chose."""
    found, seconds = {}, {}
    steps = settings.build(values, preset).train.steps
    for way, more in (("as it is", {}), ("more steps", {"train.steps": steps * trials})):
        began = time.monotonic()
        plan = training.Plan(folder, settings.build({**values, **more}, preset), home, way)
        found[way] = drive(training.train(plan, models, Control()))
        seconds[way] = time.monotonic() - began
    began = time.monotonic()
    result = drive(sweep(Sweep(folder, values, preset, trials), home, models, Control()))
    seconds["sweep"] = time.monotonic() - began
    best = Runs(home).open(result.run)
    assert best.result is not None
    found["sweep"] = best.result
    return found, seconds, best.settings.train.learning_rate


if __name__ == "__main__":
    raise SystemExit(main())
