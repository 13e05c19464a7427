"""A small part of the sample collection, for whoever is shown around: large enough for a real comparison, soon done."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from clip_atelier.engine.core import paths, write_whole

PAIRS = 150
_TABLE = "metadata.csv"


def folder_of(home: Path) -> Path:
    """Where it lies, once it is made."""
    return home / "first-look"


def first_look(home: Path) -> Path:
    """Puts every so-manieth pair of the sample into a folder of the home, with its words; what is there stays.

    Raises:
        WorkError: A file could not be written.
    """
    sample, folder = paths.sample_collection(), folder_of(home)
    with (sample / _TABLE).open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        names, rows = list(reader.fieldnames or ()), list(reader)
    pairs = list(dict.fromkeys(row["pair"] for row in rows))
    chosen = set(pairs[:: max(1, len(pairs) // PAIRS)][:PAIRS])
    kept = [row for row in rows if row["pair"] in chosen]
    for row in kept:
        target = folder / row["file_name"]
        if not target.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            write_whole(target, (sample / row["file_name"]).read_bytes())
    table = io.StringIO()
    writer = csv.DictWriter(table, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(kept)
    write_whole(folder / _TABLE, table.getvalue().encode())
    return folder
