"""metadata.csv and metadata.jsonl, as in Hugging Face's image folder, read from bytes of any usual encoding.

A table lies in the collection's folder or in a sub-folder; its `file_name` column is relative to itself. Other columns,
all optional: `text` (one caption, several lines, or a JSON list), `label`, `pair`, `role`, `split`. A row is read whole or
named by its line.
"""

from __future__ import annotations

import contextlib
import json
import posixpath
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from clip_atelier.engine.core import N_, _, shown
from clip_atelier.engine.data import image_gate, table_text
from clip_atelier.engine.data.caption_text import CaptionReader, clean
from clip_atelier.engine.data.further_folders import places_of
from clip_atelier.engine.data.names import Lookup
from clip_atelier.engine.data.records import Problem, SplitName
from clip_atelier.engine.data.table_text import Cell, CsvTable, JsonLines, Row, Table
from clip_atelier.engine.data.text_encoding import SURROGATE, Encoding, UnreadableText, decoded

NAMES: Final = ("metadata.csv", "metadata.jsonl")
MAX_BYTES: Final = 256 * 1024 * 1024
COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "file_name": ("file_name", "filename", "file", "image", "path"),
    "text": ("text", "caption", "captions", "prompt"),
    "label": ("label", "class", "category"),
    "pair": ("pair", "pair_id"),
    "role": ("role",),
    "split": ("split",),
}
"""Columns and the other names they go by; the first name is the one we write."""
_SPLITS: Final[Mapping[str, SplitName]] = {
    "train": "train", "training": "train", "validation": "validation", "valid": "validation", "val": "validation",
    "dev": "validation", "test": "test", "unused": "unused",
}  # fmt: skip
_ODD_LETTERS: Final = N_(
    "Lines with letters that cannot be read: {lines}. They are not used; save the table as UTF-8."
)
_NO_TEXT: Final = N_("Lines whose text is neither a text nor a list of texts: {lines}. They are not used.")
_NAMELESS: Final = N_("Lines that name no file in a column “file_name”: {lines}.")


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


def parsed(content: bytes, name: str) -> tuple[Table, Encoding]:
    """A table, and how it is encoded.

    Raises:
        UnreadableText: it is no text.
    """
    text, encoding = decoded(content)
    return parsed_text(text, name), encoding


def parsed_text(text: str, name: str) -> Table:
    """A table of its text."""
    return JsonLines(text) if name.lower().endswith(".jsonl") else CsvTable(text, frozenset(COLUMNS["text"]))


def told_faults(faults: Mapping[str, list[int]]) -> Iterator[str]:
    """The faults of a table as sentences."""
    for reason, lines in faults.items():
        yield _(reason).format(lines=table_text.listed(lines))


def columns(names: Iterable[str]) -> dict[str, str]:
    """Which of a table's names, as written, stand for which of our columns."""
    written: dict[str, str] = {}
    for name in names:
        written.setdefault(name.strip().lower(), name)
    return {
        column: written[alias]
        for column, aliases in COLUMNS.items()
        for alias in reversed(aliases)
        if alias in written
    }


def cells_of(row: Row) -> dict[str, list[Cell]]:
    """The cells of a row by our columns; more than one where the table has a column twice."""
    written: dict[str, list[Cell]] = defaultdict(list)
    for name, cells in table_text.pairs(row):
        written[name] += cells
    return {
        column: written[alias]
        for column, aliases in COLUMNS.items()
        for alias in reversed(aliases)
        if alias in written
    }


def name_in(cells: Mapping[str, list[Cell]]) -> str:
    """The image that a row names, with forward slashes; "" if none."""
    return _text(cells, "file_name").strip().replace("\\", "/")


def read_tables(
    root: Path, side_files: set[str], paths: Lookup, problems: list[Problem], reader: CaptionReader
) -> dict[str, CaptionRow]:
    """Every table of a collection. Where tables disagree, the one nearer the root wins.

    A further folder's tables speak of its own drawings alone, and come before those of the collection's own folder: captions
    of its drawings are saved there.

    Args:
        root: The collection's folder.
        side_files: All files that may be tables, relative to it.
        paths: The images.
        problems: Gets rows that name no image, and tables that cannot be read.
        reader: Takes captions out of cells.
    """
    entries: dict[str, CaptionRow] = {}
    tables = sorted(path for path in side_files if posixpath.basename(path) in NAMES)
    places = places_of(root)
    tables.sort(key=lambda path: (not places.name_of(path), path.count("/")))
    folders: set[str] = set()
    for table in tables:
        folder = posixpath.dirname(table)
        if folder in folders:
            continue  # metadata.csv comes before metadata.jsonl: edits are saved there
        folders.add(folder)
        for path, entry in read_table(Path(places.file(table)), table, paths, problems, reader).items():
            if (own := places.name_of(table)) and places.name_of(path) != own:
                continue
            entries[path] = merged(entries[path], entry) if path in entries else entry
    return entries


def read_table(
    file: Path, name: str, paths: Lookup, problems: list[Problem], reader: CaptionReader
) -> dict[str, CaptionRow]:
    """What one table says about the images; `name` is its path in the collection, which its rows are relative to."""
    return _Reading(name, paths, problems, reader).entries(file)


class _Reading:
    """One table on its way to entries."""

    def __init__(self, name: str, paths: Lookup, problems: list[Problem], reader: CaptionReader) -> None:
        self.name = name
        self.paths = paths
        self.problems = problems
        self.reader = reader
        self.encoding = Encoding("utf-8")
        self.found: dict[str, CaptionRow] = {}

    def entries(self, file: Path) -> dict[str, CaptionRow]:
        try:
            table, self.encoding = parsed(content_of(file, MAX_BYTES), self.name)
        except image_gate.ImageProblem as problem:
            self._problem(problem.reason)
            return {}
        except UnreadableText as problem:
            self._problem(str(problem))
            return {}
        if isinstance(table, CsvTable) and "file_name" not in columns(table.names):
            self._problem(_("The table has no column “file_name”."))
            return {}
        unknown = [name for name in table.names if name.strip()]
        if table.rows and len(unknown) > 1 and set(columns(unknown)) == {"file_name"}:
            reason = _(
                "No column of the table holds captions that are understood (it has {names}). Name it “text”."
            )
            self._problem(reason.format(names=", ".join(map(shown, unknown[:8]))))
        if self.encoding.guessed:
            reason = _(
                "Read as Western European text (Windows-1252). If letters look wrong, save it as UTF-8."
            )
            self._problem(reason)
        faults = {reason: list(lines) for reason, lines in table.faults.items()}
        for row in table.rows:
            fault = self._take(row)
            if fault:
                faults.setdefault(fault, []).append(row.line)
        for reason in told_faults(faults):
            self._problem(reason)
        return self.found

    def _problem(self, reason: str) -> None:
        self.problems.append(Problem(self.name, reason))

    def _take(self, row: Row) -> str:
        """Adds what a row says; a reason, to be told with its line, if it says nothing that can be used."""
        cells = cells_of(row)
        name = name_in(cells)
        if not name:
            return _NAMELESS
        for column, found in cells.items():
            if column != "text" and len({_plain(cell) for cell in found} - {""}) > 1:
                return table_text.TWICE
            if column != "file_name" and any(_has_odd(cell.value) for cell in found):
                return _ODD_LETTERS
        if not all(_is_text(cell.value) for cell in cells.get("text", ())):
            return _NO_TEXT
        path = self._path(row.line, name)
        if path:
            entry = self.found.setdefault(path, CaptionRow())
            for cell in cells.get("text", ()):
                told = self.reader.captions(cell.value)
                entry.captions += [caption for caption in told if caption not in entry.captions]
            entry.label = entry.label or clean(_text(cells, "label"))
            entry.pair = entry.pair or clean(_text(cells, "pair"))
            entry.role = entry.role or clean(_text(cells, "role"))
            entry.split = entry.split or split_name(_text(cells, "split"))
        return ""

    def _path(self, line: int, name: str) -> str:
        """The image that is meant, "" if there is none."""
        folder = posixpath.dirname(self.name)
        wanted = posixpath.normpath(posixpath.join(folder, name))
        matches = self.paths.find(wanted)
        if not matches:  # a name of bytes that are no letters
            other = posixpath.normpath(posixpath.join(folder, self.encoding.as_file_name(name)))
            matches = self.paths.find(other)
        if not matches:
            reason = _("Named on line {line} of {table}, but there is no such image.").format(
                line=line, table=shown(self.name)
            )
            self.problems.append(Problem(wanted, reason))
            return ""
        if len(matches) > 1:
            reason = _(
                "More than one file is spelled like this; the caption goes to the first. Rename the others."
            )
            self.problems.append(Problem(wanted, reason))
        return matches[0]


def _plain(cell: Cell) -> str:
    return "" if cell.value is None else str(cell.value)  # a class may be called 0


def _text(cells: Mapping[str, list[Cell]], column: str) -> str:
    return next(filter(None, map(_plain, cells.get(column, ()))), "")


def _is_text(value: Any) -> bool:
    simple = (str, int, float, type(None))
    return isinstance(value, simple) or (
        isinstance(value, list) and all(isinstance(one, simple) for one in value)
    )


def _has_odd(value: Any) -> bool:
    """Whether a text, or one of a list, holds half a letter; a CSV's list may hold it as an escape."""
    if isinstance(value, str) and value.lstrip().startswith("[") and "\\u" in value:
        with contextlib.suppress(ValueError, RecursionError):
            value = json.loads(value)
    texts = value if isinstance(value, list) else (value,)
    return any(SURROGATE.search(text) for text in texts if isinstance(text, str))


def merged(first: CaptionRow, second: CaptionRow) -> CaptionRow:
    """What two tables say about one image; the first comes before the second."""
    return CaptionRow(
        first.captions or second.captions,
        first.label or second.label,
        first.pair or second.pair,
        first.role or second.role,
        first.split or second.split,
    )
