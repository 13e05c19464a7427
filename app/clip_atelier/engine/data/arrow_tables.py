"""Tables that hold the pictures themselves: Parquet as the Hugging Face hub keeps it, and what `datasets` saves to disk."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from clip_atelier.engine.core import Control, UserError, _
from clip_atelier.engine.data.caption_tables import split_name
from clip_atelier.engine.data.records import Problem, SplitName
from clip_atelier.engine.data.samples import MAX_IMAGE, Sample, words_in

_ROWS: Final = 64
"""Read at a time: pictures of some megabytes each are not to fill the memory."""
_PART: Final = re.compile(r"(train|validation|valid|val|test|dev)(-\d+-of-\d+)?(-[0-9a-f]+)?\.parquet")


def samples(file: Path, problems: list[Problem], control: Control) -> Iterator[Sample]:
    """The pictures of a Parquet or Arrow file, in its order.

    Args:
        file: The table. Which part of a split it is, is told by its whole name or by its folder's, never by a word in it.
        problems: Gets what cannot be read.
        control: Stop and pause.

    Raises:
        UserError: pyarrow is not installed, or the table holds no pictures.
    """
    if find_spec("pyarrow") is None:
        raise UserError(
            _("Reading {file} needs a package that is not installed: pyarrow.").format(file=file.name),
            _(
                "Install it with “pip install pyarrow” (or clip-atelier[parquet]) and run the same command again."
            ),
        )
    import pyarrow

    named = _PART.fullmatch(file.name.lower())
    split = split_name(named[1]) if named else split_name(file.parent.name)
    number = 0
    try:
        for names, labels, rows in _rows(file):
            column = _picture_column(names, rows)
            for row in rows:
                control.boundary()
                number += 1
                found = _sample(file, number, row, column, labels, split)
                if found is None:
                    reason = _("Its picture is neither in the table nor beside it, or too large.")
                    problems.append(Problem(f"{file.name}/{number}", reason))
                else:
                    yield found
    except (pyarrow.ArrowException, OSError) as error:
        reason = _("The file is damaged from here on: {reason}").format(reason=error)
        problems.append(Problem(f"{file.name}/{number + 1}", reason))


def _rows(file: Path) -> Iterator[tuple[Sequence[str], Mapping[str, Sequence[str]], list[dict[str, Any]]]]:
    """Names of the columns, names of the classes by column, and some rows, again and again."""
    import pyarrow

    if file.suffix.lower() == ".parquet":
        import pyarrow.parquet

        with pyarrow.parquet.ParquetFile(file) as table:
            schema = table.schema_arrow
            for batch in table.iter_batches(_ROWS):
                yield schema.names, _classes(schema), batch.to_pylist()
        return
    with pyarrow.memory_map(str(file)) as source:
        try:
            batches: Any = pyarrow.ipc.open_stream(source)
            schema = batches.schema
        except pyarrow.ArrowInvalid:
            source.seek(0)
            opened = pyarrow.ipc.open_file(source)
            schema = opened.schema
            batches = (opened.get_batch(n) for n in range(opened.num_record_batches))
        for batch in batches:
            for start in range(0, batch.num_rows, _ROWS):
                yield schema.names, _classes(schema), batch.slice(start, _ROWS).to_pylist()


def _classes(schema: Any) -> dict[str, Sequence[str]]:
    """Names of the classes of each column of class numbers, as `datasets` writes them beside the schema."""
    try:
        told = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        features = told["info"]["features"]
        return {
            name: [str(one) for one in kind["names"]]
            for name, kind in features.items()
            if isinstance(kind, dict) and isinstance(kind.get("names"), list)
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def _picture_column(names: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> str:
    """The first column of pictures.

    Raises:
        UserError: there is none.
    """
    for name in sorted(names, key=lambda name: name not in ("image", "img", "picture")):
        value = next((row[name] for row in rows if row[name] is not None), None)
        if isinstance(value, bytes) or (isinstance(value, dict) and {"bytes", "path"} & set(value)):
            return name
    raise UserError(
        _("The table has no column of pictures. Its columns: {names}.").format(names=", ".join(names)),
        _("Import a table that holds its pictures, or save its captions as metadata.csv beside them."),
    )


def _sample(
    file: Path,
    number: int,
    row: Mapping[str, Any],
    column: str,
    labels: Mapping[str, Sequence[str]],
    split: SplitName,
) -> Sample | None:
    value = row[column]
    content, path = (value.get("bytes"), value.get("path")) if isinstance(value, dict) else (value, None)
    if content is None and isinstance(path, str):
        content = _beside(file.parent, path)
    if not isinstance(content, bytes) or not content or len(content) > MAX_IMAGE:
        return None
    words = {
        name: labels[name][cell]
        if name in labels and isinstance(cell, int) and 0 <= cell < len(labels[name])
        else cell
        for name, cell in row.items()
        if name != column
    }
    captions, label, told = words_in(words)
    name = Path(path.replace("\\", "/")).stem if isinstance(path, str) and path else f"{number:07d}"
    return Sample(name, content, captions, label, told or split)


def _beside(folder: Path, path: str) -> bytes | None:
    """A picture that the table only names; none from outside of its folder."""
    try:
        file = (folder / path).resolve()
        if not file.is_relative_to(folder.resolve()) or file.stat().st_size > MAX_IMAGE:
            return None
        return file.read_bytes()
    except (OSError, ValueError):
        return None
