"""Embeddings as files for other programs: numpy arrays beside a table of each row, a Parquet file, or a LanceDB database."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from clip_atelier.engine.core import Control, Phase, Work, WorkError, _, cannot_write, must_be_free, shown
from clip_atelier.engine.models import Models
from clip_atelier.engine.search.gallery import Gallery, open_gallery
from clip_atelier.engine.search.loaded_model import load_model
from clip_atelier.engine.search.model_ref import ModelRef

PARQUET: Final = ".parquet"
LANCE: Final = ".lancedb"
LANCE_TABLE: Final = "drawings"
_BATCH: Final = 10_000


def must_be_possible(out: Path) -> None:
    """Raises a WorkError if a Parquet file or a database is wanted and the package that writes it is missing."""
    if out.suffix.lower() == LANCE and find_spec("lancedb") is None:
        raise WorkError(
            _("Writing a LanceDB database needs a package that is not installed: {name}.").format(
                name="lancedb"
            ),
            _("Install it with “pip install {name}”, or give a folder, which gets .npy files.").format(
                name="lancedb"
            ),
        )
    if out.suffix.lower() == PARQUET and find_spec("pyarrow") is None:
        raise WorkError(
            _("Writing Parquet needs a package that is not installed: {name}.").format(name="pyarrow"),
            _("Install it with “pip install {name}”, or give a folder, which gets .npy files.").format(
                name="pyarrow"
            ),
        )


def write_index(folder: Path, model_ref: ModelRef, models: Models, control: Control, out: Path) -> Work[None]:
    """Writes the index of a folder, embedding what it does not know yet; arguments as for `gallery.index`.

    Raises:
        UserError: something is at `out` already.
        WorkError: it cannot be written, or not as Parquet.
    """
    must_be_possible(out)
    must_be_free(out, empty_folder=True)
    loaded = load_model(model_ref, models)
    try:
        gallery = yield from open_gallery(folder, loaded, models.home, control)
    finally:
        loaded.release()
    yield Phase(name="write", title=_("Writing the embeddings"))
    sides = {"base": gallery.base}
    if loaded.run_folder is not None:
        sides["adapted"] = gallery.adapted
    try:
        write(rows_of(gallery), sides, out)
    except OSError as error:
        raise cannot_write(out, error, _("Free some space there, or choose another folder.")) from error


def row(digest: str, name: str, captions: Sequence[str]) -> dict[str, Any]:
    """What is told of one drawing: its id (SHA-256 of the file), `file_name` and captions."""
    return {"id": digest, "file_name": shown(name), "text": [shown(caption) for caption in captions]}


def rows_of(gallery: Gallery) -> list[dict[str, Any]]:
    """What is told of each image of a gallery."""
    return [row(item.digest, item.path, item.captions) for item in gallery.items]


def write(rows: Sequence[dict[str, Any]], sides: Mapping[str, NDArray[np.float32]], out: Path) -> None:
    """Writes embeddings.

    A folder gets `NAME.npy` for each side (float32 [N, dim], rows of length 1) and `rows.jsonl`; a Parquet file has all of
    this as columns, and so has the table `drawings` of a LanceDB database.

    Args:
        rows: [N], see `row`.
        sides: Name, such as "base" -> [N, dim].
        out: A folder, a file that ends in .parquet, or a folder that ends in .lancedb.
    """
    if out.suffix.lower() == LANCE:
        _write_lance(rows, sides, out)
        return
    if out.suffix.lower() == PARQUET:
        _write_parquet(rows, sides, out)
        return
    out.mkdir(parents=True, exist_ok=True)
    for name, vectors in sides.items():
        np.save(out / f"{name}.npy", np.ascontiguousarray(vectors, np.float32), allow_pickle=False)
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
    (out / "rows.jsonl").write_text("".join(lines), encoding="utf-8", newline="\n")


def _write_lance(rows: Sequence[dict[str, Any]], sides: Mapping[str, NDArray[np.float32]], out: Path) -> None:
    """A batch at a time, so that what is written is never in memory twice."""
    import lancedb

    batches = range(0, len(rows), _BATCH)
    tables = (
        _table(rows[start : start + _BATCH], {k: v[start : start + _BATCH] for k, v in sides.items()})
        for start in batches
    )
    database = lancedb.connect(str(out))
    table = database.create_table(LANCE_TABLE, next(tables))
    for more in tables:
        table.add(more)


def _write_parquet(
    rows: Sequence[dict[str, Any]], sides: Mapping[str, NDArray[np.float32]], out: Path
) -> None:
    import pyarrow.parquet

    out.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(_table(rows, sides), out)


def _table(rows: Sequence[dict[str, Any]], sides: Mapping[str, NDArray[np.float32]]) -> Any:
    """An Arrow table with a column for each side."""
    import pyarrow

    columns: dict[str, Any] = {name: [row[name] for row in rows] for name in ("id", "file_name")}
    columns["text"] = pyarrow.array([row["text"] for row in rows], pyarrow.list_(pyarrow.string()))
    for name, vectors in sides.items():
        flat = pyarrow.array(np.ascontiguousarray(vectors, np.float32).ravel())
        columns[name] = pyarrow.FixedSizeListArray.from_arrays(flat, vectors.shape[1])
    return pyarrow.table(columns)
