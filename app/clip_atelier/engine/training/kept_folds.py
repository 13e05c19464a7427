"""What a run that is measured by folds has worked out for each fold, kept on disk while it works."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydantic import Field

from clip_atelier.engine.core import Record, read_document, replacing, write_document
from clip_atelier.engine.parts import Embedded, Variant, Variants


class _Length(Record):
    """How many steps each fold takes: decided once, by the time a step took."""

    schema_version: int = Field(default=1, alias="schema")
    steps: int
    skipped: tuple[str, ...] = ()


class KeptFolds:
    """What was worked out for each fold, on disk.

    Args:
        folder: Where; made when there is something to keep.
        fingerprint: Of collection, model and settings: what was kept for others is not used.
    """

    def __init__(self, folder: Path, fingerprint: str) -> None:
        self.folder = folder / fingerprint[:16]

    def length(self) -> tuple[int, list[str]] | None:
        """Steps of each fold, and what was shortened; None while it is not decided."""
        path = self.folder / "length.json"
        if not path.is_file():
            return None
        found = read_document(path, _Length)
        return found.steps, list(found.skipped)

    def keep_length(self, steps: int, skipped: list[str]) -> None:
        """Keeps what `length` gives."""
        write_document(self.folder / "length.json", _Length(steps=steps, skipped=tuple(skipped)))

    def variants(self, fold: int, base: Embedded) -> Variants | None:
        """The collection embedded by a fold's update; None while it is not trained."""
        path = self.folder / f"fold-{fold}.npz"
        if not path.is_file():
            return None
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            places = [Variant(float(s), bool(v)) for s, v in stored["variants"]]
            return {
                place: base.embedded_as(stored[f"images/{n}"], stored[f"texts/{n}"])
                for n, place in enumerate(places)
            }

    def keep_variants(self, fold: int, variants: Variants) -> None:
        """Keeps what `variants` gives."""
        arrays = {"variants": np.array([tuple(place) for place in variants], np.float64)}
        for n, embedded in enumerate(variants.values()):
            arrays |= {f"images/{n}": embedded.images, f"texts/{n}": embedded.texts}
        with replacing(self.folder / f"fold-{fold}.npz") as partial, partial.open("wb") as stream:
            np.savez(stream, **arrays)  # type: ignore[arg-type]
