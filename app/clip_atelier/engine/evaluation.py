"""Measuring a run on another collection: base and adapted on the same queries."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from clip_atelier.engine import verdict
from clip_atelier.engine.control import Control
from clip_atelier.engine.events import Phase, Work
from clip_atelier.engine.heldout import open_on
from clip_atelier.engine.i18n import _
from clip_atelier.engine.measuring import embed
from clip_atelier.engine.models import Models


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
    held = yield from open_on(home, run_id, models, control, folder)
    try:
        adapter = held.adapter
        if strength is not None:
            adapter.set_strength(strength)
        used = adapter.strength
        yield Phase(name="encode", title=_("Preparing the images"))
        board = yield from held.board(control)
        yield Phase(name="evaluate", title=_("Comparing base and adapted"))
        with adapter.at(0.0):
            base = yield from embed(held.clip, held.pictures, board, control)
        adapted = base if used == 0 else (yield from embed(held.clip, held.pictures, board, control))
    finally:
        held.close()
    return {
        "run": held.run.id,
        "folder": str(folder),
        "strength": used,
        "images": len(board.indices),
        "measured_on": held.measured_on,
        **verdict.compare(board, board.values(*base), board.values(*adapted)),
    }
