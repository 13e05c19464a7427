"""Search beyond a million images: a graph of neighbours (HNSW, by the package usearch) that compares a few thousand of them.

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
_CONNECTIVITY: Final = 24  # neighbours of each image; half as many again as the library's default
_EXPANSION_ADD: Final = 192  # images looked at to find them
_WIDTHS: Final = (64, 128, 256, 512, 1024, 2048)  # images that a search keeps in view, tried in this order
_CHUNK: Final = 20_000


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
class Graph:
    """A graph over a gallery's rows, opened for searching."""

    index: Index
    reach: Reach

    def answers(self, count: int) -> bool:
        """Whether it is used for so many results: it finds what is wanted of it, and the list is not too long."""
        return self.reach.least >= WANTED and count <= MOST

    def nearest(self, query: Vectors, count: int) -> Ints:
        """About `count` items that are nearest to a unit vector [D], in item order."""
        return _nearest(self.index, query, count, self.reach.width)


def installed() -> bool:
    """Whether the package is there."""
    return find_spec("usearch") is not None


def build(rows: Vectors, path: Path, threads: int) -> Iterator[int]:
    """Builds a graph over unit rows [N, D] and writes it.

    Yields:
        how many rows are in it.
    """
    from usearch.index import Index

    # bfloat16: half the memory, and near enough to find the way; bytes are too coarse for unit vectors of this length.
    index = Index(
        ndim=rows.shape[1],
        metric="cos",
        dtype="bf16",
        connectivity=_CONNECTIVITY,
        expansion_add=_EXPANSION_ADD,
        enable_key_lookups=False,
    )
    for start in range(0, len(rows), _CHUNK):
        part = rows[start : start + _CHUNK]
        index.add(
            np.arange(start, start + len(part), dtype=np.uint64), np.ascontiguousarray(part), threads=threads
        )
        yield start + len(part)
    index.save(str(path))


def opened(path: Path) -> Index:
    """A graph as it was written, mapped: what a search does not reach is not read."""
    from usearch.index import Index

    index = Index.restore(str(path), view=True)
    if index is None:
        raise ValueError("no graph")
    return index


def measured(
    index: Index,
    words: Vectors,
    pictures: Sequence[int],
    rows: Vectors,
    exact: Callable[[Vectors, int, Ints], Ints],
) -> Reach:
    """How far the graph must be searched for what is wanted, and what it then finds.

    Args:
        index: The graph.
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
            near = np.setdiff1d(_nearest(index, query, _TOP + len(left_out), width), left_out)
            # What is found is scored again exactly, so that only what was not found is lost.
            best = near[np.argsort(-(rows[near] @ query), kind="stable")[:_TOP]]
            shares.append(len(wanted.intersection(best.tolist())) / max(1, len(wanted)))
        by_words, by_pictures = shares[: len(words)], shares[len(words) :]
        reach = Reach(
            width=width,
            words=float(np.mean(by_words)) if by_words else 1.0,
            pictures=float(np.mean(by_pictures)) if by_pictures else 1.0,
            asked=len(asked),
        )
        if reach.least >= WANTED:
            break
    return reach


def _nearest(index: Index, query: Vectors, count: int, width: int) -> Ints:
    index.expansion_search = max(width, 2 * count)
    found = index.search(np.ascontiguousarray(query, np.float32), 2 * count, threads=1)
    return np.sort(found.keys.astype(np.int64))
