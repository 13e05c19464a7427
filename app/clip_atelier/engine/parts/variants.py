"""The embeddings that parts may stand on: untouched or adapted, of the drawing as it is or of several views of it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from clip_atelier.engine.data import pixels

Picture = NDArray[np.uint8]


class Variant(NamedTuple):
    """A way to embed.

    Attributes:
        strength: Of the trained update; 0 is the untouched model.
        views: Whether a drawing is embedded as the mean of `views_of` it.
    """

    strength: float = 0.0
    views: bool = False

    def scaled(self, strength: float) -> Variant:
        """The same at a strength of the dial (0 to 1.5; 0 is the untouched model, exactly)."""
        return Variant(round(self.strength * strength, 6), self.views and strength > 0)


PLAIN = Variant()


def views_of(picture: Picture) -> list[Picture]:
    """A fitted drawing [size, size, 3] as it is, mirrored, smaller and larger.

    What a drawing shows does not change with the side it looks to or the room around it, but its embedding does; the mean
    of several is steadier. The room around the smaller one has the colour of the corner, which is the paper's.
    """
    return [
        picture,
        np.ascontiguousarray(picture[:, ::-1]),
        pixels.zoomed(picture, 0.85),
        pixels.zoomed(picture, 1.15),
    ]
