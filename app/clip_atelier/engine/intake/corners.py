"""Where the page lies in a photograph: its four corners, or that the picture is all page, as a scan is."""

from __future__ import annotations

import itertools
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Corners = tuple[tuple[float, float], ...]
"""Four points (x, y) in parts of the picture's width and height: upper left, upper right, lower right, lower left."""
WHOLE: Final[Corners] = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))

SIDE: Final = 480
"""Longer side in pixels of the picture that is looked at: ink and paper grain are gone, the page's edge is not."""
_CONTRAST: Final = 6.0
"""Least difference of colour (CIELAB) across a side of the page."""
_ALONG: Final = 0.7
"""Part of each side along which it must be seen."""
_SMALLEST: Final = 0.15
"""Part of the picture that a page fills at least."""
_STRAY: Final = 1.5
"""Pixels that a point may lie off the side that it belongs to."""


def find_corners(picture: npt.NDArray[np.uint8]) -> Corners | None:
    """The corners of the page in a photograph.

    The page is what surrounds the middle, the desk what lies along the picture's borders; they meet where the colour
    changes most. Shadows change it softly, and ink is closed over before. A page may be cut off by one or two borders.

    Args:
        picture: RGB [height, width, 3], its longer side about `SIDE`.

    Returns:
        None where no page with its four sides is found: then the picture is taken to be all page.
    """
    from skimage import color, filters
    from skimage.morphology import closing, disk

    height, width = picture.shape[:2]
    if min(height, width) < 32:
        return None
    lab: npt.NDArray[np.float64] = color.rgb2lab(picture)
    ink = disk(max(round(max(height, width) / 80), 2))
    lab[..., 0] = closing(lab[..., 0], ink)
    lab = filters.gaussian(lab, 1.2, channel_axis=2)
    edges = np.sqrt(sum(filters.sobel(lab[..., channel]) ** 2 for channel in range(3)))
    best: tuple[float, Corners | None] = (0.0, None)
    for count in (4, 3, 2):
        for desk in itertools.combinations(range(4), count):
            found = _page(lab, edges, desk)
            if found is not None and found[0] > best[0]:
                best = found
        if best[1] is not None:
            break
    return best[1]


def _page(
    lab: npt.NDArray[np.float64], edges: npt.NDArray[np.float64], desk: tuple[int, ...]
) -> tuple[float, Corners] | None:
    """The page where the desk is seen along these borders (top, right, bottom, left), with how well its sides show."""
    from scipy import ndimage
    from skimage import segmentation

    height, width = edges.shape
    markers = np.zeros((height, width), np.int32)
    rows, columns = np.ogrid[:height, :width]
    middle = ((rows - height / 2) / (height * 0.18)) ** 2 + ((columns - width / 2) / (width * 0.18)) ** 2
    borders = (np.s_[:2, :], np.s_[:, -2:], np.s_[-2:, :], np.s_[:, :2])
    markers[middle <= 1] = 2
    for border in desk:
        markers[borders[border]] = 1
    page = ndimage.binary_fill_holes(segmentation.watershed(edges, markers) == 2)
    if page.mean() < _SMALLEST:
        return None
    sides = _sides(page)
    if sides is None:
        return None
    points = np.array(sides)
    shown = _shown(lab, points)
    if shown is None:
        return None
    found = tuple(
        (float(min(max(x / width, 0.0), 1.0)), float(min(max(y / height, 0.0), 1.0))) for x, y in points
    )
    return shown, found


def _sides(page: npt.NDArray[np.bool_]) -> list[tuple[float, float]] | None:
    """The four corners of a region in pixels, from the lines along its sides; None where it has no four sides."""
    from skimage import measure

    padded = np.pad(page, 1)
    contour = max(measure.find_contours(padded.astype(float), 0.5), key=len)[:, ::-1] - 0.5
    hull = contour[_hull(contour)]
    # The point where a closed line begins is always kept: it must be a corner.
    hull = np.roll(hull, -int(np.argmax(np.hypot(*(hull - hull.mean(0)).T))), axis=0)
    around = np.vstack([hull, hull[:1]])
    reach = float(np.hypot(*(hull.max(0) - hull.min(0))))
    rough = around
    for tolerance in np.linspace(0.01, 0.12, 23) * reach:
        rough = measure.approximate_polygon(around, float(tolerance))
        if len(rough) <= 5:
            break
    if len(rough) != 5:
        return None
    corners = _ordered(rough[:4])
    lines = []
    for start, end in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        line = _line(contour, start, end)
        if line is None:
            return None
        lines.append(line)
    met = [_meeting(lines[number - 1], lines[number]) for number in range(4)]
    if any(point is None for point in met):
        return None
    exact = np.array([point for point in met if point is not None])
    if np.abs(exact - corners).max() > 0.1 * reach or not _is_page(exact):
        return None
    return [(float(x), float(y)) for x, y in exact]


def _hull(points: npt.NDArray[np.float64]) -> npt.NDArray[np.int32]:
    from scipy.spatial import ConvexHull

    found: npt.NDArray[np.int32] = ConvexHull(points).vertices
    return found


def _ordered(corners: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Clockwise from the corner that is nearest to the picture's upper left one."""
    middle = corners.mean(0)
    around = corners[np.argsort(np.arctan2(*(corners - middle).T[::-1]))]
    found: npt.NDArray[np.float64] = np.roll(around, -int(np.argmin(around.sum(1))), axis=0)
    return found


def _line(
    contour: npt.NDArray[np.float64], start: npt.NDArray[np.float64], end: npt.NDArray[np.float64]
) -> Any:
    """The line through most of the contour's points between two corners, as (origin, direction)."""
    from skimage import measure

    along = end - start
    length = float(np.hypot(*along))
    if length < 8:
        return None
    unit = along / length
    place = (contour - start) @ unit
    off = np.abs((contour - start) @ np.array([-unit[1], unit[0]]))
    points = contour[(place > 0.05 * length) & (place < 0.95 * length) & (off < max(0.04 * length, 3))]
    if len(points) < 8:
        return None
    model, _good = measure.ransac(
        points, measure.LineModelND, min_samples=2, residual_threshold=_STRAY, max_trials=200, rng=0
    )
    return None if model is None else (model.origin, model.direction)


def _meeting(first: Any, second: Any) -> npt.NDArray[np.float64] | None:
    (p, d), (q, e) = first, second
    matrix = np.stack([d, -e], axis=1)
    if abs(float(np.linalg.det(matrix))) < 0.2:
        return None
    along = np.linalg.solve(matrix, q - p)
    found: npt.NDArray[np.float64] = p + along[0] * d
    return found


def _is_page(corners: npt.NDArray[np.float64]) -> bool:
    """Whether four corners could be those of a sheet seen not too much from the side."""
    after = np.roll(corners, -1, axis=0) - corners
    before = np.roll(corners, 1, axis=0) - corners
    lengths = np.hypot(*after.T)
    cosines = (after * before).sum(1) / (lengths * np.roll(lengths, 1) + 1e-9)
    crosses = after[:, 0] * before[:, 1] - after[:, 1] * before[:, 0]
    return bool(np.abs(cosines).max() < 0.64 and (crosses > 0).all() and lengths.min() * 8 > lengths.max())


def _shown(lab: npt.NDArray[np.float64], corners: npt.NDArray[np.float64]) -> float | None:
    """How much the colour changes across the sides, at the one where it does least; None where a side is not seen."""
    height, width = lab.shape[:2]
    least = np.inf
    for start, end in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        unit = (end - start) / max(float(np.hypot(*(end - start))), 1e-9)
        inward = np.array([-unit[1], unit[0]])
        line = start + np.linspace(0.06, 0.94, 60)[:, None] * (end - start)
        if _on_border(line, width, height):
            continue
        inside, outside = line + 5 * inward, line - 5 * inward
        seen = _within(inside, width, height) & _within(outside, width, height)
        if seen.mean() < _ALONG:
            return None
        difference = np.linalg.norm(_at(lab, inside[seen]) - _at(lab, outside[seen]), axis=1)
        if (difference > _CONTRAST).mean() < _ALONG:
            return None
        least = min(least, float(np.median(difference)))
    return least if np.isfinite(least) else None


def _on_border(line: npt.NDArray[np.float64], width: int, height: int) -> bool:
    x, y = line[:, 0], line[:, 1]
    return any(
        bool((np.abs(place - border) < 4).all())
        for place, border in ((x, 0), (x, width - 1), (y, 0), (y, height - 1))
    )


def _within(points: npt.NDArray[np.float64], width: int, height: int) -> npt.NDArray[np.bool_]:
    found: npt.NDArray[np.bool_] = np.all((points >= 0) & (points <= (width - 1, height - 1)), axis=1)
    return found


def _at(lab: npt.NDArray[np.float64], points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    x, y = np.rint(points).astype(int).T
    found: npt.NDArray[np.float64] = lab[y, x]
    return found
