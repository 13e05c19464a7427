"""Which strengths of an update are tried, and which one is taken."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from clip_atelier.engine.core import Control, Strength, drive
from clip_atelier.engine.data import Item
from clip_atelier.engine.evaluation import sets
from clip_atelier.engine.training import strength as room

DRAWINGS, DIM = 60, 16


@pytest.mark.parametrize(
    ("best_at", "tried"),
    [(0.5, {0.25, 0.5, 0.75, 1.0}), (1.2, {0.5, 0.75, 1.0, 1.25})],
)
def test_what_lies_around_the_better_of_half_and_full_is_tried(
    best_at: float, tried: set[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    items = [Item(path=f"{n}.png", digest=str(n), captions=(f"thing {n}",)) for n in range(DRAWINGS)]
    asked = sets.evaluation_set(items, range(DRAWINGS), range(DRAWINGS))
    rng = np.random.default_rng(0)
    words = rng.normal(size=(DRAWINGS, DIM)).astype(np.float32)
    noise = rng.normal(size=(DRAWINGS, DIM)).astype(np.float32)
    adapter = SimpleNamespace(scale=0.0)

    def at(scale: float) -> Any:
        """Drawings that lie the nearer to their words, the nearer the strength is to the best one."""
        images = words + (0.3 + 2 * abs(scale - best_at)) * noise
        unit = images / np.linalg.norm(images, axis=1, keepdims=True)
        return unit, words / np.linalg.norm(words, axis=1, keepdims=True)

    def embed(*_given: object, **_named: object) -> Any:
        yield from ()
        return at(adapter.scale)

    monkeypatch.setattr(room, "embed", embed)
    adapter.set_adapter_scale = lambda scale: setattr(adapter, "scale", scale)
    chooser = room.StrengthChooser(
        cast("Any", None), cast("Any", adapter), cast("Any", None), asked, {0.0: at(0.0)}
    )
    told: list[Any] = []
    chosen = drive(chooser.choose(Control()), told.append)
    measured = {event.strength for event in told if isinstance(event, Strength) and not event.chosen}
    assert measured == {0.0} | tried
    assert chosen == min(tried, key=lambda strength: abs(strength - best_at))
