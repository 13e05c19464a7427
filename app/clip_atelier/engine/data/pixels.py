"""Pixels to pixels: every mode to RGB, and RGB to the square that a model sees."""

from __future__ import annotations

import math
import random
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms

Fit = Literal["letterbox", "crop", "squash"]
Square = npt.NDArray[np.uint8]
"""[size, size, 3]"""

_BAND: Final = 1_000_000
_GAP: Final = 3.0
"""From twice this many times the wanted size on, whole pixels are averaged before the bicubic filter: a third less time, and
a quarter of a grey level's difference on average."""
WHITE: Final = (255, 255, 255)
DARK: Final = (40, 40, 40)
"""The ground under white ink."""
_DEEP: Final = ("I;16", "I;16L", "I;16B", "I;16N", "I", "F")


def to_rgb(
    image: Image.Image, zero_is_white: bool = False, ground: tuple[int, int, int] | None = None
) -> Image.Image:
    """RGB on white paper, from any mode that Pillow decodes; white ink alone lies on dark paper, as it is not seen on white.

    Args:
        image: Loaded and upright.
        zero_is_white: For modes of more than 8 bits: whether small values are bright.
        ground: The paper under what is transparent; the one that shows the ink where left out.
    """
    if image.mode in _DEEP:
        return _from_deep(image, zero_is_white)
    if image.mode == "LAB":
        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB")
        return converted if converted is not None else image
    if image.has_transparency_data:
        ink = image if image.mode == "RGBA" else image.convert("RGBA")
        paper = _laid(ink, ground or WHITE)
        return _laid(ink, DARK) if ground is None and _unseen(paper, ink) else paper
    if image.mode != "RGB":
        return image.convert("RGB")
    image.info = {}  # what it says of the file (EXIF, gamma) is used up
    return image


def _laid(ink: Image.Image, ground: tuple[int, int, int]) -> Image.Image:
    paper = Image.new("RGB", ink.size, ground)
    paper.paste(ink, mask=ink.getchannel("A"))
    return paper


def _unseen(paper: Image.Image, ink: Image.Image) -> bool:
    """Whether something is drawn in RGBA ink that cannot be seen on white paper."""
    if paper.getextrema() != ((255, 255),) * 3:
        return False
    low, high = ink.getchannel("A").getextrema()
    return low != high  # of one and the same transparency it shows nothing on any ground


def to_small_rgb(image: Image.Image, target: int, zero_is_white: bool = False) -> Image.Image:
    """As `to_rgb`, of a whole fraction of a large image whose shorter side stays at least twice `target`.

    Works through the image in bands, so that no second copy of it is ever whole in memory.
    """
    factor = min(image.size) // (2 * target)
    if factor < 2 or image.mode in ("I", "F"):  # their range is that of the whole image
        return to_rgb(image, zero_is_white)
    step = factor * max(1, _BAND // (image.width * factor))
    ground = None
    if image.has_transparency_data and image.mode not in _DEEP:  # one ground for all bands
        ground = WHITE
        strips = (
            image.crop((0, top, image.width, min(top + step, image.height)))
            for top in range(0, image.height, step)
        )
        if all(_laid(strip.convert("RGBA"), WHITE).getextrema() == ((255, 255),) * 3 for strip in strips):
            ground = DARK
    small = Image.new("RGB", (-(-image.width // factor), -(-image.height // factor)))
    for top in range(0, image.height, step):
        band = image.crop((0, top, image.width, min(top + step, image.height)))
        small.paste(to_rgb(band, zero_is_white, ground).reduce(factor), (0, top // factor))
    return small


def _from_deep(image: Image.Image, zero_is_white: bool) -> Image.Image:
    """16-bit by its full range; 32-bit and float by the range their values are in (0 to 1, 255, 65535, or their own)."""
    values: npt.NDArray[Any] = np.asarray(image)
    if values.dtype.kind == "u" and values.dtype.itemsize == 2:
        grey = _SIXTEEN[values]  # [height, width]
        top = 65535.0
    else:
        values = np.nan_to_num(values.astype(np.float32), nan=np.nan, posinf=np.nan, neginf=np.nan)
        seen = values[~np.isnan(values)]
        low, high = (float(seen.min()), float(seen.max())) if seen.size else (0.0, 0.0)
        top = _range(low, high, image.mode)
        if not low >= 0 or top == 0:  # no usual range: stretch
            values, top = values - low, (high - low) or 1.0
        grey = np.nan_to_num(values * (255 / top), nan=255.0).round().clip(0, 255).astype(np.uint8)
    if zero_is_white:
        grey = 255 - grey
    clear = image.info.get("transparency")
    if isinstance(clear, int):  # PNG: this one value is transparent
        grey = np.where(np.asarray(image) == clear, np.uint8(255), grey)
    return Image.fromarray(grey).convert("RGB")


def _range(low: float, high: float, mode: str) -> float:
    usual = (1.0, 255.0, 65535.0) if mode == "F" else (255.0, 65535.0)
    return next((top for top in usual if low >= 0 and high <= top), 0.0)


_SIXTEEN: Final = ((np.arange(65536, dtype=np.uint32) + 128) // 257).astype(np.uint8)


def paper_colour(image: Image.Image) -> tuple[int, int, int]:
    """The colour of the paper: the median of the pixels along the border of an RGB image."""
    width, height = image.size
    strips = (
        (0, 0, width, 1),
        (0, height - 1, width, height),
        (0, 0, 1, height),
        (width - 1, 0, width, height),
    )
    border = np.concatenate([np.asarray(image.crop(strip)).reshape(-1, 3) for strip in strips])
    red, green, blue = np.sort(border, axis=0)[len(border) // 2]
    return int(red), int(green), int(blue)


def fit(image: Image.Image, size: int, how: Fit = "letterbox") -> Square:
    """An RGB image as the square that a model sees.

    Args:
        image: RGB, any size.
        size: Side of the square in pixels.
        how: "letterbox" keeps the whole drawing and fills with the paper's colour; "crop" takes the central square;
            "squash" keeps the whole drawing and not its shape.

    Returns:
        uint8 [size, size, 3]
    """
    if how == "crop":
        side = min(image.size)
        left, top = (image.width - side) / 2, (image.height - side) / 2
        box = (left, top, left + side, top + side)
        return np.array(image.resize((size, size), Image.Resampling.BICUBIC, box=box, reducing_gap=_GAP))
    if how == "squash":
        return np.array(image.resize((size, size), Image.Resampling.BICUBIC, reducing_gap=_GAP))
    return _place(image, size, paper_colour(image), 1.0, 0.5, 0.5)


def view(
    image: Image.Image, size: int, how: Fit = "letterbox", index: int = 0, crop_min: float = 0.7, flip: bool = False,
    seed: int = 0,
) -> Square:  # fmt: skip
    """A slightly varied view of an RGB image; a pure function of its arguments. View 0 is `fit`.

    Args:
        image: RGB, any size.
        size: Side of the square in pixels.
        how: As for `fit`.
        index: Which view.
        crop_min: Smallest share of the drawing's area that stays in view, 0 to 1.
        flip: Whether half of the views are mirrored.
        seed: Another seed gives other views.

    Returns:
        uint8 [size, size, 3]
    """
    if index == 0:
        return fit(image, size, how)
    chance = random.Random(f"{seed}/{index}")
    paper = paper_colour(image)
    varied = part(image, chance, crop_min, flip)
    if how != "letterbox":
        return fit(varied, size, how)
    return _place(varied, size, paper, chance.uniform(0.85, 1.0), chance.random(), chance.random())


def part(image: Image.Image, chance: random.Random, crop_min: float, flip: bool) -> Image.Image:
    """A part of an RGB image, of at least `crop_min` of its area; half of the time mirrored, where that is allowed."""
    share = chance.uniform(crop_min, 1.0)
    stretch = math.sqrt(share) ** chance.uniform(-0.5, 0.5)  # the cut is not quite of the drawing's own shape
    wide, high = min(1.0, math.sqrt(share) * stretch), min(1.0, math.sqrt(share) / stretch)
    width, height = max(1, round(image.width * wide)), max(1, round(image.height * high))
    left = round(chance.random() * (image.width - width))
    top = round(chance.random() * (image.height - height))
    found = image.crop((left, top, left + width, top + height))
    if flip and chance.random() < 0.5:
        found = found.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return found


def _place(
    image: Image.Image, size: int, paper: tuple[int, int, int], scale: float, across: float, down: float
) -> Square:
    """Lays the drawing on a square sheet: its longer side takes `scale` of the sheet, `across` and `down` share the rest."""
    ratio = scale * size / max(image.size)
    width, height = (max(1, min(size, round(side * ratio))) for side in image.size)
    sheet = Image.new("RGB", (size, size), paper)
    drawing = image.resize((width, height), Image.Resampling.BICUBIC, reducing_gap=_GAP)
    sheet.paste(drawing, (int(across * (size - width)), int(down * (size - height))))
    return np.array(sheet)


def zoomed(picture: Square, factor: float) -> Square:
    """A fitted picture [H, W, 3] larger or smaller about its middle; new room has the corner's colour."""
    height, width = picture.shape[:2]
    high, wide = max(1, round(height * factor)), max(1, round(width * factor))
    resized = Image.fromarray(picture).resize((wide, high), Image.Resampling.BICUBIC)
    paper = tuple(int(value) for value in picture[0, 0])
    sheet = Image.new("RGB", (width, height), paper)
    sheet.paste(resized, ((width - wide) // 2, (height - high) // 2))
    return np.asarray(sheet)
