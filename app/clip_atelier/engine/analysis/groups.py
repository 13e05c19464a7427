"""What a map shows, said in words: groups named by their captions, drawings that stand alone, and near-twins.

All of it is found among the embeddings themselves: a map's two dimensions tear apart and push together.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import PurePosixPath
from typing import Final

import numpy as np
from numpy.typing import NDArray

from clip_atelier.engine.analysis.projection.neighbours import nearest
from clip_atelier.engine.core import Control, Work
from clip_atelier.engine.data import Item

Vectors = NDArray[np.float32]
Ints = NDArray[np.int64]

FEWEST: Final = 12
"""Drawings below which there is nothing to group."""
MOST_GROUPS: Final = 16
EXACT: Final = 4_000
"""Drawings up to which every distance is looked at; more are grouped by k-means."""
_NEAR: Final = 5
_FAR: Final = 3.0
"""Standard deviations (robust ones) from what is usual, from which on a drawing stands alone, or two are nearly one."""
_LISTED: Final = 40
_WORD: Final = re.compile(r"[^\W\d_]{2,}")
_NO_NAMES: Final = frozenset(
    "a an the of with and or in on at to for from by is are drawing sketch picture image photo icon 그림 스케치".split()
)


@dataclass(frozen=True)
class Groups:
    """What was found.

    Attributes:
        of: [N], the group of each drawing; none at all where there are too few.
        names: Of each group, the largest first: its words, or the caption (else the file) of the drawing in its middle.
        alone: Drawings far from all others, the farthest first.
        twins: Pairs of drawings that are nearly the same and not each other's sketch, the nearest first.
    """

    of: Ints
    names: tuple[str, ...] = ()
    alone: tuple[int, ...] = ()
    twins: tuple[tuple[int, int], ...] = ()


def find_groups(vectors: Vectors, items: Sequence[Item], control: Control, seed: int = 0) -> Work[Groups]:
    """Finds groups, drawings that stand alone, and near-twins.

    Groups are found by Ward's method: on two of three collections with known classes its groups agree with them best, on
    the third k-means is ahead by 0.004 (docs/decisions/0014).

    Args:
        vectors: [N, D] unit rows.
        items: The drawings.
        control: Stop and pause.
        seed: Fixes k-means, where there are too many drawings for Ward's method.
    """
    count = len(items)
    if count < FEWEST:
        return Groups(np.zeros(count, np.int64))
    # What all drawings share (being drawings) says nothing about which of them belong together.
    centred = vectors - vectors.mean(axis=0)
    centred /= np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-9)
    indices, distances = yield from nearest(centred, min(_NEAR, count - 1), control)
    control.boundary()
    of = _by_size(_clustered(centred, seed))
    members = [np.flatnonzero(of == group) for group in range(int(of.max()) + 1)]
    names = _names(members, centred, items)
    return Groups(of, names, _alone(distances), _twins(indices, distances, items))


def _clustered(vectors: Vectors, seed: int) -> Ints:
    from sklearn.cluster import AgglomerativeClustering, MiniBatchKMeans

    count = len(vectors)
    wanted = int(np.clip(round(np.sqrt(count / 2)), 2, MOST_GROUPS))
    if count <= EXACT:
        found = AgglomerativeClustering(wanted, linkage="ward").fit_predict(vectors)
    else:
        found = MiniBatchKMeans(wanted, n_init=3, random_state=seed).fit_predict(vectors)
    return np.asarray(found, np.int64)


def _by_size(of: Ints) -> Ints:
    """The same groups, numbered by size; equal ones by their first drawing."""
    numbers, first, sizes = np.unique(of, return_index=True, return_counts=True)
    order = np.lexsort((first, -sizes))
    new = np.empty(int(numbers.max()) + 1, np.int64)
    new[numbers[order]] = np.arange(len(order))
    return new[of]


def _names(members: Sequence[Ints], vectors: Vectors, items: Sequence[Item]) -> tuple[str, ...]:
    """Two words that are frequent in a group and rare outside; no two groups have the same name."""
    said = [
        Counter({word for text in (*item.captions, item.label) for word in _words(text)}) for item in items
    ]
    everywhere: Counter[str] = Counter()
    for words in said:
        everywhere.update(words.keys())
    names: list[str] = []
    for those in members:
        inside: Counter[str] = Counter()
        for n in those:
            inside.update(said[n].keys())
        worth = {
            word: times / len(those) * np.log(1 + len(items) / everywhere[word])
            for word, times in inside.items()
            # Twice as frequent as elsewhere, and not of one drawing alone.
            if times >= 2 and times / len(those) > 2 * everywhere[word] / len(items)
        }
        best = sorted(worth, key=lambda word: (-worth[word], word))[:2]
        middle = vectors[those].mean(axis=0)
        nearest_first = those[np.argsort(-(vectors[those] @ middle), kind="stable")]
        captions = (caption for n in nearest_first for caption in items[n].captions)
        files = (PurePosixPath(items[n].path).name for n in nearest_first)
        spare = (f"“{text[:40]}”" for text in chain(captions, files))
        name = ", ".join(best) or next(spare, "–")
        while name in names:
            name = next(spare, f"{name} +")
        names.append(name)
    return tuple(names)


def _words(text: str) -> set[str]:
    return {word for word in _WORD.findall(text.casefold()) if word not in _NO_NAMES}


def _unusual(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each value's distance from the middle one, in robust standard deviations."""
    middle = np.median(values)
    spread = 1.4826 * np.median(np.abs(values - middle))
    found: NDArray[np.float64] = (values - middle) / max(float(spread), 1e-9)
    return found


def _alone(distances: NDArray[np.float64]) -> tuple[int, ...]:
    far = _unusual(distances.mean(axis=1))
    found = np.flatnonzero(far > _FAR)
    return tuple(int(n) for n in found[np.argsort(-far[found], kind="stable")][:_LISTED])


def _twins(
    indices: Ints, distances: NDArray[np.float64], items: Sequence[Item]
) -> tuple[tuple[int, int], ...]:
    near = -_unusual(distances[:, 0])
    pairs: dict[tuple[int, int], float] = {}
    for n in map(int, np.flatnonzero(near > _FAR)):
        other = int(indices[n, 0])
        one, two = items[n], items[other]
        exact = one.digest == two.digest  # those are told of already, as copies
        paired = bool(one.pair) and one.pair == two.pair
        if not exact and not paired:
            pairs[min(n, other), max(n, other)] = float(distances[n, 0])
    return tuple(sorted(pairs, key=lambda pair: (pairs[pair], pair))[:_LISTED])
