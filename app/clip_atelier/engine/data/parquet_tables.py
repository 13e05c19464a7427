"""Captions in Parquet: a table with a column of file names, as Hugging Face's image folder may have it. Read by pyarrow, an extra."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from clip_atelier.engine.core import WorkError, _, shown
from clip_atelier.engine.data import caption_tables
from clip_atelier.engine.data.caption_tables import CaptionRow
from clip_atelier.engine.data.caption_text import CaptionReader
from clip_atelier.engine.data.records import Problem


class NoCaptions(Exception):  # noqa: N818 - not a failure: the file may hold drawings
    """There are no captions for files in it; says why."""


def read_table(
    file: Path, find: Callable[[str], str], reader: CaptionReader, problems: list[Problem]
) -> dict[str, CaptionRow]:
    """What the table says about the drawings.

    Args:
        file: The table.
        find: The drawing that a name means, "" where there is none.
        reader: Takes captions out of cells.
        problems: Gets names of drawings that are not there.

    Raises:
        NoCaptions: it cannot be read, or has no column of file names.
        WorkError: pyarrow is not installed.
    """
    if find_spec("pyarrow") is None:
        raise WorkError(
            _("Reading {file} needs a package that is not installed: pyarrow.").format(file=file.name),
            _(
                "Install it with “pip install pyarrow” (or clip-atelier[parquet]) and run the same command again."
            ),
        )
    import pyarrow
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(file) as table:
            written = caption_tables.columns(table.schema_arrow.names)
            kind = table.schema_arrow.field(written["file_name"]).type if "file_name" in written else None
            # A column “image” may hold the pictures themselves.
            if kind is None or not (pyarrow.types.is_string(kind) or pyarrow.types.is_large_string(kind)):
                raise NoCaptions(_("The table has no column “file_name”."))
            rows = table.read(columns=list(written.values())).to_pylist()
    except (pyarrow.ArrowException, OSError) as error:
        raise NoCaptions(str(error)) from error
    found: dict[str, CaptionRow] = {}
    for number, row in enumerate(rows, start=1):
        told = {known: row[column] for known, column in written.items()}
        name = str(told["file_name"] or "")
        if path := find(name):
            found[path] = caption_tables.merged(found.get(path, CaptionRow()), _row(told, reader))
        else:
            reason = _("Named on line {line} of {table}, but there is no such image.")
            problems.append(Problem(name, reason.format(line=number, table=shown(file.name))))
    return found


def _row(told: Mapping[str, Any], reader: CaptionReader) -> CaptionRow:
    label, pair, role = (str(told.get(known) or "") for known in ("label", "pair", "role"))
    split = caption_tables.split_name(str(told.get("split") or ""))
    return CaptionRow(reader.captions(told.get("text")), label, pair, role, split)
