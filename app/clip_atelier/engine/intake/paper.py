"""Paper becomes even white: its tone, shadows, vignetting and printed lines go, ink and colour stay."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

LOOKED_AT: Final = 420
"""Longer side of the picture in which the paper's tone is found; it changes slowly."""
_WHITE: Final = 0.93
"""So much of the paper's own brightness is white already: its grain and the camera's noise go."""
_STEP: Final = 2048
"""Rows that are worked on at a time: memory stays bounded."""


def even_white(flat: Image.Image) -> Image.Image:
    """A straightened page on even white paper.

    The paper's tone at a place is that of the lightest way from there to the page's edge: a drawing is a hollow that the
    paper surrounds, however large and dark it is, while a shadow comes in from outside.
    """
    small = flat.copy()
    small.thumbnail((LOOKED_AT, LOOKED_AT), Image.Resampling.BOX)
    tone = Image.merge("RGB", [Image.fromarray(_tone(np.asarray(band))) for band in small.split()])
    result = Image.new("RGB", flat.size)
    for top in range(0, flat.height, _STEP):
        box = (0, top, flat.width, min(top + _STEP, flat.height))
        part = np.asarray(flat.crop(box), np.float32)
        scale = (small.width / flat.width, small.height / flat.height)
        seen = (0.0, top * scale[1], float(small.width), min(box[3] * scale[1], small.height))
        under = tone.resize((flat.width, box[3] - top), Image.Resampling.BILINEAR, box=seen)
        evened = part / np.maximum(np.asarray(under, np.float32), 1.0) / _WHITE
        result.paste(Image.fromarray((np.clip(evened, 0, 1) * 255 + 0.5).astype(np.uint8)), box[:2])
    return without_lines(result)


def _tone(band: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The paper's brightness everywhere in one colour channel."""
    from scipy import ndimage
    from skimage.morphology import reconstruction

    reach = max(max(band.shape) // 70, 2)
    calm = ndimage.median_filter(band, 3)
    # Ink that runs off the page would be a way out of the hollow: thin strokes are closed over before.
    closed = ndimage.grey_closing(calm, size=(2 * reach + 1, 2 * reach + 1), mode="nearest")
    seed = np.full_like(closed, closed.max())
    seed[0], seed[-1], seed[:, 0], seed[:, -1] = closed[0], closed[-1], closed[:, 0], closed[:, -1]
    filled = reconstruction(seed, closed, method="erosion")
    smooth: npt.NDArray[np.uint8] = np.clip(ndimage.gaussian_filter(filled, reach / 2), 1, 255).astype(
        np.uint8
    )
    return smooth


_FAINT: Final = 0.55
"""Most darkness of a printed line; pencils and pens are darker where they cross it."""
_SEEN: Final = 0.045
"""Least darkness that is taken for a line."""
_FEWEST: Final = 5
"""Lines in one direction that make a ruled page; a drawing has fewer that go over it."""
_OVER: Final = 0.35
"""Part of the page's width that a printed line shows on at least."""
_GAP: Final = 100
"""A printed line is at most this part of the page high: so far strokes are followed through it."""
_WAYS: Final = 8
"""Directions in which they are."""
_ALSO: Final = 0.12
"""The same on a page that is known to be ruled: ink hides much of some lines."""


def without_lines(page: Image.Image) -> Image.Image:
    """A page on even white without the lines that are printed on its paper, lying or standing."""
    small = page.copy()
    small.thumbnail((1200, 1200), Image.Resampling.BOX)
    dark = darkness(small)
    lying, standing = _lying(dark), _lying(dark.T)
    lines, printed = np.zeros(dark.shape, bool), 0.0
    for found, where in ((lying, lambda one: one), (standing, np.transpose)):
        if found is not None:
            lines |= where(found[0])
            printed = max(printed, found[1])
    if not lines.any():
        return page
    level = 1.5 * printed
    gone = lines & ~_crossing((dark > level) & ~lines, max(small.size) // _GAP)
    mask = Image.fromarray(gone * np.uint8(255)).resize(page.size, Image.Resampling.BILINEAR)
    result = page.copy()
    white = Image.new("RGB", page.size, (255, 255, 255))
    faint = Image.fromarray((darkness(page) < min(level, _FAINT)) * np.uint8(255))
    on_line = np.minimum(np.asarray(mask.point(lambda value: 255 if value > 40 else 0)), np.asarray(faint))
    result.paste(white, (0, 0), Image.fromarray(on_line))
    return result


def _crossing(ink: npt.NDArray[np.bool_], gap: int) -> npt.NDArray[np.bool_]:
    """Where strokes that are seen on both sides of a gap of so many pixels go on through it, whichever way they run."""
    from scipy import ndimage

    found = np.zeros(ink.shape, bool)
    for angle in np.arange(_WAYS) * np.pi / _WAYS:
        across = np.linspace(-gap / 2, gap / 2, 2 * gap)
        way = np.zeros((gap + 1, gap + 1), bool)
        place = np.rint(gap / 2 + np.outer((np.sin(angle), np.cos(angle)), across)).astype(int)
        way[place[0], place[1]] = True
        found |= ndimage.binary_closing(ink, way)
    thicker: npt.NDArray[np.bool_] = ndimage.binary_dilation(found, np.ones((3, 3), bool))
    return thicker


def darkness(page: Image.Image) -> npt.NDArray[np.float32]:
    """How far each pixel is from white, 0 to 1, in the channel where it is furthest: coloured ink counts as black does."""
    found: npt.NDArray[np.float32] = 1 - np.asarray(page).min(2).astype(np.float32) / 255
    return found


def _draw_through(
    lines: npt.NDArray[np.bool_], y: npt.NDArray[np.intp], x: npt.NDArray[np.intp], slope: float
) -> None:
    """Marks the straight line through some pixels from one side of the page to the other."""
    across = np.arange(lines.shape[1])
    at = np.rint(y.mean() + slope * (across - x.mean())).astype(int)
    seen = (at >= 0) & (at < lines.shape[0])
    lines[at[seen], across[seen]] = True


def _rows_in(
    y: npt.NDArray[np.intp], x: npt.NDArray[np.intp], slope: float, fewest: float
) -> Iterator[npt.NDArray[np.bool_]]:
    """The pixels of each straight line of this slope among those of a line and of strokes that touch it."""
    height = np.rint(y - slope * x).astype(int)
    height -= height.min()
    left = np.ones(len(y), bool)
    while left.any():
        counts = np.convolve(np.bincount(height[left]), np.ones(3, int), "same")
        peak = int(counts.argmax())
        at = left & (np.abs(height - peak) <= 1)
        if len(np.unique(x[at])) < fewest:
            return
        yield at
        left &= np.abs(height - peak) > 3


def _lying(dark: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.bool_], float] | None:
    """The pixels of printed lines from left to right, which may lean a little, and how dark they are; None without lines."""
    from scipy import ndimage

    width = dark.shape[1]
    reach = max(width // 24, 8)
    # A line is darker than what is above and below it, all along; what is broader, as a filled shape with its grain, is not.
    calm = ndimage.uniform_filter1d(dark, 5, axis=1)
    thin = calm - ndimage.grey_opening(calm, (9, 1)) > _SEEN
    thin &= ndimage.maximum_filter1d(dark, 5, axis=1) < _FAINT  # nor is ink that calming made faint
    long = ndimage.uniform_filter1d(thin.astype(np.float32), reach, axis=1) > 0.6
    long |= ndimage.binary_dilation(long, np.ones((3, 1), bool)) & thin
    joined = ndimage.binary_closing(long, np.ones((3, 2 * reach), bool))
    labels, _count = ndimage.label(joined, np.ones((3, 3), bool))
    pieces = []
    mixed = []
    for number, place in enumerate(ndimage.find_objects(labels), start=1):
        own = labels[place] == number
        over = float(own.any(0).sum()) / width
        if over <= _ALSO:
            continue
        if own.shape[0] >= max(0.035 * width, 8):
            y, x = np.nonzero(own & thin[place])
            mixed.append((y + place[0].start, x + place[1].start))
        else:
            y, x = np.nonzero(own)
            shades = dark[place][own & thin[place]]
            if len(shades):
                pieces.append((over, y + place[0].start, x + place[1].start, shades))
    sure = [piece for piece in pieces if piece[0] > _OVER]
    if len(sure) < _FEWEST:
        return None
    printed = float(np.quantile(np.concatenate([shades for *_rest, shades in sure]), 0.75))
    # Printed lines run alike: what ink hides most of one is seen at a short piece of it.
    middles = np.array([y.mean() for _over, y, _x, _shades in sure])
    slopes = np.array([np.polyfit(x, y, 1)[0] for _over, y, x, _shades in sure])
    turn, start = np.polyfit(middles, slopes, 1)
    for y, x in mixed:
        for at in _rows_in(y, x, float(start + turn * y.mean()), _OVER * width):
            over = len(np.unique(x[at])) / width
            pieces.append((over, y[at], x[at], dark[y[at], x[at]]))
    lines = np.zeros(dark.shape, bool)
    for over, y, x, shades in pieces:
        if np.median(shades) <= 1.5 * printed:
            lines[y, x] = True
            slope = np.polyfit(x, y, 1)[0] if over > _OVER else start + turn * y.mean()
            _draw_through(lines, y, x, float(slope))
    result: npt.NDArray[np.bool_] = ndimage.binary_dilation(lines, np.ones((3, 2 * reach + 1), bool))
    return result, printed
