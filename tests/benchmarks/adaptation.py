"""What each way to adapt does for each question, on every collection of a folder: how the defaults were chosen.

    python tests/benchmarks/adaptation.py FOLDER_OF_COLLECTIONS [--presets auto,attention,projection] [--only PART_OF_NAME]
        [--keep FOLDER] [--home FOLDER] [--minutes BUDGET]

Each collection is measured with `crossval` under each preset; what is finished is kept, so that it can be stopped and gone
on with. The table has a line for each cell (collection x question): its queries, the base's mAP, the gain of each preset in mAP
(`*` measurable at 95 %, `!` a measurable loss), and that of the trivial ways. A cell has headroom where the base is below
0.9 and at least 30 queries are asked.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import numpy as np

from clip_atelier.engine.core import Control, drive, read_document, write_document
from clip_atelier.engine.models import Models
from clip_atelier.engine.runs import CrossValidation
from clip_atelier.engine.settings import build
from clip_atelier.engine.training import crossval

TODAY = "defaults"
"""The settings' plain defaults, by folds: LoRA as it is without a preset."""


def main() -> int:
    """Measures what is missing and prints the table."""
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--presets", default="auto,attention,projection")
    arguments.add_argument("--only", default="")
    arguments.add_argument("--keep", type=Path)
    arguments.add_argument("--home", type=Path)
    arguments.add_argument(
        "--minutes", type=float, help="budget of each crossval; the program's own where it is left out"
    )
    args = arguments.parse_args()
    home = args.home or Path(tempfile.mkdtemp(prefix="adaptation-"))
    kept = args.keep or home / "adaptation"
    collections = sorted(p for p in args.folder.iterdir() if p.is_dir() and args.only in p.name)
    presets = args.presets.split(",")
    models = Models(home)
    found: dict[tuple[str, str], CrossValidation] = {}
    for preset in presets:
        for collection in collections:
            found[collection.name, preset] = measured(collection, preset, args.minutes, kept, home, models)
    print("\n".join(table(found, [c.name for c in collections], presets)))
    return 0


def measured(
    collection: Path, preset: str, minutes: float | None, kept: Path, home: Path, models: Models
) -> CrossValidation:
    """One collection under one preset, from disk where it was measured before."""
    path = kept / preset / f"{collection.name}.json"
    if path.is_file():
        return read_document(path, CrossValidation)
    changes: dict[str, object] = {"evaluation.folds": 5}
    if minutes is not None:
        changes["evaluation.minutes"] = minutes
    settings = build(changes, None if preset == TODAY else preset)
    began = time.monotonic()
    result = drive(crossval(collection, settings, home, models, Control()))
    print(f"{collection.name} {preset}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    write_document(path, result)
    return result


def table(found: dict[tuple[str, str], CrossValidation], names: list[str], presets: list[str]) -> list[str]:
    """The lines of the table, in Markdown."""
    ways = ("class_prototype", "nearest_drawings")
    lines = [
        f"| collection | question | queries | base mAP | {' | '.join(presets)} | {' | '.join(ways)} |",
        "|---|---|---|---|" + "---|" * (len(presets) + len(ways)),
    ]
    headroom: dict[str, list[str]] = defaultdict(list)
    means: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    losses: dict[str, int] = defaultdict(int)
    for name in names:
        first = found[name, presets[0]]
        for question, base in first.questions.items():
            before = base.base["mAP"] or 0.0
            cells = []
            for preset in presets:
                gain = found[name, preset].questions[question].difference["mAP"]
                value, low, high = (
                    float(x) if x is not None else 0.0 for x in (gain.value, gain.low, gain.high)
                )
                mark = "*" if low > 0 else "!" if high < 0 and value < -0.01 else ""
                cells.append(f"{value:+.3f}{mark}")
                means[name.split("-")[0], question, preset].append(value)
                losses[preset] += mark == "!"
                if before < 0.9 and base.queries >= 30:
                    headroom[preset].append(mark)
            plain = {t.name: (t.value or 0.0) - before for t in first.trivial if t.question == question}
            cells += [f"{plain[way]:+.3f}" if way in plain else "" for way in ways]
            lines.append(f"| {name} | {question} | {base.queries} | {before:.3f} | {' | '.join(cells)} |")
    lines.append("")
    for preset in presets:
        marks = headroom[preset]
        share = marks.count("*") / max(1, len(marks))
        seconds = np.median([found[name, preset].seconds for name in names])
        lines.append(
            f"{preset}: {marks.count('*')} of {len(marks)} cells with headroom gain ({share:.0%}), {losses[preset]} lose; "
            f"median {seconds:.0f} s a collection"
        )
        for kind in sorted({key[0] for key in means}):
            told = [
                f"{question} {np.mean(values):+.3f}"
                for (k, question, p), values in means.items()
                if k == kind and p == preset
            ]
            lines.append(f"  {kind}: {', '.join(told)}")
    return lines


if __name__ == "__main__":
    raise SystemExit(main())
