"""Edited captions go back into the folder's table: only their cells change, in the file's own hand."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from clip_atelier.engine.core import _
from clip_atelier.engine.data import caption_tables, table_text
from clip_atelier.engine.data.caption_backups import (
    Backup,
    CaptionBackups,
    cannot_change,
    read_back,
    write_table,
)
from clip_atelier.engine.data.caption_tables import NAMES
from clip_atelier.engine.data.caption_text import clean
from clip_atelier.engine.data.names import Lookup, nfc
from clip_atelier.engine.data.table_text import Cell, CsvTable, Edit, Row, Table
from clip_atelier.engine.data.text_encoding import NEW, Encoding, UnreadableText

_FRESH: Final = "file_name,text\r\n"


@dataclass(frozen=True)
class SavedCaptions:
    """What saving did.

    Attributes:
        file: The table.
        backup: The table as it was.
        recoded: Whether it had to become UTF-8, since its own encoding lacks a letter.
    """

    file: Path
    backup: Backup
    recoded: bool = False


@dataclass(frozen=True)
class ColumnEdit:
    """What of a drawing changes beside its captions.

    Attributes:
        values: Column ("label", "pair", "role" or "split") -> its new text.
        captions: What the drawing's captions are now. They are written beside a label where the table has none for it:
            a label alone would become its caption.
    """

    values: Mapping[str, str]
    captions: Sequence[str] = ()


def save_captions(
    root: Path,
    edits: Mapping[str, Sequence[str]],
    home: Path,
    columns: Mapping[str, ColumnEdit] | None = None,
) -> SavedCaptions:
    """Writes edited captions to metadata.csv (or .jsonl) in the collection's folder, all at once or not at all.

    Other rows and columns, the encoding, separator, quotes and line ends stay as they are. What was there is kept in the
    home, see `caption_backups`.

    Args:
        root: The collection's folder.
        edits: path (relative) -> its captions; an empty list removes them.
        home: Where the backup goes.
        columns: path (relative) -> what changes in other columns; missing columns are added.

    Raises:
        WorkError: the file cannot be read, changed or written, or the backup not made; the old one is there.
    """
    backups = CaptionBackups(home, root)
    with backups.hold():
        file = next((root / name for name in NAMES if (root / name).exists()), root / NAMES[0])
        table, encoding = _open(file)
        told = {path: _cleaned(captions) for path, captions in edits.items()}
        text = _changed(file, table, encoding, told, columns or {})
        recoded = False
        try:
            content = encoding.encode(text)
        except UnicodeEncodeError:
            recoded = True
            content = (NEW if file.suffix == ".csv" else Encoding("utf-8")).encode(text)
        backup = backups.keep(file)
        write_table(file, content)
    return SavedCaptions(file, backup, recoded)


def _open(file: Path) -> tuple[Table, Encoding]:
    content = read_back(file) if file.exists() else b""
    if not content.strip():
        fresh = _FRESH if file.suffix == ".csv" else ""
        return caption_tables.parsed_text(fresh, file.name), NEW if file.suffix == ".csv" else Encoding(
            "utf-8"
        )
    try:
        table, encoding = caption_tables.parsed(content, file.name)
    except UnreadableText as problem:
        raise cannot_change(file, str(problem)) from problem
    if encoding.encode(table.text) != content:
        raise cannot_change(file, _("its letters would not all stay as they are."))
    if isinstance(table, CsvTable) and "file_name" not in caption_tables.columns(table.names):
        raise cannot_change(file, _("The table has no column “file_name”."))
    return table, encoding


def _cleaned(captions: Sequence[str]) -> list[str]:
    return list(filter(None, map(clean, captions)))


def _changed(
    file: Path,
    table: Table,
    encoding: Encoding,
    told: Mapping[str, list[str]],
    columns: Mapping[str, ColumnEdit],
) -> str:
    """The table's text with the captions and other columns in it."""
    names = caption_tables.columns(table.names)
    captions = dict(told)
    for path in _without_words(file, table, encoding, columns):
        captions.setdefault(path, _cleaned(columns[path].captions))
    needed = ["text"] if captions else []
    needed += dict.fromkeys(name for edit in columns.values() for name in edit.values)
    written = {"file_name": names.get("file_name", "file_name")}
    for name in needed:
        written[name] = names.get(name, name)
        if isinstance(table, CsvTable) and name not in names:
            table = table.with_column(written[name])
    left = dict.fromkeys([*captions, *columns])
    meant = _Meant(file.parent, left, encoding)
    edits: list[Edit] = []
    done: set[str] = set()
    for row in table.rows:
        cells = caption_tables.cells_of(row)
        path = meant.by(caption_tables.name_in(cells))
        if not path:
            continue
        left.pop(path, None)
        # Several rows of one image: the first takes the captions, the others keep their further columns.
        values: dict[str, Sequence[str]] = {}
        if path in captions:
            values["text"] = [] if path in done else captions[path]
        if path in columns:
            values |= {name: [value] if value else [] for name, value in columns[path].values.items()}
        edits += _cells_changed(
            table, row, cells, {written[name]: (name, told) for name, told in values.items()}
        )
        done.add(path)
    _must_be_whole(file, table, bool(left))
    added = []
    for path in left:
        fresh: dict[str, object] = {written["file_name"]: path}
        if path in captions:
            fresh[written["text"]] = captions[path]
        if path in columns:
            fresh |= {written[name]: value for name, value in columns[path].values.items()}
        added.append(fresh)
    edits += table.added(added)
    return table_text.apply(table.text, edits)


def _cells_changed(
    table: Table,
    row: Row,
    cells: Mapping[str, list[Cell]],
    values: Mapping[str, tuple[str, Sequence[str]]],
) -> list[Edit]:
    """The edits of one row: column as written -> our name of it, and what its cells are to say.

    A CSV's row may end before a column; such cells are put behind each other in the order of the columns.
    """
    edits: list[Edit] = []
    absent: dict[str, Sequence[str]] = {}
    for column, (name, said) in values.items():
        now = next((clean(str(cell.value)) for cell in cells.get(name, ()) if cell.value), "")
        if name != "text" and (now == "".join(said) or (name == "role" and now)):
            continue  # it says so already, perhaps in words of its own
        if cells.get(name):
            edits += table.changed(row, cells[name], column, said)
        else:
            absent[column] = said
    return edits + table.appended(row, absent)


def _without_words(
    file: Path, table: Table, encoding: Encoding, columns: Mapping[str, ColumnEdit]
) -> list[str]:
    """Those of the drawings with a new label that the table says no captions of."""
    meant = _Meant(file.parent, columns, encoding)
    spoken = set()
    for row in table.rows if columns else ():
        cells = caption_tables.cells_of(row)
        path = meant.by(caption_tables.name_in(cells))
        if path and any(cell.value for cell in cells.get("text", ())):
            spoken.add(path)
    return [path for path, edit in columns.items() if edit.values.get("label") and path not in spoken]


def _must_be_whole(file: Path, table: Table, adding: bool) -> None:
    """An image that is not found may stand on a line that cannot be read; behind an open quote nothing can be added."""
    if table.faults and (adding or table_text.UNCLOSED in table.faults):
        raise cannot_change(file, " ".join(caption_tables.told_faults(table.faults)))


class _Meant:
    """Which of the edited images a row names."""

    def __init__(self, root: Path, edited: Mapping[str, object], encoding: Encoding) -> None:
        self._root = root
        self._lookup = Lookup(edited)
        self._composed = {nfc(path): path for path in edited}
        self._encoding = encoding

    def by(self, name: str) -> str:
        """The edited image of this name, "" if none."""
        for spelled in dict.fromkeys((name, self._encoding.as_file_name(name))):
            wanted = posixpath.normpath(spelled) if spelled else ""
            if nfc(wanted) in self._composed:
                return self._composed[nfc(wanted)]
            matches = self._lookup.find(wanted) if wanted else []
            if matches and not self._is_another(wanted):
                return matches[0]
        return ""

    def _is_another(self, path: str) -> bool:
        """Whether a name that differs in upper and lower case is that of an image of its own."""
        try:
            return posixpath.basename(path) in os.listdir(self._root / posixpath.dirname(path))
        except (OSError, ValueError):
            return False
