"""A run's collection as embeddings: numpy arrays beside a table of what each row is, or one Parquet file."""

from __future__ import annotations

from pathlib import Path

from clip_atelier.engine.core import Control, Phase, Work, _
from clip_atelier.engine.models import Models
from clip_atelier.engine.runs import RunFolder
from clip_atelier.engine.search import ModelRef, load_model, open_gallery, vector_files


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
    rows = vector_files.rows_of(gallery)
    vector_files.write(rows, {"adapted": gallery.adapted, "base": gallery.base}, out)
