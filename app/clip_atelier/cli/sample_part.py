"""A part of the sample collection: enough for a few steps and a comparison, for checks of the installation."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path
from typing import Final

from clip_atelier.engine.core import paths

PAIRS: Final = {"train": 16, "validation": 8, "test": 8}


def part_of_sample(target: Path) -> int:
    """Copies some pairs of the sample collection with their captions; returns how many pictures."""
    sample = paths.sample_collection()
    with (sample / "metadata.csv").open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        header, rows = list(reader.fieldnames or ()), list(reader)
    left = dict(PAIRS)
    wanted: set[str] = set()
    for row in rows:
        if left.get(row["split"], 0) and row["pair"] not in wanted:
            left[row["split"]] -= 1
            wanted.add(row["pair"])
    chosen = [row for row in rows if row["pair"] in wanted]
    for row in chosen:
        (target / row["file_name"]).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(sample / row["file_name"], target / row["file_name"])
    with (target / "metadata.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, header)
        writer.writeheader()
        writer.writerows(chosen)
    return len(chosen)
