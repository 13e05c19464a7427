"""metadata.csv and metadata.jsonl, as in Hugging Face's image folder, read from bytes of any usual encoding.

A table lies in the collection's folder or in a sub-folder; its `file_name` column is relative to itself. Other columns,
all optional: `text` (one caption, several lines, or a JSON list), `label`, `pair`, `role`, `split`.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import posixpath
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from clip_atelier.engine.core import _
from clip_atelier.engine.data import image_gate
from clip_atelier.engine.data.names import Lookup, nfc
from clip_atelier.engine.data.records import Problem, SplitName

NAMES: Final = ("metadata.csv", "metadata.jsonl")
MAX_BYTES: Final = 256 * 1024 * 1024
COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "file_name": ("file_name", "filename", "file", "image", "path"),
    "text": ("text", "caption", "captions"),
    "label": ("label", "class", "category"),
    "pair": ("pair", "pair_id"),
    "role": ("role",),
    "split": ("split",),
}
"""Columns and the other names they go by; the first name is the one we write."""
_SPLITS: Final[Mapping[str, SplitName]] = {
    "train": "train", "training": "train", "validation": "validation", "valid": "validation", "val": "validation",
    "dev": "validation", "test": "test",
}  # fmt: skip
_BEYOND: Final = "\0"  # no column can be called this: such characters are taken out


@dataclass
class CaptionRow:
    """What the tables say about one image."""

    captions: list[str] = field(default_factory=list)
    label: str = ""
    pair: str = ""
    role: str = ""  # as written; `pairs` knows what it means
    split: SplitName = ""


def split_name(text: str) -> SplitName:
    """The part of a split that a word means, "" if none."""
    return _SPLITS.get(text.strip().lower(), "")


def clean(text: str) -> str:
    """A caption in composed Unicode form on one line, without control characters."""
    kept = "".join(c if unicodedata.category(c) not in ("Cc", "Cs") else " " for c in nfc(text))
    return " ".join(kept.split())


def captions_of(cell: object) -> list[str]:
    """The captions in a `text` cell: a list, a JSON list, or one a line."""
    if isinstance(cell, str) and cell.lstrip().startswith("["):
        with contextlib.suppress(ValueError):  # a caption may happen to begin with a bracket
            cell = json.loads(cell)
    lines = cell if isinstance(cell, list) else str(cell or "").splitlines()
    return list(dict.fromkeys(filter(None, (clean(str(line)) for line in lines if line is not None))))


def decoded(content: bytes) -> str:
    """Text of bytes in UTF-8 (with or without mark), UTF-16 with mark, or Korean cp949."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", "replace")
    for encoding in ("utf-8-sig", "cp949"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    return content.decode("utf-8-sig", "surrogateescape")  # file names may hold any byte


def content_of(path: Path, limit: int) -> bytes:
    """The bytes of a regular file.

    Raises:
        ImageProblem: it cannot be read, or is longer than `limit`.
    """
    with image_gate.open_regular(path) as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise image_gate.ImageProblem(path, _("The file is too large to be text."))
    return content


def rows(path: Path, problems: list[Problem], name: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """The rows of a table with their line numbers; keys are as written in the file.

    Args:
        path: A .csv or .jsonl file.
        problems: Gets what cannot be read.
        name: What the table is called in problems.
    """
    try:
        text = decoded(content_of(path, MAX_BYTES))
    except image_gate.ImageProblem as problem:
        problems.append(Problem(name, problem.reason))
        return
    if path.suffix.lower() == ".csv":
        yield from _csv_rows(text, problems, name)
        return
    bad: list[int] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if isinstance(row, dict):
            yield number, row
        else:
            bad.append(number)
    if bad:
        problems.append(
            Problem(name, _("Lines that are not JSON objects: {lines}.").format(lines=_listed(bad)))
        )


def _listed(numbers: list[int]) -> str:
    """The first few; a file of another kind would fill the screen with line numbers."""
    return ", ".join(map(str, numbers[:5])) + (" …" if len(numbers) > 5 else "")


def _csv_rows(text: str, problems: list[Problem], name: str) -> Iterator[tuple[int, dict[str, Any]]]:
    text = text.replace("\0", "")
    first = text.split("\n", 1)[0]
    # Spreadsheets in some languages separate by semicolon or tab.
    separator = max((",", ";", "\t"), key=first.count)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator, restkey=_BEYOND)
    try:
        header = reader.fieldnames or [""]
        names, last = columns(dict.fromkeys(header)), header[-1]
        if "file_name" not in names:
            problems.append(Problem(name, _("The table has no column “file_name”.")))
            return
        longer: list[int] = []
        for row in reader:
            rest = row.pop(_BEYOND, None)
            if rest and last == names.get("text"):
                # A caption with commas, written without quotes.
                row[last] = separator.join([row[last], *rest])
            elif rest:
                longer.append(reader.line_num)
            yield reader.line_num, row
        if longer:
            reason = _("Lines with more cells than the header: {lines}. Put text with commas in quotes.")
            problems.append(Problem(name, reason.format(lines=_listed(longer))))
    except csv.Error as error:
        reason = _("The table is damaged near line {line} ({error}).").format(
            line=reader.line_num, error=error
        )
        problems.append(Problem(name, reason))


def columns(row: Mapping[str, Any]) -> dict[str, str]:
    """Which of the row's keys hold which of our columns."""
    written = {key.strip().lower(): key for key in row}
    return {
        column: written[alias]
        for column, aliases in COLUMNS.items()
        for alias in reversed(aliases)
        if alias in written
    }


def read_tables(
    root: Path, side_files: set[str], paths: Lookup, problems: list[Problem]
) -> dict[str, CaptionRow]:
    """Every table of a folder. Where tables disagree, the one nearer the root wins.

    Args:
        root: The collection's folder.
        side_files: All files that may be tables, relative to it.
        paths: The images.
        problems: Gets rows that name no image, and tables that cannot be read.
    """
    entries: dict[str, CaptionRow] = {}
    tables = sorted(path for path in side_files if posixpath.basename(path) in NAMES)
    tables.sort(key=lambda path: path.count("/"))
    folders: set[str] = set()
    for table in tables:
        folder = posixpath.dirname(table)
        if folder in folders:
            continue  # metadata.csv comes before metadata.jsonl: edits are saved there
        folders.add(folder)
        fresh: dict[str, CaptionRow] = {}
        nameless: list[int] = []
        for line, row in rows(root / table, problems, table):
            if not _take(row, line, table, paths, fresh, problems):
                nameless.append(line)
        if nameless:
            reason = _("Lines that name no file in a column “file_name”: {lines}.")
            problems.append(Problem(table, reason.format(lines=_listed(nameless))))
        for path, entry in fresh.items():
            entries[path] = _merged(entries[path], entry) if path in entries else entry
    return entries


def _take(
    row: Mapping[str, Any],
    line: int,
    table: str,
    paths: Lookup,
    entries: dict[str, CaptionRow],
    problems: list[Problem],
) -> bool:
    """Adds what a row says to `entries`; False if it names no file at all."""
    found = columns(row)
    name = _text(row, found, "file_name").strip()
    if not name:
        return False
    wanted = posixpath.normpath(posixpath.join(posixpath.dirname(table), name.replace("\\", "/")))
    matches = paths.find(wanted)
    if not matches:
        reason = _("Named on line {line} of {table}, but there is no such image.").format(
            line=line, table=table
        )
        problems.append(Problem(wanted, reason))
        return True
    if len(matches) > 1:
        reason = _(
            "More than one file is spelled like this; the caption goes to the first. Rename the others."
        )
        problems.append(Problem(wanted, reason))
    entry = entries.setdefault(matches[0], CaptionRow())
    entry.captions += [
        c for c in captions_of(row[found["text"]] if "text" in found else None) if c not in entry.captions
    ]
    entry.label = entry.label or clean(_text(row, found, "label"))
    entry.pair = entry.pair or clean(_text(row, found, "pair"))
    entry.role = entry.role or clean(_text(row, found, "role"))
    entry.split = entry.split or split_name(_text(row, found, "split"))
    return True


def _text(row: Mapping[str, Any], found: Mapping[str, str], column: str) -> str:
    value = row[found[column]] if column in found else None
    return "" if value is None else str(value)  # a class may be called 0


def _merged(first: CaptionRow, second: CaptionRow) -> CaptionRow:
    return CaptionRow(
        first.captions or second.captions,
        first.label or second.label,
        first.pair or second.pair,
        first.role or second.role,
        first.split or second.split,
    )
