"""Photographed and scanned sketchbook pages made by script: where the page lies and what is drawn on it is known."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

Paper = Literal["plain", "lined", "squared"]
Kind = Literal["photo", "scan"]
Box = tuple[float, float, float, float]
Corners = tuple[tuple[float, float], ...]

PAPERS: Final = ((252, 250, 246), (244, 234, 212), (226, 214, 190), (214, 216, 220), (238, 240, 244))
DESKS: Final = ((92, 62, 40), (58, 60, 66), (150, 112, 74), (40, 52, 60), (120, 90, 84))
INKS: Final = ((28, 26, 30), (70, 68, 72), (30, 44, 120), (150, 40, 36), (104, 100, 98))


@dataclass(frozen=True)
class MadePage:
    """A page as the camera sees it.

    Attributes:
        picture: RGB.
        corners: Of the page in the picture, from the upper left one clockwise.
        size: Of the flat page.
        boxes: Of the drawings on the flat page: left, top, right, bottom.
    """

    picture: Image.Image
    corners: Corners
    size: tuple[int, int]
    boxes: tuple[Box, ...]


def page(
    seed: int, paper: Paper = "plain", kind: Kind = "photo", width: int = 700, drawings: int = 4
) -> MadePage:
    """A page with `drawings` drawings, each of several strokes that do not all touch."""
    chance = random.Random(seed)
    height = round(width * chance.choice((1.25, 1.414, 1.414, 0.75)))
    flat = Image.new("RGB", (width, height), chance.choice(PAPERS))
    if paper != "plain":
        _rule(flat, chance, paper)
    boxes = _draw_all(flat, chance, drawings)
    lit = _lit(np.asarray(flat, np.float32), chance)
    if kind == "scan":
        seen = _noisy(lit, chance, 2.0)
        whole = ((0.0, 0.0), (float(width), 0.0), (float(width), float(height)), (0.0, float(height)))
        return MadePage(seen, whole, (width, height), boxes)
    picture, corners = _photographed(Image.fromarray(lit.astype(np.uint8)), chance)
    return MadePage(_noisy(np.asarray(picture, np.float32), chance, 4.0), corners, (width, height), boxes)


def _rule(flat: Image.Image, chance: random.Random, paper: Paper) -> None:
    pen = ImageDraw.Draw(flat)
    step = flat.width / chance.uniform(18, 26)
    colour = chance.choice(((166, 186, 214), (186, 196, 206), (206, 178, 178)))
    for number in range(1, int(max(flat.size) / step) + 1):
        at = round(number * step)
        pen.line((0, at, flat.width, at), colour, 1)
        if paper == "squared":
            pen.line((at, 0, at, flat.height), colour, 1)


def _draw_all(flat: Image.Image, chance: random.Random, count: int) -> tuple[Box, ...]:
    """Draws in cells of a grid, far enough apart that a person sees separate drawings."""
    across = 2 if count <= 6 else 3
    down = -(-count // across)
    wide, high = flat.width / across, flat.height / down
    boxes = []
    for number in range(count):
        left, top = number % across * wide, number // across * high
        room = (left + 0.08 * wide, top + 0.08 * high, left + 0.92 * wide, top + 0.92 * high)
        w = (room[2] - room[0]) * chance.uniform(0.6, 1.0)
        h = (room[3] - room[1]) * chance.uniform(0.6, 1.0)
        x = chance.uniform(room[0], room[2] - w)
        y = chance.uniform(room[1], room[3] - h)
        boxes.append(_draw(flat, chance, (x, y, x + w, y + h)))
    return tuple(boxes)


def _draw(flat: Image.Image, chance: random.Random, room: Box) -> Box:
    """One drawing; returns the box of its ink."""
    mask = Image.new("L", flat.size, 0)
    pen = ImageDraw.Draw(mask)
    x0, y0, x1, y1 = room
    w, h = x1 - x0, y1 - y0
    stroke = max(round(flat.width / 350), 1) + chance.randint(0, max(flat.width // 300, 1))

    def at(u: float, v: float) -> tuple[float, float]:
        return x0 + u * w, y0 + v * h

    kind = chance.choice(("face", "flower", "house", "figure", "scribble"))
    if kind == "face":
        pen.ellipse((*at(0, 0), *at(1, 1)), outline=255, width=stroke)
        for u in (0.32, 0.62):
            pen.ellipse((*at(u, 0.3), *at(u + 0.07, 0.38)), fill=255)
        pen.arc((*at(0.3, 0.45), *at(0.7, 0.8)), 20, 160, fill=255, width=stroke)
    elif kind == "flower":
        pen.line((*at(0.5, 0.35), *at(0.5, 1)), 255, stroke)
        pen.ellipse((*at(0.62, 0.6), *at(1, 0.72)), outline=255, width=stroke)
        for u, v in ((0.0, 0.1), (0.35, 0.0), (0.7, 0.1), (0.2, 0.3), (0.5, 0.3)):
            pen.ellipse((*at(u, v), *at(u + 0.28, v + 0.2)), outline=255, width=stroke)
        pen.ellipse((*at(0.4, 0.18), *at(0.6, 0.33)), fill=255)
    elif kind == "house":
        pen.rectangle((*at(0.1, 0.4), *at(0.9, 1)), outline=255, width=stroke)
        pen.polygon((at(0, 0.4), at(0.5, 0), at(1, 0.4)), fill=255)
        pen.rectangle((*at(0.4, 0.65), *at(0.6, 0.98)), fill=255)
    elif kind == "figure":
        pen.ellipse((*at(0.35, 0), *at(0.65, 0.22)), outline=255, width=stroke)
        for a, b in (((0.5, 0.26), (0.5, 0.62)), ((0.5, 0.66), (0.1, 1)), ((0.5, 0.66), (0.9, 1)), ((0, 0.45), (0.46, 0.32)), ((0.54, 0.32), (1, 0.45))):  # fmt: skip
            pen.line((*at(*a), *at(*b)), 255, stroke)
    else:
        points = [at(chance.random(), chance.random()) for _number in range(14)]
        pen.line([at(0, 0.5), *points, at(1, 0.5)], 255, stroke, "curve")
        pen.line((*at(0.5, 0), *at(0.5, 1)), 255, stroke)
    # Pencils and pens are not equally dark everywhere.
    grain = Image.effect_noise(flat.size, 40).point(lambda value: min(255, 150 + value // 2))
    ink = Image.composite(grain, Image.new("L", flat.size, 0), mask)
    flat.paste(chance.choice(INKS), (0, 0), ink)
    found = mask.getbbox()
    assert found is not None
    return tuple(float(value) for value in found)  # type: ignore[return-value]


def _lit(flat: np.ndarray, chance: random.Random) -> np.ndarray:
    """Light from one side, and the soft shadow of a hand or a head over an edge of the page."""
    high, wide = flat.shape[:2]
    v, u = np.mgrid[0:high, 0:wide].astype(np.float32)
    u, v = u / wide, v / high
    angle = chance.uniform(0, 2 * np.pi)
    light = 1 - chance.uniform(0.05, 0.3) * (
        0.5 + 0.5 * (np.cos(angle) * (2 * u - 1) + np.sin(angle) * (2 * v - 1))
    )
    side = chance.choice(((0.0, None), (1.0, None), (None, 0.0), (None, 1.0)))
    at_u = chance.random() if side[0] is None else side[0]
    at_v = chance.random() if side[1] is None else side[1]
    far = np.hypot((u - at_u) * 1.3, (v - at_v)) / chance.uniform(0.3, 0.6)
    shadow = 1 - chance.uniform(0.15, 0.4) / (1 + np.exp(np.minimum((far - 1) * chance.uniform(6, 25), 60)))
    warm = np.array([1.0, chance.uniform(0.95, 1.0), chance.uniform(0.85, 1.0)], np.float32)
    return np.clip(flat * (light * shadow)[..., None] * warm, 0, 255)


def _photographed(flat: Image.Image, chance: random.Random) -> tuple[Image.Image, Corners]:
    """The page on a desk, seen from the side: larger at one edge, turned by some degrees."""
    wide, high = flat.size
    frame = (round(wide * 1.3), round(high * 1.25))
    slant = chance.uniform(0.0, 0.09)
    turn = np.deg2rad(chance.uniform(-8, 8))
    middle = np.array(frame) / 2
    raw = np.array([(-0.5 + slant, -0.5), (0.5 - slant, -0.5), (0.5, 0.5), (-0.5, 0.5)]) * (
        wide * 0.98,
        high * 0.95,
    )
    if chance.random() < 0.5:
        raw = raw[:, ::-1] * (wide / high, high / wide)
        raw = raw[np.argsort(np.round(np.arctan2(raw[:, 1], raw[:, 0]), 6))]
    turned = raw @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    corners = turned + middle + (chance.uniform(-12, 12), chance.uniform(-12, 12))
    source = np.array([(0, 0), (wide, 0), (wide, high), (0, high)], float)
    seen = flat.transform(
        frame, Image.Transform.PERSPECTIVE, coefficients(corners, source), Image.Resampling.BICUBIC
    )
    inside = Image.new("L", flat.size, 255).transform(
        frame, Image.Transform.PERSPECTIVE, coefficients(corners, source), Image.Resampling.BILINEAR
    )
    desk = _desk(frame, chance)
    # The page's own shadow on the desk, and its paper edge.
    under = inside.filter(ImageFilter.GaussianBlur(5)).point(lambda value: value // 3)
    desk.paste((0, 0, 0), (4, 5), under)
    desk.paste(seen, (0, 0), inside)
    return desk, tuple((float(x), float(y)) for x, y in corners)


def _desk(size: tuple[int, int], chance: random.Random) -> Image.Image:
    """Wood, more or less: long grain and stains."""
    random_of = np.random.default_rng(chance.randrange(1 << 30))
    grain = random_of.normal(0, 9, (size[1], 1, 1)) + random_of.normal(0, 4, (size[1], size[0], 1))
    colour = np.array(chance.choice(DESKS), np.float32)
    desk = Image.fromarray(np.clip(colour + grain, 0, 255).astype(np.uint8))
    return desk.filter(ImageFilter.GaussianBlur(0.8))


def _noisy(lit: np.ndarray, chance: random.Random, amount: float) -> Image.Image:
    random_of = np.random.default_rng(chance.randrange(1 << 30))
    seen = lit + random_of.normal(0, amount, lit.shape)
    return Image.fromarray(np.clip(seen, 0, 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(0.6))


def coefficients(source: np.ndarray, target: np.ndarray) -> tuple[float, ...]:
    """What Pillow wants of the projection that takes four points to four others."""
    rows, right = [], []
    for (x, y), (u, v) in zip(source, target, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        right += [u, v]
    return tuple(float(value) for value in np.linalg.solve(np.array(rows), np.array(right)))


def projected(points: np.ndarray, of: tuple[float, ...]) -> np.ndarray:
    """Points [N, 2] taken through a projection."""
    a, b, c, d, e, f, g, h = of
    x, y = points[:, 0], points[:, 1]
    under = g * x + h * y + 1
    return np.stack([(a * x + b * y + c) / under, (d * x + e * y + f) / under], axis=1)


def overlap(first: Box, second: Box) -> float:
    """Intersection over union of two boxes."""
    wide = min(first[2], second[2]) - max(first[0], second[0])
    high = min(first[3], second[3]) - max(first[1], second[1])
    both = max(wide, 0.0) * max(high, 0.0)
    area = [(box[2] - box[0]) * (box[3] - box[1]) for box in (first, second)]
    return both / (sum(area) - both) if both else 0.0


def overlaps(made: MadePage, seen: Any) -> list[float]:
    """For each drawing of a made page, how well the box that was found fits; from the page as found to the page as made."""
    size = np.array(made.size, float)
    flat = np.array([(0, 0), (1, 0), (1, 1), (0, 1)], float)
    to_picture = coefficients(flat, np.array(seen.page.corners) * made.picture.size)
    to_page = coefficients(np.array(made.corners), flat * size)
    found = []
    for x0, y0, x1, y1 in seen.page.boxes:
        points = projected(projected(np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)]), to_picture), to_page)
        found.append((*points.min(0), *points.max(0)))
    return [max((overlap(box, other) for other in found), default=0.0) for box in made.boxes]
