"""The names that only the home knows: those of runs and models. Nothing heavy is imported; a shell waits for them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

KINDS: Final = ("runs", "models")

NEWEST: Final = "latest"
"""Stands for the newest run wherever a run is named."""


def names(kind: str, home: Path) -> list[str]:
    """The names of a kind that can be typed, the newest run first."""
    if kind == "models":
        from clip_atelier.engine.models import Models

        return [model.name for model in Models(home).list()]
    from clip_atelier.engine.runs import Runs

    found = [run.id for run in reversed(Runs(home).list())]
    return [*found, NEWEST] if found else []
