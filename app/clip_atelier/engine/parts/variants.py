"""The embeddings that parts may stand on: untouched or adapted, of the drawing as it is or of several views of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from clip_atelier.engine.data import pixels

Picture = NDArray[np.uint8]


class Variant(NamedTuple):
    """A way to embed.

    Attributes:
        strength: Of the trained update; 0 is the untouched model.
        views: Whether a drawing is embedded as the mean of itself and its `VIEWS`.
    """

    strength: float = 0.0
    views: bool = False

    def scaled(self, strength: float) -> Variant:
        """The same at a strength of the dial (0 to 1.5; 0 is the untouched model, exactly)."""
        return Variant(round(self.strength * strength, 6), self.views and strength > 0)


PLAIN = Variant()


VIEWS: Final[tuple[Callable[[Picture], Picture], ...]] = (
    lambda picture: np.ascontiguousarray(picture[:, ::-1]),
    lambda picture: pixels.zoomed(picture, 0.85),
    lambda picture: pixels.zoomed(picture, 1.15),
)
"""What a fitted drawing [H, W, 3] is also seen as, beside as it is: mirrored, smaller and larger.

What a drawing shows does not change with the side it looks to or the room around it, but its embedding does; the mean of
several is steadier. The room around the smaller one has the colour of the corner, which is the paper's.
"""
