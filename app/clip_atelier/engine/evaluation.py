"""Measuring a run on another collection: base and adapted on the same queries."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from clip_atelier.engine import adapters, verdict
from clip_atelier.engine.adapted import open_run
from clip_atelier.engine.collection import scan, split
from clip_atelier.engine.control import Control
from clip_atelier.engine.events import Phase, Work
from clip_atelier.engine.i18n import _
from clip_atelier.engine.measuring import board_of, embed
from clip_atelier.engine.models import Models
from clip_atelier.engine.pictures import Pictures
from clip_atelier.engine.runs import Runs
from clip_atelier.engine.store import Store


def evaluate(
    home: Path, run_id: str, folder: Path, models: Models, control: Control, strength: float | None = None
) -> Work[dict[str, Any]]:
    """Compares base and adapted on every image of a collection (on its held-out ones if it is the run's own).

    Args:
        home: Where runs and caches live.
        run_id: The run.
        folder: The collection to measure on.
        models: Owner of loaded models.
        control: Stop and pause.
        strength: Strength of the update; the recommended one where left out.

    Returns:
        The metrics of CONTRACT's `train`.

    Raises:
        UserError: no such run or folder, or too few images.
    """
    run = Runs(home).open(run_id)
    settings = run.settings
    yield Phase(name="scan", title=_("Reading the collection"))
    collection = yield from scan(folder, settings.data, control, home / "cache" / "scan.sqlite")
    parts = split(collection, settings.data, settings.data.split_seed)
    own = run.record.get("data", {}).get("fingerprint") == collection.fingerprint
    # Images the run was trained on say nothing about new ones.
    indices = parts.reported if own else tuple(range(len(collection.items)))
    yield Phase(name="load", title=_("Opening the model"))
    opened = open_run(run, models, strength)
    clip, adapter = opened.clip, opened.adapter
    used = adapter.strength
    store = Store.of_features(home, settings.hardware.cache_gb)
    try:
        pictures = Pictures(
            collection.root, collection.items, clip.image_size, settings.data, settings.train.seed, store
        )
        yield Phase(name="encode", title=_("Preparing the images"))
        board = yield from board_of(pictures, indices, parts.groups, control)
        yield Phase(name="evaluate", title=_("Comparing base and adapted"))
        with adapter.at(0.0):
            base = yield from embed(clip, pictures, board, control)
        adapted = base if used == 0 else (yield from embed(clip, pictures, board, control))
    finally:
        store.close()
        adapters.detach(clip)
    return {
        "run": run.id,
        "folder": str(folder),
        "strength": used,
        "images": len(board.indices),
        "measured_on": "test" if own and parts.test else "validation" if own else "all",
        **verdict.compare(board, board.values(*base), board.values(*adapted)),
    }
