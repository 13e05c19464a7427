"""Near-duplicates: the same drawing saved twice, in another size, format or with a few pixels changed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from clip_atelier.engine.core import Control
from clip_atelier.engine.data.image_facts import SIGHT, ImageFacts

MAX_BITS: Final = 8
"""Most bits in which the difference hashes of near-duplicates differ."""
MAX_DIFFERENCE: Final = 0.25
"""Most root-mean-square difference of the small grey pictures, each brought to mean 0 and deviation 1.

Measured on the sample collection: the same drawing at half and 1.7 times its size, as JPEG, blurred or paler stays below
0.12, shifted by one pixel in 192 below 0.25; different drawings (waving flags up and down, faces) begin at 0.40.
"""
MAX_ASPECT: Final = 0.03
"""Most difference of the logarithms of width / height."""
_BLOCK: Final = 512
_TILE: Final = 8192
"""Images that a block is compared with at a time: of a hundred thousand, all at once would take a gigabyte."""
_MANY: Final = 65536
"""Candidates from which one matrix product is quicker than looking at each."""


class Groups:
    """Union-find over 0 … count - 1."""

    def __init__(self, count: int) -> None:
        self._parent = list(range(count))

    def find(self, index: int) -> int:
        """The representative of the group that `index` is in: its smallest member."""
        while self._parent[index] != index:
            self._parent[index] = index = self._parent[self._parent[index]]
        return index

    def join(self, first: int, second: int) -> None:
        """Makes two groups one."""
        low, high = sorted((self.find(first), self.find(second)))
        self._parent[high] = low

    def ids(self) -> tuple[int, ...]:
        """One representative per index."""
        return tuple(self.find(index) for index in range(len(self._parent)))


def near_duplicates(readings: Sequence[ImageFacts], control: Control) -> tuple[tuple[int, ...], ...]:
    """Groups of two or more readings that show (nearly) the same drawing, each sorted, in order of their first.

    Raises:
        Stopped: a stop was asked for.
    """
    groups = Groups(len(readings))
    first_of: dict[str, int] = {}
    for index, reading in enumerate(readings):
        groups.join(first_of.setdefault(reading.digest, index), index)
    distinct = np.array(sorted(first_of.values()), dtype=np.int64)
    for first, second in _alike([readings[i] for i in distinct], control):
        groups.join(int(distinct[first]), int(distinct[second]))
    members: dict[int, list[int]] = defaultdict(list)
    for index, group in enumerate(groups.ids()):
        members[group].append(index)
    return tuple(tuple(group) for _first, group in sorted(members.items()) if len(group) > 1)


def _alike(readings: Sequence[ImageFacts], control: Control) -> Iterator[tuple[int, int]]:
    if len(readings) < 2:
        return
    looks = np.array([r.look for r in readings], dtype=np.uint64)
    shapes = np.log(np.array([r.width / r.height for r in readings]))
    order = np.argsort(shapes, kind="stable")  # only neighbours in shape are compared
    looks, shapes = looks[order], shapes[order]
    sights = np.frombuffer(b"".join(readings[i].sight for i in order), np.uint8).reshape(-1, SIGHT * SIGHT)
    forms = sights - sights.mean(axis=1, dtype=np.float32, keepdims=True)
    forms /= np.maximum(forms.std(axis=1, keepdims=True), 1e-3)  # [images, SIGHT²]
    # One image per group already found: of thousands of frames of one drawing, few need joining again.
    known = np.arange(len(order))
    least = 1 - MAX_DIFFERENCE**2 / 2  # mean((a - b)²) = 2 - 2 mean(ab) for two pictures of deviation 1
    for start in range(0, len(order), _BLOCK):
        control.boundary()
        stop = min(start + _BLOCK, len(order))
        end = int(np.searchsorted(shapes, shapes[stop - 1] + MAX_ASPECT, side="right"))
        for first in range(start, end, _TILE):
            tile = slice(first, min(first + _TILE, end))
            rows, columns = _near(looks, shapes, forms, slice(start, stop), tile, least)
            found, firsts = np.unique(rows, return_index=True)
            # Not strict: where nothing was found, the split still has one (empty) piece.
            for row, alike in zip(found, np.split(columns, firsts[1:]), strict=False):
                for other in np.unique(known[alike]):
                    yield int(order[row + start]), int(order[other])
                known[alike] = row + start


def _near(
    looks: NDArray[np.uint64], shapes: NDArray[np.float64], forms: NDArray[np.float32], block: slice, tile: slice, least: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:  # fmt: skip
    """Which images of a block are near-duplicates of which later ones of a tile: rows in the block, and places."""
    possible = np.bitwise_count(looks[block, None] ^ looks[None, tile]) <= MAX_BITS
    possible &= shapes[None, tile] - shapes[block, None] <= MAX_ASPECT
    possible &= np.arange(tile.start, tile.stop)[None, :] > np.arange(block.start, block.stop)[:, None]
    if np.count_nonzero(possible) > _MANY:
        possible &= forms[block] @ forms[tile].T >= least * SIGHT**2
        rows, columns = np.nonzero(possible)
        return rows, columns + tile.start
    rows, columns = np.nonzero(possible)
    same = np.einsum("ij,ij->i", forms[block][rows], forms[tile][columns]) >= least * SIGHT**2
    return rows[same], columns[same] + tile.start
