"""Which trainings are in what leaves the program, the run that it is made from being the last."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from clip_atelier.engine.models import Ancestor, lineage_of

if TYPE_CHECKING:
    from clip_atelier.engine.runs import RunFolder


def ancestor(run: RunFolder) -> Ancestor:
    """What a model made from a run tells of it."""
    record, result = run.record, run.result
    return Ancestor(
        run=run.id, name=record.name, created=record.created, strength=result.strength if result else 1.0,
        base=_plain(record.model.name if record.model else str(run.settings.model.name)),
        base_fingerprint=record.model.fingerprint if record.model else "",
    )  # fmt: skip


def trainings(run: RunFolder, base: Path) -> tuple[Ancestor, ...]:
    """Those in a model that is made from a run and its base."""
    return *lineage_of(base), ancestor(run)


def _plain(name: str) -> str:
    """A model's name; of a folder its last part, since the way to it is nobody's business."""
    return Path(name).name or name
