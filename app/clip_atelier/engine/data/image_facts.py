"""One file read in full: its digest, its size, and what it looks like."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from clip_atelier.engine.core import _
from clip_atelier.engine.data import embedded_texts, frames, image_gate, vectors
from clip_atelier.engine.data.frames import Frame
from clip_atelier.engine.data.pixels import Fit

SIGHT: Final = 16
"""Side of the small grey picture kept for telling near-duplicates from look-alikes."""
_STEP: Final = 2
"""Neighbouring cells count as different from this many grey levels on, so that noise on blank paper sets no bits."""


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What is kept about an image that was decoded without fault.

    Attributes:
        digest: SHA-256 of the file, in hex; of a page, see `image_gate.digest_in`.
        width: Upright, in pixels.
        height: Upright, in pixels.
        look: 64-bit difference hash.
        sight: The letterboxed drawing in grey, uint8 [SIGHT, SIGHT], as bytes.
        told: Captions that the file itself holds, see `embedded_texts`.
    """

    digest: str
    width: int
    height: int
    look: int
    sight: bytes
    told: tuple[str, ...] = ()


class Fitting(Protocol):
    """Wants the pictures that a scan decodes, at a model's size, so that they need not be decoded again."""

    @property
    def frame(self) -> Frame:
        """What the model is shown."""

    @property
    def how(self) -> Fit:
        """How an image is fitted into it."""

    def take(self, digest: str, picture: NDArray[np.uint8]) -> None:
        """Keeps the prepared picture of the file with this SHA-256."""


def read(
    path: Path, fitting: Fitting | None = None, known: Callable[[str], ImageFacts | None] | None = None
) -> tuple[ImageFacts, NDArray[np.uint8] | None]:
    """Decodes an image in full.

    Args:
        path: The file.
        fitting: For what model the picture is wanted too, if at all.
        known: Gives what is known of a content, by its digest; such a file is not decoded.

    Returns:
        What is kept, and the fitted picture. That is None where it is not wanted, and where it may be another one than
        `images.load` would give at that size: very large images, and JPEG and SVG files for a model of uncommonly large input.

    Raises:
        ImageProblem: it cannot be used, or shows nothing.
    """
    with image_gate.open_regular(path) as file:
        digest = image_gate.digest_in(path, file)
        if known is not None and (facts := known(digest)) is not None:
            return facts, None
        file.seek(0)
        return read_open(path, file, digest, fitting)


def read_open(
    path: Path, file: BinaryIO, digest: str, fitting: Fitting | None = None
) -> tuple[ImageFacts, NDArray[np.uint8] | None]:
    """As `read`, from a file of this digest that is open at its start; `path` is only named in problems."""
    same_until = _same_until(file.read(16))
    file.seek(0)
    image, (width, height) = image_gate.decode(path, file, 8 * SIGHT)
    small = image.convert("L")
    small.thumbnail((8 * SIGHT, 8 * SIGHT), Image.Resampling.BOX)
    low, high = small.getextrema()
    # What is of one colour is so when made small too; the whole is only looked through where that leaves a doubt.
    if low == high and _of_one_colour(image) and not image_gate.shows_layers(file, image):
        raise image_gate.ImageProblem(
            path,
            _("Nothing is drawn on it: it is empty or of one colour."),
        )
    told = embedded_texts.captions(file)
    picture = None
    if fitting and width * height <= image_gate.BIG_PIXELS and frames.square(fitting.frame) <= same_until:
        picture = image_gate.fit(image, fitting.frame, fitting.how)
    return ImageFacts(digest, width, height, *_looks(small), told), picture


def _same_until(start: bytes) -> float:
    """Up to which target a file of these first bytes is decoded to the same pixels."""
    if start.startswith((b"\xff\xd8\xff", b"PK")):  # JPEG, or a file that may hold one
        return image_gate.REDUCED
    return vectors.CLOSE if vectors.begins(start) else float("inf")


def _of_one_colour(image: Image.Image) -> bool:
    return image.getextrema() == tuple((value, value) for value in image.crop((0, 0, 1, 1)).tobytes())


def _looks(small: Image.Image) -> tuple[int, bytes]:
    grey = Image.fromarray(image_gate.fit(small.convert("RGB"), 4 * SIGHT)).convert("L")
    cells = np.asarray(grey.resize((9, 8), Image.Resampling.BOX), dtype=np.int16)
    bits = (cells[:, :-1] - cells[:, 1:]) >= _STEP
    look = int.from_bytes(np.packbits(bits).tobytes(), "big")
    return look, grey.resize((SIGHT, SIGHT), Image.Resampling.BOX).tobytes()
