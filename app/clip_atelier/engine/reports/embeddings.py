"""A run's collection as embeddings: numpy arrays beside a table of what each row is, or one Parquet file."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np

from clip_atelier.engine.core import Control, Phase, Work, WorkError, _, shown
from clip_atelier.engine.models import Models
from clip_atelier.engine.runs import RunFolder
from clip_atelier.engine.search import ModelRef, load_model, open_gallery

PARQUET: Final = ".parquet"


def must_be_possible(out: Path) -> None:
    """Raises a WorkError if a Parquet file is wanted and the package that writes it is missing."""
    if out.suffix.lower() == PARQUET and find_spec("pyarrow") is None:
        raise WorkError(
            _("Writing Parquet needs a package that is not installed: {name}.").format(name="pyarrow"),
            _("Install it with “pip install {name}”, or give a folder, which gets .npy files.").format(
                name="pyarrow"
            ),
        )


def write(run: RunFolder, out: Path, models: Models, control: Control) -> Work[None]:
    """Embeds the run's collection, as far as that is not done, and writes it.

    A folder gets `adapted.npy` and `base.npy` (float32 [N, dim], rows of length 1) and `rows.jsonl`, which says of each row
    its id (SHA-256 of the file), `file_name` and captions. A Parquet file has these as columns.

    Args:
        run: The run; its update counts at the strength that was kept.
        out: A folder, or a file that ends in .parquet.
        models: Where the base model is found.
        control: Stop and pause.

    Raises:
        UserError: the collection is gone or holds no readable image.
    """
    yield Phase(name="load", title=_("Opening the model"))
    # Search may compute in half precision; what others calculate with is exact.
    hardware = run.settings.hardware.model_copy(update={"precision": "fp32"})
    loaded = load_model(ModelRef(run=str(run.path), hardware=hardware), models)
    try:
        gallery = yield from open_gallery(run.folder, loaded, models.home, control)
    finally:
        loaded.release()
    rows: list[dict[str, Any]] = [
        {
            "id": item.digest,
            "file_name": shown(item.path),
            "text": [shown(caption) for caption in item.captions],
        }
        for item in gallery.items
    ]
    sides = {"adapted": gallery.adapted, "base": gallery.base}
    if out.suffix.lower() == PARQUET:
        _write_parquet(rows, sides, out)
        return
    out.mkdir(parents=True, exist_ok=True)
    for name, vectors in sides.items():
        np.save(out / f"{name}.npy", np.ascontiguousarray(vectors, np.float32), allow_pickle=False)
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
    (out / "rows.jsonl").write_text("".join(lines), encoding="utf-8", newline="\n")


def _write_parquet(rows: list[dict[str, Any]], sides: dict[str, Any], out: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    columns: dict[str, Any] = {name: [row[name] for row in rows] for name in ("id", "file_name", "text")}
    for name, vectors in sides.items():
        flat = pyarrow.array(np.ascontiguousarray(vectors, np.float32).ravel())
        columns[name] = pyarrow.FixedSizeListArray.from_arrays(flat, vectors.shape[1])
    out.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(pyarrow.table(columns), out)
