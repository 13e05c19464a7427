"""Vectors in one byte a number: a first pass that reads a quarter of the memory, with a bound of what it may be wrong by.

A row is the collection's mean, plus whole numbers from -127 to 127 times the row's own scale, plus what is left over. The
product of the whole numbers is exact, and what is left over adds at most the product of the lengths of its two sides
(Cauchy and Schwarz). So every approximate score comes with a bound that holds for certain, whatever the vectors are; who
ranks by it (`vectors.Ranking`) reads the true rows of all that may be among the best, and the answer is exact.

The mean is taken off first since it is most of an embedding's length and carries a few very large numbers, which would
make the steps of all others coarse.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
Bytes = NDArray[np.int8]

_MOST: Final = 127
_CHUNK: Final = 16_384  # rows at a time
_MEAN_OF: Final = 20_000  # rows; which mean it is changes the bounds a little and the answers not at all
_CACHED: Final = 128  # rows
_SAMPLE: Final = 16  # rows
_ROUNDING: Final = 2e-6  # of the float32 steps below, for lengths up to 1: each is a few times 2**-24


@dataclass(frozen=True)
class Codes:
    """The bytes of a gallery's rows.

    Attributes:
        codes: [N, D].
        sides: [3, N]: each row's scale, the length of what it leaves over, and the length of what its bytes stand for.
        centre: [D], the mean that was taken off.
    """

    codes: Bytes
    sides: Vectors
    centre: Vectors

    def first_pass(self, query: Vectors) -> tuple[Vectors, Vectors]:
        """Approximate scores of all rows for a unit vector [D], and what each may be wrong by: [N], [N]."""
        numbers, scale = _coded(query[None])
        sums = _products(self.codes, numbers[0])
        own, left_over, length = self.sides
        rest = float(np.linalg.norm(query.astype(np.float64) - float(scale[0]) * numbers[0]))
        scores: Vectors = sums.astype(np.float32)
        scores *= own * scale[0]
        scores += np.float32(self.centre.astype(np.float64) @ query)
        whole = float(np.linalg.norm(query.astype(np.float64)))
        off: Vectors = left_over * np.float32(whole) + length * np.float32(rest)
        off += np.float32(_ROUNDING)
        return scores, off


def code(rows: Vectors, codes: Bytes, sides: Vectors) -> Iterator[tuple[int, Vectors]]:
    """Fills the arrays of `Codes` from unit rows [N, D], part by part.

    Yields:
        how many rows are done, and the mean.
    """
    step = max(1, len(rows) // _MEAN_OF)
    centre: Vectors = rows[::step].mean(axis=0, dtype=np.float64).astype(np.float32)
    for start in range(0, len(rows), _CHUNK):
        part = slice(start, start + _CHUNK)
        away = rows[part] - centre
        numbers, scale = _coded(away)
        codes[part] = numbers
        sides[0, part] = scale
        meant = numbers * scale[:, None]
        sides[1, part] = np.linalg.norm(away - meant, axis=1)
        sides[2, part] = np.linalg.norm(meant, axis=1)
        yield min(start + _CHUNK, len(rows)), centre


def codes_of(rows: Vectors) -> Codes:
    """The bytes of unit rows [N, D], in memory."""
    codes = np.empty(rows.shape, np.int8)
    sides = np.empty((3, len(rows)), np.float32)
    centre = np.zeros(rows.shape[1], np.float32)
    for _done, mean in code(rows, codes, sides):
        centre = mean
    return Codes(codes, sides, centre)


def _coded(rows: Vectors) -> tuple[Bytes, Vectors]:
    """Whole numbers [n, D] and the scale [n] that makes the rows of them, nearly."""
    scale = np.abs(rows).max(axis=1) / np.float32(_MOST)
    with np.errstate(divide="ignore", invalid="ignore"):
        numbers = np.rint(rows / scale[:, None])
    numbers = np.nan_to_num(numbers, nan=0.0, posinf=0.0, neginf=0.0).clip(-_MOST, _MOST)
    return numbers.astype(np.int8), scale


def _products(codes: Bytes, numbers: Bytes) -> NDArray[np.int32]:
    """The product of every row [N, D] with one of whole numbers [D], without rounding: [N]."""
    import torch

    # The library's one product of bytes on processors. It gives zeros for some orders in memory, so a few are calculated
    # again; an approximation may be coarse, but its bound must hold.
    asked = torch.from_numpy(numbers).reshape(-1, 1)
    found: NDArray[np.int32] = torch._int_mm(torch.from_numpy(codes), asked)[:, 0].numpy()
    some = np.linspace(0, len(codes) - 1, _SAMPLE).astype(np.int64)
    wanted = codes[some].astype(np.int32) @ numbers.astype(np.int32)
    return found if np.array_equal(found[some], wanted) else _products_in_parts(codes, numbers)


def _products_in_parts(codes: Bytes, numbers: Bytes) -> NDArray[np.int32]:
    """The same by parts that stay in the processor's cache; whole numbers of this size have no rounding in float64."""
    wide = numbers.astype(np.float64)
    found = np.empty(len(codes), np.int32)
    for start in range(0, len(codes), _CACHED):
        found[start : start + _CACHED] = codes[start : start + _CACHED].astype(np.float64) @ wide
    return found
