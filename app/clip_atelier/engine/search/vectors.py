"""Exact nearest neighbours by cosine, in memory or in a file that is mapped.

One product of the whole matrix with the query is bound by memory speed, and BLAS runs it on all cores. Its float32
sums are only a first pass: they bound the true scores, the few rows that can be among the best are scored again in
float64, and those scores decide. So equal images have equal scores, wherever they stand in the matrix.
A large gallery has a coarser pass before that, over its `Codes`: the same bounds, wider and one for each row.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from clip_atelier.engine.search.codes import Codes
from clip_atelier.engine.search.nearest_graph import Graph

Vectors = NDArray[np.float32]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Scored = tuple[Vectors, float | Vectors]

_NOTHING: Final = np.empty(0, np.int64)
_BLOCK_CELLS: Final = 8_000_000  # float32 scores of several queries, or matrix cells, held at a time: 32 MB
_WORTH_ALL: Final = 50  # rows read one by one are this many times slower than all of them in a row


@dataclass(frozen=True)
class Ranking:
    """All items in the order of their score for one query; equal scores by item order.

    Attributes:
        vectors: [N, D] unit rows.
        query: [D] unit vector.
        excluded: The items left out, each once.
        scored: Gives approximate scores [N], and what each may be wrong by with a little more for the rounding of
            comparisons: one number where they are float32 products, [N] where they come from `Codes`. Asked when needed.
        graph: Finds the best without scoring all; not all of them (see `nearest_graph`).
    """

    vectors: Vectors
    query: Vectors
    excluded: Ints
    scored: Callable[[], Scored]
    graph: Graph | None = None

    @functools.cached_property
    def _scored(self) -> Scored:
        scores, off = self.scored()
        scores[self.excluded] = -np.inf
        return scores, off

    @property
    def first_pass(self) -> Vectors:
        """Approximate scores [N], -inf for excluded items."""
        return self._scored[0]

    @property
    def off(self) -> float | Vectors:
        """What each of them may be wrong by."""
        return self._scored[1]

    def top(self, k: int) -> tuple[Ints, Floats]:
        """The k best items, or as many as there are.

        Returns:
            item indices [k] and their cosine [k], best first.
        """
        k = min(k, len(self.vectors) - len(self.excluded))
        if k <= 0:
            return _NOTHING, np.empty(0)
        candidates = self._near(k)
        if candidates is None:
            candidates = _reaching(self.first_pass, self.off, k)
            if self._coarse:
                floats = np.concatenate([rows @ self.query for rows in self._rows(candidates)])
                candidates = candidates[_reaching(floats, _float_off(self.query), k)]
        scores = self._exact(candidates)
        order = np.argsort(-scores, kind="stable")[:k]  # candidates are in item order already
        return candidates[order], scores[order]

    def places(self, items: Ints) -> Ints:
        """Place of each item in the ranking, from 1: [len(items)]. Excluded items have no place."""
        scores = self._exact(items)
        first, off = self.first_pass, self.off
        near = [np.flatnonzero(np.abs(first - np.float32(score)) <= off) for score in scores]
        if self._coarse and sum(map(len, near)) > len(first) // _WORTH_ALL:
            first, off = self._float_pass, _float_off(self.query)
            near = [np.flatnonzero(np.abs(first - np.float32(score)) <= off) for score in scores]
        places = np.empty(len(items), np.int64)
        for i, (item, score) in enumerate(zip(items, scores, strict=True)):
            exact = self._exact(near[i])
            # The same difference as for `near`: first - off > score rounds otherwise, and a row at the line would count twice.
            above = np.count_nonzero(first - np.float32(score) > off)
            places[i] = 1 + above + np.count_nonzero((exact > score) | ((exact == score) & (near[i] < item)))
        return places

    def _near(self, k: int) -> Ints | None:
        """At least k items that the graph finds, in item order; None where there is none or it finds too few."""
        wanted = k + len(self.excluded)
        if self.graph is None or not self.graph.answers(wanted):
            return None
        found = np.setdiff1d(self.graph.nearest(self.query, wanted), self.excluded)
        return found if len(found) >= k else None

    @property
    def _coarse(self) -> bool:
        """Whether the first pass is too coarse to score all in float64 that it cannot tell apart."""
        return not isinstance(self.off, float)

    @functools.cached_property
    def _float_pass(self) -> Vectors:
        scores = self.vectors @ self.query
        scores[self.excluded] = -np.inf
        return scores

    def _exact(self, items: Ints) -> Floats:
        """Cosine of those items in float64; the same for equal rows, which a matrix product does not promise."""
        query = self.query.astype(np.float64)
        parts = [(rows * query).sum(axis=1) for rows in self._rows(items)]
        return np.concatenate(parts) if parts else np.empty(0)

    def _rows(self, items: Ints) -> Iterator[Vectors]:
        """The rows of those items, a block at a time."""
        block = max(1, _BLOCK_CELLS // len(self.query))
        for start in range(0, len(items), block):
            yield self.vectors[items[start : start + block]]


def _float_off(query: Vectors) -> float:
    # |fl(x·y) - x·y| <= D·u / (1 - D·u) for unit vectors, u = 2⁻²⁴, in any order of summation (Higham 2002, 3.1).
    # The half more covers the rounding of a comparison.
    return 1.5 * len(query) * 2.0**-24


def _reaching(scores: Vectors, off: float | Vectors, k: int) -> Ints:
    """Every item that may be among the k best, in item order: its score at the most reaches the k-th best at the least."""
    least = scores - off
    last = len(scores) - k
    worst = np.partition(least, last)[last]
    return np.flatnonzero(scores + off >= worst)


class VectorSearch:
    """A gallery of vectors to search.

    Args:
        vectors: [N, D]; kept as they are when they are unit float32 rows in one block, else copied and normalised.
        codes: The same in bytes, for the first pass of a large gallery, whose vectors must be unit float32 rows; they may
            lie on the disk.
        graph: Finds the best of very many without comparing all.
    """

    def __init__(
        self, vectors: NDArray[np.floating], codes: Codes | None = None, graph: Graph | None = None
    ) -> None:
        self.vectors = _unit_rows(vectors) if codes is None else np.asarray(vectors, np.float32)
        self.graph = graph
        self._codes = codes

    def __len__(self) -> int:
        return len(self.vectors)

    def rank(self, query: NDArray[np.floating], exclude: Ints = _NOTHING) -> Ranking:
        """The ranking of all items for a query [D]; the items in `exclude` are not part of it."""
        unit = _unit_rows(query[None])[0]
        return Ranking(self.vectors, unit, np.unique(exclude), lambda: self._scores(unit), self.graph)

    def _scores(self, unit: Vectors) -> Scored:
        if self._codes is None:
            return self.vectors @ unit, _float_off(unit)
        return self._codes.first_pass(unit)

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
                scored = first_pass[row], _float_off(unit)
                ranking = Ranking(self.vectors, unit, _NOTHING, lambda scored=scored: scored)  # type: ignore[misc]
                items[start + row], scores[start + row] = ranking.top(k)
        return items, scores


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
