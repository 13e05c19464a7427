"""Near-duplicates: the same drawing saved twice, in another size, format or with a few pixels changed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from clip_atelier.engine.collection.reading import SIGHT, Reading
from clip_atelier.engine.control import Control

MAX_BITS: Final = 6
"""Most bits in which the difference hashes of near-duplicates differ."""
MAX_DIFFERENCE: Final = 0.10
"""Most root-mean-square difference of the small grey pictures, as a share of their own contrast."""
MAX_ASPECT: Final = 0.03
"""Most difference of the logarithms of width / height."""
_BLOCK: Final = 512


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


def near_duplicates(readings: Sequence[Reading], control: Control) -> tuple[tuple[int, ...], ...]:
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


def _alike(readings: Sequence[Reading], control: Control) -> Iterator[tuple[int, int]]:
    if len(readings) < 2:
        return
    looks = np.array([r.look for r in readings], dtype=np.uint64)
    shapes = np.log(np.array([r.width / r.height for r in readings]))
    order = np.argsort(shapes, kind="stable")  # only neighbours in shape are compared
    looks, shapes = looks[order], shapes[order]
    sights = np.frombuffer(b"".join(readings[i].sight for i in order), np.uint8).reshape(-1, SIGHT * SIGHT)
    contrasts = sights.std(axis=1, dtype=np.float32)
    for start in range(0, len(order), _BLOCK):
        control.boundary()
        stop = min(start + _BLOCK, len(order))
        end = int(np.searchsorted(shapes, shapes[stop - 1] + MAX_ASPECT, side="right"))
        bits = np.bitwise_count(looks[start:stop, None] ^ looks[None, start:end])  # [block, window]
        rows, columns = np.nonzero(bits <= MAX_BITS)
        later = columns > rows
        rows, columns = rows[later] + start, columns[later] + start
        for part in range(0, len(rows), 65536):
            yield from _confirmed(
                rows[part : part + 65536], columns[part : part + 65536], shapes, sights, contrasts, order
            )


def _confirmed(
    rows: npt.NDArray[np.int64],
    columns: npt.NDArray[np.int64],
    shapes: npt.NDArray[np.float64],
    sights: npt.NDArray[np.uint8],
    contrasts: npt.NDArray[np.float32],
    order: npt.NDArray[np.int64],
) -> Iterator[tuple[int, int]]:
    near = shapes[columns] - shapes[rows] <= MAX_ASPECT
    rows, columns = rows[near], columns[near]
    difference = sights[rows].astype(np.float32) - sights[columns]
    apart = np.sqrt(np.mean(difference**2, axis=1))
    same = apart <= MAX_DIFFERENCE * np.minimum(contrasts[rows], contrasts[columns])
    for first, second in zip(order[rows[same]], order[columns[same]], strict=True):
        yield int(first), int(second)
