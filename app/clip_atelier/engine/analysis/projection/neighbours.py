"""The exact nearest neighbours of every vector in its own set."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from clip_atelier.engine.core import Control, Progress, Work

Vectors = NDArray[np.float32]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_CELLS: Final = 8_000_000  # similarities held at a time: 32 MB


def nearest(vectors: Vectors, k: int, control: Control) -> Work[tuple[Ints, Floats]]:
    """The k nearest neighbours of each vector by cosine, itself not among them; equal ones by item order.

    Exact, so that a map does not depend on an approximate index's luck: 50,000 vectors of 512 values take half a minute.

    Args:
        vectors: [N, D] unit rows.
        k: at most N - 1.
        control: Stop and pause.

    Returns:
        indices [N, k], nearest first, and Euclidean distances [N, k].
    """
    count = len(vectors)
    indices = np.empty((count, k), np.int64)
    distances = np.empty((count, k))
    rows = max(1, _CELLS // max(count, 1))
    for start in range(0, count, rows):
        control.boundary()
        own = np.arange(start, min(start + rows, count))
        scores = vectors[own] @ vectors.T
        scores[own - start, own] = -np.inf
        found = np.argpartition(scores, count - k, axis=1)[:, count - k :]
        found.sort(axis=1)
        near = np.take_along_axis(scores, found, axis=1)
        order = np.argsort(-near, axis=1, kind="stable")
        indices[own] = np.take_along_axis(found, order, axis=1)
        # For unit vectors |x - y|² = 2 - 2 x·y; rounding may make it slightly negative.
        cosines = np.take_along_axis(near, order, axis=1).astype(np.float64)
        distances[own] = np.sqrt(np.maximum(2 - 2 * cosines, 0))
        yield Progress(done=int(own[-1]) + 1, total=count)
    return indices, distances
