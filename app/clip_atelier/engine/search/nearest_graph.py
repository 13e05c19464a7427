"""Search beyond a million images: a graph of neighbours (HNSW, by the package usearch) that compares a few thousand of them.

A gallery's vectors differ along some hundred directions only: what they have in common says nothing of who is nearest, and
what is left over says next to nothing. So the graph compares them less their mean and along those `Directions`, which
takes a fraction of the time and of the memory. Where there are no such directions it compares all numbers.

It finds most of the true nearest and not all, how many depends on the pictures and on what is asked, and libraries' own
defaults may find half of them. So what it finds is measured, on the gallery itself, by words and by pictures; the search
looks as far as it must for what is wanted, and says what it reaches. A graph that does not reach it is not used. The
scores of what it finds are exact: the true rows are read again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from clip_atelier.engine.core import Record

if TYPE_CHECKING:
    from usearch.index import Index

Vectors = NDArray[np.float32]
Ints = NDArray[np.int64]

BEYOND: Final = 1_000_000
"""Images beyond which a graph is used: up to here the exact search takes a fraction of a second."""

WANTED: Final = 0.95
"""Share of the true ten nearest that is asked of it, by words and by pictures each."""

MOST: Final = 200
"""Results that are asked of it at once; longer lists are searched exactly."""

_TOP: Final = 10
_HELD: Final = 0.995  # of the variance, by the directions that are compared
_SAMPLE: Final = 20_000  # rows that tell the directions
_STEP: Final = 16  # directions: a multiple of it, which processors multiply at once
_CONNECTIVITY: Final = 16  # neighbours of each image
_EXPANSION_ADD: Final = 128  # images looked at to find them
_CANDIDATES: Final = 4  # images scored exactly for each that is asked for
_WIDTHS: Final = (64, 128, 256, 512, 1024, 2048)  # images that a search keeps in view, tried in this order
_CHUNK: Final = 20_000
_GRAPH: Final = "graph.usearch"
_DIRECTIONS: Final = "directions.npy"


class Reach(Record):
    """How far a graph is searched, and what it then finds.

    Attributes:
        width: Images that a search keeps in view.
        words: Share of the true ten nearest that it finds for words.
        pictures: The same for pictures.
        asked: Questions it was measured with.
    """

    schema_version: int = Field(default=1, alias="schema")
    width: int
    words: float
    pictures: float
    asked: int

    @property
    def least(self) -> float:
        """The smaller of the two shares."""
        return min(self.words, self.pictures)


@dataclass(frozen=True)
class Directions:
    """What of a vector is compared.

    Attributes:
        mean: [D], of the gallery; taken away first.
        along: [D, d], at right angles and of length 1: those in which the gallery differs most.
    """

    mean: Vectors
    along: Vectors

    @classmethod
    def of(cls, rows: Vectors) -> Directions:
        """Those of a gallery's rows [N, D], as a sample of them tells."""
        count, dim = rows.shape
        chosen = np.random.default_rng(0).choice(count, min(count, _SAMPLE), replace=False, shuffle=False)
        sample = rows[np.sort(chosen)].astype(np.float64)
        mean = sample.mean(axis=0)
        sample -= mean
        variances, along = np.linalg.eigh(sample.T @ sample)  # the smallest first
        held = np.cumsum(variances[::-1].clip(0))
        enough = int(np.searchsorted(held, _HELD * held[-1])) + 1
        enough = min(dim, -(-enough // _STEP) * _STEP)
        return cls(mean.astype(np.float32), np.ascontiguousarray(along[:, ::-1][:, :enough], np.float32))

    def of_vectors(self, vectors: Vectors) -> Vectors:
        """[n, D] or [D] in these directions: [n, d] or [d]."""
        seen: Vectors = np.ascontiguousarray((vectors - self.mean) @ self.along, np.float32)
        return seen


@dataclass(frozen=True)
class Neighbours:
    """A graph as it lies in its folder: who is near whom, and the directions in which it compares."""

    index: Index
    directions: Directions

    def nearest(self, query: Vectors, count: int, width: int) -> Ints:
        """Items that may be the `count` nearest to a unit vector [D], some times as many, in item order."""
        candidates = _CANDIDATES * count
        self.index.expansion_search = max(width, candidates)
        found = self.index.search(self.directions.of_vectors(query), candidates, threads=1)
        return np.sort(found.keys.astype(np.int64))


@dataclass(frozen=True)
class Graph:
    """A graph over a gallery's rows, opened for searching."""

    neighbours: Neighbours
    reach: Reach

    def answers(self, count: int) -> bool:
        """Whether it is used for so many results: it finds what is wanted of it, and the list is not too long."""
        return self.reach.least >= WANTED and count <= MOST

    def nearest(self, query: Vectors, count: int) -> Ints:
        """Items among which most of the `count` are that are nearest to a unit vector [D], in item order."""
        return self.neighbours.nearest(query, count, self.reach.width)


def installed() -> bool:
    """Whether the package is there."""
    return find_spec("usearch") is not None


def build(rows: Vectors, folder: Path, threads: int) -> Iterator[int]:
    """Builds a graph over unit rows [N, D] and writes it into a folder: the graph, and the directions that belong to it.

    Yields:
        how many rows are in it.
    """
    from usearch.index import Index

    directions = Directions.of(rows)
    # Both vectors have length 1, so the nearest by distance is the nearest by cosine, and taking away the mean changes no
    # distance. bfloat16: half the memory, and near enough to find the way; bytes would save no time.
    index = Index(
        ndim=directions.along.shape[1],
        metric="l2sq",
        dtype="bf16",
        connectivity=_CONNECTIVITY,
        expansion_add=_EXPANSION_ADD,
        enable_key_lookups=False,
    )
    for start in range(0, len(rows), _CHUNK):
        part = directions.of_vectors(rows[start : start + _CHUNK])
        index.add(np.arange(start, start + len(part), dtype=np.uint64), part, threads=threads)
        yield start + len(part)
    np.save(folder / _DIRECTIONS, np.vstack([directions.mean, directions.along.T]), allow_pickle=False)
    index.save(str(folder / _GRAPH))


def opened(folder: Path, count: int, dim: int) -> Neighbours:
    """A graph as it was written, mapped: what a search does not reach is not read.

    Args:
        folder: It was built into.
        count: Of the gallery's rows.
        dim: Their length.

    Raises:
        ValueError: it is not whole, of another gallery, or compares in another way.
        OSError: it cannot be read.
    """
    from usearch.index import Index, MetricKind

    told = np.load(folder / _DIRECTIONS, allow_pickle=False)
    index = Index.restore(str(folder / _GRAPH), view=True)
    if index is None or index.metric_kind != MetricKind.L2sq or len(index) != count:
        raise ValueError("no graph of this gallery")
    if told.shape != (1 + index.ndim, dim) or told.dtype != np.float32 or not np.isfinite(told).all():
        raise ValueError("no directions of this graph")
    return Neighbours(index, Directions(told[0], np.ascontiguousarray(told[1:].T)))


def measured(
    neighbours: Neighbours,
    words: Vectors,
    pictures: Sequence[int],
    rows: Vectors,
    exact: Callable[[Vectors, int, Ints], Ints],
) -> Reach:
    """How far the graph must be searched for what is wanted, and what it then finds.

    Args:
        neighbours: The graph.
        words: [n, D] unit vectors of words that might be asked.
        pictures: Items to ask with; each is left out of its own answer.
        rows: [N, D].
        exact: Gives the true nearest items of a query, `count` of them, without those to leave out.
    """
    asked = [(query, np.empty(0, np.int64)) for query in words]
    asked += [(rows[item], np.array([item])) for item in pictures]
    true = [set(exact(query, _TOP, left_out).tolist()) for query, left_out in asked]
    reach = Reach(width=0, words=0.0, pictures=0.0, asked=len(asked))
    for width in _WIDTHS:
        shares = []
        for (query, left_out), wanted in zip(asked, true, strict=True):
            near = np.setdiff1d(neighbours.nearest(query, _TOP + len(left_out), width), left_out)
            # What is found is scored again exactly, so that only what was not found is lost.
            best = near[np.argsort(-(rows[near] @ query), kind="stable")[:_TOP]]
            shares.append(len(wanted.intersection(best.tolist())) / max(1, len(wanted)))
        (by_words, words_off), (by_pictures, pictures_off) = (
            _mean(shares[: len(words)]),
            _mean(shares[len(words) :]),
        )
        reach = Reach(width=width, words=by_words, pictures=by_pictures, asked=len(asked))
        if min(by_words - 2 * words_off, by_pictures - 2 * pictures_off) >= WANTED:
            break
    return reach


def _mean(shares: list[float]) -> tuple[float, float]:
    """Of shares, and its standard error: what few questions say by luck must not end the search for a width."""
    if not shares:
        return 1.0, 0.0
    return float(np.mean(shares)), float(np.std(shares) / np.sqrt(len(shares)))
