"""What a long measurement is about, and how far the run had come. Light: the window needs it from the start."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clip_atelier.engine.runs import RunSummary


@dataclass(frozen=True)
class Subject:
    """What is measured.

    Attributes:
        kind: "dial", "words", "map" or "strengths" (single ones that were measured on the way).
        run: A run's id; empty for the base model.
        state: How far the run had come: a result of an earlier state is not shown for a later one. Without a run, the
            base model's name.
        folder: Of the map; empty elsewhere.
    """

    kind: str
    run: str
    state: str = ""
    folder: str = ""

    def file(self, home: Path) -> Path:
        """Where its last result is kept."""
        name = hashlib.sha256(json.dumps(asdict(self)).encode()).hexdigest()[:24]
        return home / "cache" / "measured" / f"{self.kind}-{name}.json"


def state_of(run: RunSummary | None) -> str:
    """How far a run has come, from its summary."""
    result = run.result if run else None
    return f"{result.status}/{result.steps}/{result.best_step}/{result.strength}" if result else ""
