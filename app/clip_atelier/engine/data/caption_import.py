"""Captions of a file are taken into a folder's table: those of `caption_export`, and of the programs that `other_tables` knows.

What the folder says already is not written again, so that text files beside drawings stay what people edit. All that is
written goes through `save_captions`: one backup, and cells that are not meant stay as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Final

from pydantic import Field

from clip_atelier.engine.core import Record, Text, UserError, _, no_file, shown
from clip_atelier.engine.data import caption_tables, image_gate, other_tables, parquet_tables
from clip_atelier.engine.data.caption_saving import ColumnEdit, save_captions
from clip_atelier.engine.data.caption_tables import CaptionRow
from clip_atelier.engine.data.caption_text import CaptionReader
from clip_atelier.engine.data.names import Lookup
from clip_atelier.engine.data.other_tables import DrawingNames, NotUnderstood
from clip_atelier.engine.data.parquet_tables import NoCaptions
from clip_atelier.engine.data.records import Collection, Item, Problem, ScanProblem
from clip_atelier.engine.data.text_encoding import UnreadableText
from clip_atelier.engine.settings import DataSettings

SCHEMA: Final = 1
SUFFIXES: Final = (".csv", ".tsv", ".jsonl", ".json", ".parquet")
"""Files that are understood: tables, COCO captions, kohya's meta JSON, and Parquet without pictures."""
_OTHER: Final = ("label", "pair", "role", "split")


class ImportedCaptions(Record):
    """What taking captions from a file did.

    Attributes:
        files: Tables that were written; none where the folder said all of it already.
        captions: Captions that the file has for drawings of the folder.
        drawings: Drawings that it names.
        changed: Of them, those of which something was written.
        problems: Lines that could not be used, and drawings that are not here.
    """

    schema_version: int = Field(default=SCHEMA, alias="schema")
    files: tuple[Text, ...] = ()
    captions: int
    drawings: int
    changed: int
    problems: tuple[ScanProblem, ...] = ()


def must_be_captions(file: Path) -> None:
    """Raises a UserError where a file is not there, or of no kind that captions are taken from."""
    if not file.is_file():
        raise no_file(file)
    if file.suffix.lower() not in SUFFIXES:
        raise UserError(
            _("“{file}” is no kind of caption file that is known.").format(file=shown(file)),
            _("Give a file that ends in {endings}.").format(endings=", ".join(SUFFIXES)),
            "file",
        )


def import_captions(collection: Collection, file: Path, data: DataSettings, home: Path) -> ImportedCaptions:
    """Takes the captions of a file, and labels, pairs, roles and parts where it has them.

    Args:
        collection: The folder, as it was scanned with `data`.
        file: Names drawings by their path in the folder, or by their own name.
        data: How lines become captions. Tags are written as they are, and read as the settings say.
        home: Where the backup of what is overwritten goes.

    Raises:
        UserError: the file is missing, not understood, or names no drawing of the folder; nothing is changed.
        WorkError: pyarrow is missing, or a table cannot be written; the old ones are there.
    """
    items = {item.path: item for item in collection.items}
    problems: list[Problem] = []
    as_written = CaptionReader(data.model_copy(update={"tags": "as_written"}))
    rows = _rows(file, list(items), as_written, problems)
    told = CaptionReader(data)
    edits = {
        path: row.captions
        for path, row in rows.items()
        if row.captions and told.captions(list(row.captions)) != list(items[path].captions)
    }
    columns = _columns(rows, items)
    saved = save_captions(collection.root, edits, home, columns) if edits or columns else None
    return ImportedCaptions(
        files=tuple(map(str, saved.files)) if saved else (),
        captions=sum(len(row.captions) for row in rows.values()),
        drawings=len(rows),
        changed=len({*edits, *columns}),
        problems=tuple(ScanProblem(path=one.path, reason=one.reason) for one in problems),
    )


def _columns(rows: Mapping[str, CaptionRow], items: Mapping[str, Item]) -> dict[str, ColumnEdit]:
    """What changes beside captions.

    Pairs that a table names replace those that folders tell, for the whole collection: they are written all or not at all.
    """
    repaired = any(row.pair and row.pair != items[path].pair for path, row in rows.items())
    found = {}
    for path, row in rows.items():
        item = items[path]
        values = {
            name: getattr(row, name)
            for name in _OTHER
            if getattr(row, name)
            and (getattr(row, name) != getattr(item, name) or (repaired and name in ("pair", "role")))
        }
        if values:
            found[path] = ColumnEdit(values, row.captions or item.captions)
    return found


def _rows(
    file: Path, paths: list[str], reader: CaptionReader, problems: list[Problem]
) -> dict[str, CaptionRow]:
    """What the file says about the drawings."""
    must_be_captions(file)
    suffix = file.suffix.lower()
    if suffix == ".parquet":
        try:
            rows = parquet_tables.read_table(file, partial(DrawingNames(paths).find, ""), reader, problems)
        except NoCaptions as reason:
            raise _nothing_of(file, str(reason)) from reason
    else:
        rows = _of_table(file, paths, reader, problems) if suffix != ".json" else {}
        if not rows:
            problems.clear()
            try:
                rows = other_tables.read_file(file, file.name, DrawingNames(paths), problems, reader)
            except NotUnderstood as reason:
                raise _nothing_of(file, str(reason)) from reason
    if not rows:
        raise _nothing_of(
            file, _("It names none of the drawings in this folder, so its captions are not used.")
        )
    return rows


def _of_table(
    file: Path, paths: list[str], reader: CaptionReader, problems: list[Problem]
) -> dict[str, CaptionRow]:
    """A table in our own columns, or under a name that they go by; nothing where it is another program's."""
    try:
        table, _encoding = caption_tables.parsed(
            caption_tables.content_of(file, caption_tables.MAX_BYTES), file.name
        )
    except (image_gate.ImageProblem, UnreadableText) as problem:
        raise _nothing_of(file, getattr(problem, "reason", str(problem))) from problem
    if len(caption_tables.columns(table.names)) < 2:
        return {}
    return caption_tables.read_table(file, file.name, Lookup(paths), problems, reader)


def _nothing_of(file: Path, reason: str) -> UserError:
    return UserError(
        _("No captions were taken from “{file}”: {reason}").format(file=shown(file), reason=reason),
        _("Nothing was changed."),
        "file",
    )
