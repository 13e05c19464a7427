"""Exact nearest neighbours by cosine, in memory.

One product of the whole matrix with the query is bound by memory speed, and BLAS runs it on all cores. Its float32
sums are only a first pass: they bound the true scores, the few rows that can be among the best are scored again in
float64, and those scores decide. So equal images have equal scores, wherever they stand in the matrix.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_NOTHING: Final = np.empty(0, np.int64)
_BLOCK_CELLS: Final = 8_000_000  # float32 scores of several queries, or matrix cells, held at a time: 32 MB


@dataclass(frozen=True)
class Ranking:
    """All items in the order of their score for one query; equal scores by item order.

    Attributes:
        vectors: [N, D] unit rows.
        query: [D] unit vector.
        first_pass: [N] scores in float32, -inf for excluded items.
    """

    vectors: Vectors
    query: Vectors
    first_pass: Vectors
    excluded: int

    @property
    def _slack(self) -> float:
        # |fl(x·y) - x·y| <= D·u / (1 - D·u) for unit vectors, u = 2⁻²⁴, in any order of summation (Higham 2002, 3.1).
        # Two values may each be off by that much; the third part covers the comparison's own rounding.
        return 3 * len(self.query) * 2.0**-24

    def top(self, k: int) -> tuple[Ints, Floats]:
        """The k best items, or as many as there are.

        Returns:
            item indices [k] and their cosine [k], best first.
        """
        k = min(k, len(self.first_pass) - self.excluded)
        if k <= 0:
            return _NOTHING, np.empty(0)
        last = len(self.first_pass) - k
        worst = np.partition(self.first_pass, last)[last]
        candidates = np.flatnonzero(self.first_pass >= worst - self._slack)
        scores = self._exact(candidates)
        order = np.argsort(-scores, kind="stable")[:k]  # candidates are in item order already
        return candidates[order], scores[order]

    def places(self, items: Ints) -> Ints:
        """Place of each item in the ranking, from 1: [len(items)]. Excluded items have no place."""
        places = np.empty(len(items), np.int64)
        for i, (item, score) in enumerate(zip(items, self._exact(items), strict=True)):
            near = np.flatnonzero(np.abs(self.first_pass - np.float32(score)) <= self._slack)
            exact = self._exact(near)
            above = np.count_nonzero(self.first_pass > np.float32(score) + self._slack)
            places[i] = 1 + above + np.count_nonzero((exact > score) | ((exact == score) & (near < item)))
        return places

    def _exact(self, items: Ints) -> Floats:
        """Cosine of those items in float64; the same for equal rows, which a matrix product does not promise."""
        query = self.query.astype(np.float64)
        rows = max(1, _BLOCK_CELLS // len(query))
        parts = [
            (self.vectors[items[start : start + rows]] * query).sum(axis=1)
            for start in range(0, len(items), rows)
        ]
        return np.concatenate(parts) if parts else np.empty(0)


class VectorSearch:
    """A gallery of vectors to search.

    Args:
        vectors: [N, D]; kept as they are when they are unit float32 rows in one block, else copied and normalised.
    """

    def __init__(self, vectors: NDArray[np.floating]) -> None:
        self.vectors = _unit_rows(vectors)

    def __len__(self) -> int:
        return len(self.vectors)

    def rank(self, query: NDArray[np.floating], exclude: Ints = _NOTHING) -> Ranking:
        """The ranking of all items for a query [D]; the items in `exclude` are not part of it."""
        unit = _unit_rows(query[None])[0]
        return self._ranking(unit, self.vectors @ unit, exclude)

    def top(self, query: NDArray[np.floating], k: int, exclude: Ints = _NOTHING) -> tuple[Ints, Floats]:
        """The k items nearest to a query [D]: indices [k] and cosines [k], best first."""
        return self.rank(query, exclude).top(k)

    def top_many(self, queries: NDArray[np.floating], k: int) -> tuple[Ints, Floats]:
        """The k items nearest to each query [Q, D]: indices [Q, k] and cosines [Q, k]."""
        units = _unit_rows(queries)
        k = min(k, len(self))
        items, scores = np.empty((len(units), k), np.int64), np.empty((len(units), k))
        block = max(1, _BLOCK_CELLS // max(len(self), 1))
        for start in range(0, len(units), block):
            first_pass = units[start : start + block] @ self.vectors.T  # [block, N]
            for row, unit in enumerate(units[start : start + block]):
                ranking = self._ranking(unit, first_pass[row], _NOTHING)
                items[start + row], scores[start + row] = ranking.top(k)
        return items, scores

    def _ranking(self, unit: Vectors, first_pass: Vectors, exclude: Ints) -> Ranking:
        excluded = np.unique(exclude)
        first_pass[excluded] = -np.inf
        return Ranking(self.vectors, unit, first_pass, len(excluded))


def _unit_rows(vectors: NDArray[np.floating]) -> Vectors:
    """Rows of length 1, float32, in one block; rows of zeros stay.

    Raises:
        ValueError: a value is not finite.
    """
    rows = np.ascontiguousarray(vectors, np.float32)
    lengths = np.sqrt(np.einsum("nd,nd->n", rows, rows))
    if not np.isfinite(lengths).all():
        raise ValueError("vectors must be finite")
    if np.all(np.abs(lengths - 1) <= 1e-6):
        return rows
    lengths[lengths == 0] = 1
    unit: Vectors = np.divide(rows, lengths[:, None], dtype=np.float32)
    return unit
