"""Drawings prepared for a model: as a square, or in their own shape as a row of patches (see `frames`)."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from PIL import Image

from clip_atelier.engine.data import pixels
from clip_atelier.engine.data.frames import Frame, Patches
from clip_atelier.engine.data.pixels import Fit

Picture = npt.NDArray[np.uint8]
"""A prepared drawing, of the shape that `frames.shape` tells."""


def fit(image: Image.Image, frame: Frame, how: Fit = "letterbox") -> Picture:
    """An RGB image as a model is shown it.

    Args:
        image: RGB, any size.
        frame: What the model is shown.
        how: As for `pixels.fit`; a drawing that may keep its shape needs no paper around it, and is made a square only to
            be cropped or squashed.
    """
    if not isinstance(frame, Patches):
        return pixels.fit(image, frame, how)
    if how != "letterbox":
        return patched(pixels.fit(image, frame.square, how), frame)
    rows, columns = frame.grid(*image.size)
    size = (columns * frame.side, rows * frame.side)
    # By one filter alone and without first averaging whole pixels: as transformers does it, to the bit.
    return patched(np.asarray(image.resize(size, Image.Resampling(frame.resample))), frame)


def view(
    image: Image.Image, frame: Frame, how: Fit = "letterbox", index: int = 0, crop_min: float = 0.7, flip: bool = False,
    seed: int = 0,
) -> Picture:  # fmt: skip
    """A slightly varied view of an RGB image; see `pixels.view`. Where shapes are free, there is no paper to move it on."""
    if not isinstance(frame, Patches):
        return pixels.view(image, frame, how, index, crop_min, flip, seed)
    if index == 0:
        return fit(image, frame, how)
    if how == "letterbox":
        return fit(pixels.part(image, random.Random(f"{seed}/{index}"), crop_min, flip), frame)
    return patched(pixels.view(image, frame.square, how, index, crop_min, flip, seed), frame)


def patched(picture: npt.NDArray[np.uint8], frame: Patches) -> Picture:
    """Pixels [H, W, 3], both a whole number of patches, as a prepared drawing."""
    rows, columns = picture.shape[0] // frame.side, picture.shape[1] // frame.side
    found = np.zeros(frame.shape, np.uint8)
    found[0, :4] = np.array([rows, columns], "<u2").view(np.uint8)
    parts = picture.reshape(rows, frame.side, columns, frame.side, 3).swapaxes(1, 2)
    found[1 : rows * columns + 1] = parts.reshape(rows * columns, -1)
    return found


def square(picture: npt.NDArray[np.uint8], frame: Frame) -> Picture:
    """Pixels [size, size, 3] of the size that `frames.square` tells, as a prepared drawing."""
    return patched(picture, frame) if isinstance(frame, Patches) else picture


def whole(prepared: Picture, frame: Patches) -> npt.NDArray[np.uint8]:
    """The pixels [H, W, 3] of a prepared drawing."""
    rows, columns = (int(value) for value in prepared[0, :4].copy().view("<u2"))
    parts = prepared[1 : rows * columns + 1].reshape(rows, columns, frame.side, frame.side, 3)
    return parts.swapaxes(1, 2).reshape(rows * frame.side, columns * frame.side, 3)


def changed(
    prepared: Picture, frame: Frame, change: Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.uint8]]
) -> Picture:
    """A prepared drawing with its pixels [H, W, 3] changed to others of the same shape."""
    if isinstance(frame, Patches):
        return patched(change(whole(prepared, frame)), frame)
    return change(prepared)
