"""What a model is shown: a square of pixels, or a drawing in its own shape, cut into patches (NaFlex).

Drawings of different shapes lie in one array: each is a row of patches of one fixed length, filled up behind its own, with
its numbers of rows and columns before them. `framing` prepares them; here are numbers only, which the window may ask for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

_STEPS: Final = 1e-5
"""transformers looks for the largest scale up to this; so does `Patches.grid`, to end in the same numbers."""
_GREATEST_SCALE: Final = 100.0
BILINEAR: Final = 2
"""Pillow's number for the filter that transformers takes where nothing is said."""


@dataclass(frozen=True)
class Patches:
    """A drawing in its own shape, as large as a number of patches allows.

    Attributes:
        side: Of a patch, in pixels; at least 2.
        most: The most patches.
        resample: Number of Pillow's filter for making it that size, as the model's own preprocessing says.
    """

    side: int
    most: int
    resample: int = BILINEAR

    @property
    def square(self) -> int:
        """Side in pixels of the largest square."""
        return math.isqrt(self.most) * self.side

    @property
    def shape(self) -> tuple[int, int]:
        """Of a prepared drawing: one row tells the numbers of rows and columns, each further one is a patch."""
        return self.most + 1, self.side * self.side * 3

    def grid(self, width: int, height: int) -> tuple[int, int]:
        """Rows and columns of patches of a drawing of this many pixels, as transformers' `Siglip2ImageProcessor` has them."""
        low, high = _STEPS / 10, _GREATEST_SCALE
        while high - low >= _STEPS:
            middle = (low + high) / 2
            rows, columns = self._at(middle, height), self._at(middle, width)
            low, high = (middle, high) if rows * columns <= self.most else (low, middle)
        return self._at(low, height), self._at(low, width)

    def _at(self, scale: float, length: int) -> int:
        return max(1, math.ceil(length * scale / self.side))


Frame = int | Patches
"""Side of a square in pixels, or patches."""


def shape(frame: Frame) -> tuple[int, ...]:
    """Of a prepared drawing, uint8: [size, size, 3] or `Patches.shape`."""
    return frame.shape if isinstance(frame, Patches) else (frame, frame, 3)


def square(frame: Frame) -> int:
    """Side in pixels of the square that is shown, or of the largest one that could be."""
    return frame.square if isinstance(frame, Patches) else frame


def name(frame: Frame) -> str:
    """Tells drawings apart that were prepared for different frames."""
    if isinstance(frame, Patches):
        return f"{frame.side}x{frame.most}/{frame.resample}"
    return str(frame)
