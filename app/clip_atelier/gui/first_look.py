"""A small part of the sample collection, for whoever is shown around: soon done, and with something left to learn.

Which part, and what a training gains on it, is measured in `docs/decisions/0025-a-first-look.md`.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path

from clip_atelier.engine.core import paths, write_whole

DRAWINGS = 300
_TABLE = "metadata.csv"
_SKETCHES = "sketches/"
_KEPT = ("file_name", "text", "label")
"""Of the table's columns: its pairs lack their artworks here, and every sketch is asked about once, whatever its part."""


def folder_of(home: Path) -> Path:
    """Where it lies, once it is made."""
    return home / "first-sketches"


def first_look(home: Path) -> Path:
    """Puts every so-manieth sketch of the sample into a folder of the home, with its words; what is there stays.

    Raises:
        WorkError: A file could not be written.
    """
    sample, folder = paths.sample_collection(), folder_of(home)
    with (sample / _TABLE).open(encoding="utf-8", newline="") as file:
        sketches = [row for row in csv.DictReader(file) if row["file_name"].startswith(_SKETCHES)]
    kept = sketches[:: max(1, len(sketches) // DRAWINGS)][:DRAWINGS]
    folder.mkdir(parents=True, exist_ok=True)
    for row in kept:
        source = sample / row["file_name"]
        row["file_name"] = (
            source.name
        )  # no folder of the sample's in front of it: what is shown of a name is its beginning
        if not (folder / source.name).is_file():
            write_whole(folder / source.name, source.read_bytes())
    table = io.StringIO()
    writer = csv.DictWriter(table, _KEPT, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(kept)
    write_whole(folder / _TABLE, table.getvalue().encode())
    return folder
