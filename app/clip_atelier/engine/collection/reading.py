"""One file read in full: its digest, its size, and what it looks like."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from clip_atelier.engine.collection import images
from clip_atelier.engine.i18n import _

SIGHT: Final = 16
"""Side of the small grey picture kept for telling near-duplicates from look-alikes."""
_STEP: Final = 2
"""Neighbouring cells count as different from this many grey levels on, so that noise on blank paper sets no bits."""


@dataclass(frozen=True)
class Reading:
    """What is kept about an image that was decoded without fault.

    Attributes:
        digest: SHA-256 of the file, in hex.
        width: Upright, in pixels.
        height: Upright, in pixels.
        look: 64-bit difference hash.
        sight: The letterboxed drawing in grey, uint8 [SIGHT, SIGHT], as bytes.
    """

    digest: str
    width: int
    height: int
    look: int
    sight: bytes


def read(path: Path) -> Reading:
    """Decodes an image in full.

    Raises:
        ImageProblem: it cannot be used, or shows nothing.
    """
    with images.open_regular(path) as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(0)
        image, (width, height) = images.decode(path, file, 8 * SIGHT)
    if image.getextrema() == tuple((value, value) for value in image.crop((0, 0, 1, 1)).tobytes()):
        raise images.ImageProblem(
            path,
            _("Nothing is drawn on it: it is empty, of one colour, or white on a transparent ground."),
            _("Give a white drawing a darker background."),
        )
    return Reading(digest, width, height, *_looks(image))


def _looks(image: Image.Image) -> tuple[int, bytes]:
    small = image.convert("L")
    small.thumbnail((8 * SIGHT, 8 * SIGHT), Image.Resampling.BOX)
    grey = Image.fromarray(images.fit(small.convert("RGB"), 4 * SIGHT)).convert("L")
    cells = np.asarray(grey.resize((9, 8), Image.Resampling.BOX), dtype=np.int16)
    bits = (cells[:, :-1] - cells[:, 1:]) >= _STEP
    look = int.from_bytes(np.packbits(bits).tobytes(), "big")
    return look, grey.resize((SIGHT, SIGHT), Image.Resampling.BOX).tobytes()
