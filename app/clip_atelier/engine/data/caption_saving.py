"""Edited captions go back into the folder's table: only their cells change, in the file's own hand.

Those of a further folder's drawings go into a table in that folder, so that they are beside the drawings wherever it is opened.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from clip_atelier.engine.core import WorkError, _, shown
from clip_atelier.engine.data import caption_backups, caption_tables, table_text
from clip_atelier.engine.data.caption_backups import (
    Backup,
    CaptionBackups,
    cannot_change,
    read_back,
    write_table,
)
from clip_atelier.engine.data.caption_tables import NAMES
from clip_atelier.engine.data.caption_text import clean
from clip_atelier.engine.data.further_folders import Places, places_of
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
        others: What it did in further folders of the collection.
    """

    file: Path
    backup: Backup
    recoded: bool = False
    others: tuple[SavedCaptions, ...] = ()

    @property
    def files(self) -> tuple[Path, ...]:
        """All tables that were written."""
        return (self.file, *(one.file for one in self.others))


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

    Those of a further folder are written in that folder, with its own backup. All tables are made ready before the first one
    is written; where a later one cannot be written, the earlier ones are put back.

    Other rows and columns, the encoding, separator, quotes and line ends stay as they are. What was there is kept in the
    home, see `caption_backups`.

    Args:
        root: The collection's folder.
        edits: path (relative) -> its captions; an empty list removes them.
        home: Where the backup goes.
        columns: path (relative) -> what changes in other columns; missing columns are added.

    Raises:
        WorkError: a file cannot be read, changed or written, a backup not made, or a further folder is not there; the old
            tables are there.
    """
    columns = columns or {}
    places = places_of(root, now=True)
    wanted = sorted({places.name_of(path) for path in (*edits, *columns)}) or [""]
    with ExitStack() as held:
        ready = []
        for name in wanted:
            folder = _folder(places, name)
            backups = CaptionBackups(home, folder)
            held.enter_context(backups.hold())
            own = {_below(name, p): c for p, c in edits.items() if places.name_of(p) == name}
            more = {_below(name, p): c for p, c in columns.items() if places.name_of(p) == name}
            ready.append(_Ready.of(folder, own, more, backups))
        when = caption_backups.stamp()
        kept = [one.backups.keep(one.file, when, anew=len(ready) > 1) for one in ready]
        _write_all(ready, kept)
    saved = [SavedCaptions(one.file, backup, one.recoded) for one, backup in zip(ready, kept, strict=True)]
    return replace(saved[0], others=tuple(saved[1:]))


def table_of(folder: Path) -> Path:
    """The table that saving writes in a folder."""
    return next((folder / name for name in NAMES if (folder / name).exists()), folder / NAMES[0])


def _folder(places: Places, name: str) -> Path:
    """The folder that a table is written in.

    Raises:
        WorkError: it is not there; it must not be made, since its drive may be unplugged.
    """
    if not name:
        return places.root
    one = places.further[name]
    if not one.there:
        raise WorkError(
            _("“{name}” ({folder}) is not there, so no captions were saved.").format(
                name=shown(name), folder=shown(one.folder)
            ),
            _("Connect its drive, or say where the folder is now. What you typed is kept as a draft."),
        )
    return one.path


def _below(name: str, path: str) -> str:
    """A path as the folder's own table has it."""
    return path[len(name) + 1 :] if name else path


@dataclass(frozen=True)
class _Ready:
    """A table that only needs to be written."""

    file: Path
    content: bytes
    recoded: bool
    backups: CaptionBackups

    @classmethod
    def of(
        cls,
        folder: Path,
        edits: Mapping[str, Sequence[str]],
        columns: Mapping[str, ColumnEdit],
        backups: CaptionBackups,
    ) -> _Ready:
        file = table_of(folder)
        table, encoding = _open(file)
        told = {path: _cleaned(captions) for path, captions in edits.items()}
        text = _changed(file, table, encoding, told, columns)
        try:
            return cls(file, encoding.encode(text), False, backups)
        except UnicodeEncodeError:
            fresh = NEW if file.suffix == ".csv" else Encoding("utf-8")
            return cls(file, fresh.encode(text), True, backups)


def _write_all(ready: Sequence[_Ready], kept: Sequence[Backup]) -> None:
    for number, one in enumerate(ready):
        try:
            write_table(one.file, one.content)
        except WorkError:
            for before, backup in zip(ready[:number], kept, strict=False):
                with suppress(WorkError):
                    before.backups.put_back(backup)
            raise


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
