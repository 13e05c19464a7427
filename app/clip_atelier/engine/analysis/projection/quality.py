"""How far a map can be trusted, and how much of what moved on it means something."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

Vectors = NDArray[np.float32]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_SAMPLE: Final = 2_000  # images whose ranks are counted in a large set
_CELLS: Final = 8_000_000


def map_neighbours(layout: Floats, k: int) -> Ints:
    """The k nearest points of each point of a map [N, 2], itself not among them: [N, k], nearest first."""
    _distances, found = cKDTree(layout).query(layout, k + 1)
    found = np.asarray(found, np.int64)
    others = found != np.arange(len(layout))[:, None]
    # Where several points lie on one spot a point need not find itself; then the last one found is too many.
    others[others.all(axis=1), -1] = False
    neighbours: Ints = found[others].reshape(len(layout), k)
    return neighbours


def overlap(first: Ints, second: Ints) -> Floats:
    """Share of each row's k neighbours that both know: two [N, k] give [N]."""
    count, k = first.shape
    shares = np.empty(count)
    rows = max(1, _CELLS // (k * k))
    for start in range(0, count, rows):
        part = slice(start, start + rows)
        shares[part] = (first[part, :, None] == second[part, None, :]).any(axis=2).mean(axis=1)
    return shares


def trustworthiness(vectors: Vectors, neighbours: Ints, seed: int = 0) -> float:
    """Whether points that are near on the map are near in the embedding: 1 if all are, about 0.5 for a random map.

    T(k) = 1 - 2 / (N k (2N - 3k - 1)) · Σᵢ Σⱼ max(0, r(i, j) - k), j over the k nearest of i on the map and r its rank in
    the embedding (Venna & Kaski 2001; the same as scikit-learn's). In large sets the outer sum is over a sample.

    Args:
        vectors: [N, D] unit rows.
        neighbours: [N, k] on the map; k below N / 2.
        seed: of the sample.
    """
    count, k = neighbours.shape
    sample = np.arange(count)
    if count > 2 * _SAMPLE:
        sample = np.sort(np.random.default_rng(seed).choice(count, _SAMPLE, replace=False))
    intruding = 0
    rows = max(1, _CELLS // count)
    for start in range(0, len(sample), rows):
        own = sample[start : start + rows]
        scores = vectors[own] @ vectors.T  # [rows, N]
        scores[np.arange(len(own)), own] = -np.inf
        for column in neighbours[own].T:
            score = scores[np.arange(len(own)), column][:, None]
            ties = (scores == score) & (np.arange(count) < column[:, None])
            ranks = 1 + np.count_nonzero(scores > score, axis=1) + np.count_nonzero(ties, axis=1)
            intruding += int(np.maximum(ranks - k, 0).sum())
    most = len(sample) * k * (2 * count - 3 * k - 1) / 2
    return 1 - intruding / float(most)


def aligned(layout: Floats, onto: Floats) -> Floats:
    """A map [N, 2] moved, turned, mirrored and scaled as a whole so that it lies best on another (Procrustes).

    t-SNE says nothing by place, direction or size; only what is left after this is motion of points.
    """
    centre, target = layout - layout.mean(axis=0), onto - onto.mean(axis=0)
    left, stretch, right = np.linalg.svd(centre.T @ target)
    size = float((centre**2).sum())
    scale = float(stretch.sum()) / size if size > 0 else 1.0
    moved: Floats = scale * centre @ (left @ right) + onto.mean(axis=0)
    return moved


def motion(layout: Floats, before: Floats) -> Floats:
    """How far each point moved, in radii of the map before (root mean square distance from its centre): [N]."""
    radius = float(np.sqrt(((before - before.mean(axis=0)) ** 2).sum(axis=1).mean()))
    lengths: Floats = np.linalg.norm(layout - before, axis=1) / (radius or 1.0)
    return lengths
