"""A page seen from the side becomes a rectangle, as large as it was seen."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from clip_atelier.engine.intake.corners import WHOLE, Corners

MOST_PIXELS: Final = 16_000_000
"""Of a straightened page: A4 at 400 dots per inch. Larger photographs are shrunk first."""
FEWEST_PIXELS: Final = 16
"""Of a page's shorter side."""


def size_of(corners: Corners, size: tuple[int, int]) -> tuple[int, int]:
    """Width and height of the straightened page: those of its sides in the picture, the longer of two where they differ."""
    points = np.array(corners) * size
    lengths = np.hypot(*(np.roll(points, -1, axis=0) - points).T)
    wide, high = max(lengths[0], lengths[2]), max(lengths[1], lengths[3])
    scale = min(1.0, (MOST_PIXELS / max(wide * high, 1.0)) ** 0.5)
    return max(round(float(wide * scale)), FEWEST_PIXELS), max(round(float(high * scale)), FEWEST_PIXELS)


def flatten(picture: Image.Image, corners: Corners) -> Image.Image:
    """The page between four corners as a rectangle.

    Raises:
        ValueError: the corners lie on one line.
    """
    width, height = size_of(corners, picture.size)
    if corners == WHOLE:
        return (
            picture if picture.size == (width, height) else picture.resize((width, height), reducing_gap=2.0)
        )
    much = max(picture.width * picture.height / MOST_PIXELS, 1.0) ** 0.5
    if much > 1.5:
        picture = picture.reduce(round(much))
    matrix = projection(corners, picture.size, (width, height))
    a, b, c, d, e, f, g, h, _one = (matrix / matrix[2, 2]).ravel().tolist()
    # Pillow does in bytes what skimage's warp does in floats, in an eighth of the memory; by the same matrix.
    return picture.transform(
        (width, height), Image.Transform.PERSPECTIVE, (a, b, c, d, e, f, g, h), Image.Resampling.BICUBIC
    )


def projection(corners: Corners, size: tuple[int, int], flat: tuple[int, int]) -> npt.NDArray[np.float64]:
    """The matrix that takes points of the straightened page to points of the picture.

    Raises:
        ValueError: the corners lie on one line.
    """
    from skimage import transform

    width, height = flat
    source = np.array([(0, 0), (width, 0), (width, height), (0, height)], float)
    made: Any = transform.ProjectiveTransform.from_estimate(source, np.array(corners, float) * size)
    if not made or not np.isfinite(made.params).all() or abs(np.linalg.det(made.params)) < 1e-12:
        raise ValueError("the corners of a page lie on one line")
    found: npt.NDArray[np.float64] = made.params
    return found
