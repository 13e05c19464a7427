"""How well drawings are cut out of sketchbook pages whose corners and drawings are known.

Run it as: python tests/benchmarks/intake.py [--pages 60] [--width 900] [--seed 1000]

Prints, for each kind of page, the share of drawings whose box fits with an IoU of 0.9 or more, what else was cut out, how far
off the corners are, and seconds of a processor a page. Where OpenCV is installed, the usual recipe of its document
scanners is measured on the same pages: Otsu and the largest contour of four corners, the background by dilation and median.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import sketchbook
from clip_atelier.engine.intake import WHOLE, look_at

KINDS = (("plain", "photo"), ("lined", "photo"), ("squared", "photo"), ("plain", "scan"), ("lined", "scan"))
SIDE = 480


def main() -> int:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=60)
    parser.add_argument("--width", type=int, default=900, help="of the flat page in pixels")
    parser.add_argument("--seed", type=int, default=1000, help="of the first page; the others follow")
    args = parser.parse_args()
    ways: dict[str, Callable[[Path], Any]] = {"scikit-image": look_at}
    try:
        import cv2

        ways["OpenCV's recipe"] = lambda file: by_opencv(cv2, file)
    except ImportError:
        print("OpenCV is not installed: ours alone")
    overlaps: dict[tuple[str, str], list[float]] = defaultdict(list)
    corners: dict[tuple[str, str], list[float]] = defaultdict(list)
    more: dict[tuple[str, str], int] = defaultdict(int)
    seconds: dict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "page.jpg"
        for number in range(args.pages):
            paper, kind = KINDS[number % len(KINDS)]
            made = sketchbook.page(args.seed + number, paper, kind, args.width, (2, 4, 6, 9)[number % 4])  # type: ignore[arg-type]
            made.picture.save(file, quality=90)
            for way, look in ways.items():
                began = time.process_time()
                seen = look(file)
                seconds[way].append(time.process_time() - began)
                off = (np.array(seen.page.corners) * made.picture.size - np.array(made.corners)) / max(
                    made.picture.size
                )
                for key in ((way, f"{paper} {kind}"), (way, "all")):
                    overlaps[key] += sketchbook.overlaps(made, seen)
                    corners[key].append(float(np.hypot(*off.T).max()))
                    more[key] += max(len(seen.page.boxes) - len(made.boxes), 0)
    print(
        "| by | pages | drawings | IoU ≥ 0.9 | median IoU | cut out besides | corners off, median | worst |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for key, values in sorted(overlaps.items()):
        good = sum(value >= 0.9 for value in values) / len(values)
        print(
            f"| {key[0]} | {key[1]} | {len(values)} | {good:.1%} | {statistics.median(values):.3f} | {more[key]} | "
            f"{statistics.median(corners[key]):.2%} | {max(corners[key]):.2%} |"
        )
    for way, values in seconds.items():
        print(f"{way}: {statistics.mean(values):.2f} s of a processor a page")
    return 0


def by_opencv(cv2: Any, file: Path) -> Any:
    """The usual recipe of document scanners."""
    picture = cv2.imdecode(np.fromfile(file, np.uint8), cv2.IMREAD_COLOR)
    high, wide = picture.shape[:2]
    scale = SIDE / max(high, wide)
    grey = cv2.GaussianBlur(
        cv2.cvtColor(cv2.resize(picture, None, fx=scale, fy=scale), cv2.COLOR_BGR2GRAY), (5, 5), 0
    )
    _level, mask = cv2.threshold(grey, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8))
    contours, _tree = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    corners = np.array(WHOLE) * (wide, high)
    for contour in sorted(contours, key=cv2.contourArea, reverse=True)[:1]:
        rough = cv2.approxPolyDP(contour, 0.02 * cv2.arcLength(contour, True), True).reshape(-1, 2)
        if len(rough) == 4 and cv2.contourArea(rough) > 0.15 * mask.size:
            around = rough[np.argsort(np.arctan2(*(rough - rough.mean(0)).T[::-1]))] / scale
            corners = np.roll(around, -int(np.argmin(around.sum(1))), axis=0)
    lengths = np.hypot(*(np.roll(corners, -1, axis=0) - corners).T)
    size = (max(int(max(lengths[0], lengths[2])), 16), max(int(max(lengths[1], lengths[3])), 16))
    flat_corners = np.array([(0, 0), (size[0], 0), size, (0, size[1])], np.float32)
    flat = cv2.warpPerspective(
        picture, cv2.getPerspectiveTransform(corners.astype(np.float32), flat_corners), size
    )
    white = np.dstack(
        [
            cv2.divide(band, cv2.medianBlur(cv2.dilate(band, np.ones((7, 7), np.uint8)), 21), scale=255)
            for band in cv2.split(flat)
        ]
    )
    dark = 255 - white.min(2)
    _level, ink = cv2.threshold(dark, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    ink = cv2.morphologyEx(ink, cv2.MORPH_OPEN, np.ones((2, 2), np.uint8))
    near = max(round(0.05 * min(size)), 3)
    count, labels = cv2.connectedComponents(
        cv2.dilate(ink, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (near, near)))
    )
    boxes = []
    for label in range(1, count):
        x, y, w, h = cv2.boundingRect(((labels == label) & (ink > 0)).astype(np.uint8))
        if w * h > 0.0012 * size[0] * size[1]:
            boxes.append((x / size[0], y / size[1], (x + w) / size[0], (y + h) / size[1]))
    return SimpleNamespace(page=SimpleNamespace(corners=corners / (wide, high), boxes=boxes))


if __name__ == "__main__":
    sys.exit(main())
