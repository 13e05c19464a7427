"""Draw the chosen icons once into plain arrays on disk, with doubles and copies of kept-out drawings removed.

The store is a folder with ``ink.u8`` (N, 96, 96), the coverage of one-colour icons, ``colour.u8`` (M, 96, 96, 4), the
RGBA pixels of coloured ones, and ``drawings.json`` with the set and name of each row, the ink rows first.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from iconify import IconSet, list_sets, load_set, render
from starter.sources import held_out, is_mark, training_sets

SIZE = 96
_COPY_SIDE = 16
_COPY_CORRELATION = 0.985

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Drawing:
    """Where a drawing comes from.

    Attributes:
        prefix: Prefix of its icon set.
        name: Name in the set.
    """

    prefix: str
    name: str


@dataclass(frozen=True)
class Store:
    """All drawings, memory-mapped.

    Attributes:
        ink: (N, 96, 96) coverage of one-colour icons, 0 is paper.
        colour: (M, 96, 96, 4) RGBA of coloured icons.
        drawings: N + M sources, in the order of the rows, ink first.
    """

    ink: Pixels
    colour: Pixels
    drawings: list[Drawing]


def draw(svg: str) -> Pixels | None:
    """Draw one document to (96, 96, 4) RGBA; None when it is empty or broken (animated icons start empty)."""
    try:
        pixels = np.asarray(render(svg, SIZE))
    except ValueError:
        return None
    return pixels if pixels[..., 3].mean() > 2 else None


def prepare_store(root: Path, folder: Path, workers: int = 2) -> None:
    """Draw every training icon of the package at ``root`` and write the store into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    kept_out = _signatures(np.stack(list(_kept_out_drawings(root))))
    ink_rows: list[Drawing] = []
    colour_rows: list[Drawing] = []
    seen: set[bytes] = set()
    context = multiprocessing.get_context("spawn")
    with (
        (folder / "ink.u8").open("wb") as ink_file,
        (folder / "colour.u8").open("wb") as colour_file,
        context.Pool(workers, initializer=os.nice, initargs=(10,)) as pool,
    ):
        for icon_set in training_sets(root):
            names = [name for name in icon_set.icons if _wanted(icon_set, name)]
            drawn = pool.map(draw, [icon_set.icons[name] for name in names], chunksize=64)
            usable = [(name, pixels) for name, pixels in zip(names, drawn, strict=True) if pixels is not None]
            if not usable:
                continue
            copies = _copies(np.stack([pixels for _, pixels in usable]), kept_out)
            for (name, pixels), is_copy in zip(usable, copies, strict=True):
                digest = hashlib.blake2b(pixels.tobytes(), digest_size=16).digest()
                if is_copy or digest in seen:
                    continue
                seen.add(digest)
                if _is_coloured(pixels):
                    colour_file.write(pixels.tobytes())
                    colour_rows.append(Drawing(icon_set.prefix, name))
                else:
                    ink_file.write(np.ascontiguousarray(pixels[..., 3]).tobytes())
                    ink_rows.append(Drawing(icon_set.prefix, name))
    listing = {
        "ink": [[row.prefix, row.name] for row in ink_rows],
        "colour": [[row.prefix, row.name] for row in colour_rows],
    }
    (folder / "drawings.json").write_text(json.dumps(listing), encoding="utf-8")


def open_store(folder: Path) -> Store:
    """Open a store written by `prepare_store`."""
    listing = json.loads((folder / "drawings.json").read_text(encoding="utf-8"))
    ink = np.memmap(folder / "ink.u8", np.uint8, "r").reshape(-1, SIZE, SIZE)
    colour = np.memmap(folder / "colour.u8", np.uint8, "r").reshape(-1, SIZE, SIZE, 4)
    return Store(ink, colour, [Drawing(*row) for row in listing["ink"] + listing["colour"]])


def on_paper(pixels: Pixels) -> Pixels:
    """Lay (..., 4) RGBA pixels over white, giving (..., 3) RGB."""
    alpha = pixels[..., 3:].astype(np.uint16)
    return ((pixels[..., :3] * alpha + 255 * (255 - alpha)) // 255).astype(np.uint8)


def _wanted(icon_set: IconSet, name: str) -> bool:
    return name not in icon_set.aliases and not is_mark(name) and "skin-tone" not in name


def _is_coloured(pixels: Pixels) -> bool:
    """Whether any visible pixel is not black: one-colour icons are drawn in black."""
    return bool((pixels[..., :3][pixels[..., 3] > 128] > 24).any())


def _kept_out_drawings(root: Path) -> Iterator[Pixels]:
    for prefix in list_sets(root):
        # Logos are never trained on either, so a copy of one cannot arise.
        if not held_out(prefix) or prefix == "streamline-logos":
            continue
        icon_set = load_set(root, prefix)
        for name, svg in icon_set.icons.items():
            if name not in icon_set.aliases and "skin-tone" not in name:
                pixels = draw(svg)
                if pixels is not None:
                    yield pixels


def _signatures(pixels: Pixels) -> npt.NDArray[np.float32]:
    """Reduce (N, 96, 96, 4) drawings to (N, 256) centred unit vectors of brightness."""
    grey = on_paper(pixels).mean(axis=-1, dtype=np.float32)
    step = SIZE // _COPY_SIDE
    small = (
        grey.reshape(len(grey), _COPY_SIDE, step, _COPY_SIDE, step).mean(axis=(2, 4)).reshape(len(grey), -1)
    )
    small -= small.mean(axis=1, keepdims=True)
    unit: npt.NDArray[np.float32] = small / np.maximum(np.linalg.norm(small, axis=1, keepdims=True), 1e-6)
    return unit


def _copies(pixels: Pixels, kept_out: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """Which drawings look the same as a kept-out one (correlation of their thumbnails)."""
    similarity = _signatures(pixels) @ kept_out.T
    result: npt.NDArray[np.bool_] = similarity.max(axis=1) > _COPY_CORRELATION
    return result
