"""Grids: one training per cell and seed, in a queue on disk that survives a restart and goes on after a failure.

HOME/grids/ID.json holds the whole queue. ID is a hash of everything that decides the results (the collection's content,
the settings, what is varied, the seeds), so the same request finds its unfinished queue again. torch is imported when
a cell is trained, not before: the window looks at grids too.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from clip_atelier.engine import settings
from clip_atelier.engine.core import (
    UserError,
    _,
)
from clip_atelier.engine.settings import DECLARED, Settings

# Both main presets, each with r 8 or 16 and lora_alpha 16 or 32.
DEFAULT_GRID: Final[Mapping[str, tuple[Any, ...]]] = {
    "preset": ("attention", "projection"),
    "lora.r": (8, 16),
    "lora.lora_alpha": (16, 32),
}


@dataclass(frozen=True)
class Grid:
    """What is to be tried on a folder.

    Attributes:
        folder: The collection.
        values: Dotted settings that hold in every cell.
        vary: Dotted setting, or "preset", -> the values to try; every combination is a cell.
        seeds: Seeds that each cell is trained with; empty: the one of `values`.
        preset: Starting point of every cell, unless "preset" itself is varied.
    """

    folder: Path
    values: Mapping[str, Any] = field(default_factory=dict)
    vary: Mapping[str, Sequence[Any]] = field(default_factory=lambda: DEFAULT_GRID)
    seeds: tuple[int, ...] = ()
    preset: str = ""

    def cells(self) -> list[dict[str, Any]]:
        """The varied values of each cell, the first name changing slowest.

        Raises:
            UserError: an unknown name, no value for it, or a value that is out of range; names the setting.
        """
        for name, values in self.vary.items():
            if name != "preset" and name not in DECLARED:
                raise UserError(
                    _("There is no setting named “{name}”.").format(name=name),
                    _("Vary “preset” or one of the settings, such as lora.r."),
                    name,
                )
            if not values:
                raise UserError(_("{name}: give at least one value to try.").format(name=name), "", name)
        names = list(self.vary)
        cells = [dict(zip(names, values, strict=True)) for values in itertools.product(*self.vary.values())]
        return [self._read(cell) for cell in cells]

    def _read(self, cell: Mapping[str, Any]) -> dict[str, Any]:
        """The cell with its values as the settings read them: numbers, not their text."""
        read = settings.flat(self.settings(cell))
        return {name: value if name == "preset" else read[name] for name, value in cell.items()}

    def settings(self, cell: Mapping[str, Any], seed: int | None = None) -> Settings:
        """All settings of one run of a cell.

        Raises:
            UserError: they are not possible.
        """
        values = {**self.values, **cell}
        if seed is not None:
            values["train.seed"] = seed
        return settings.build(values, str(values.pop("preset", self.preset)) or None)
