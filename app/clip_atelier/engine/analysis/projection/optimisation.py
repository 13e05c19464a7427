"""openTSNE as this program runs it: affinities of exact neighbours, a start that is the same each time, and the steps."""

from __future__ import annotations

import time
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from openTSNE import TSNEEmbedding
from openTSNE.affinity import PerplexityBasedNN
from openTSNE.nearest_neighbors import PrecomputedNeighbors

from clip_atelier.engine.analysis.projection.forces import GridForces
from clip_atelier.engine.core import Control, Progress, Work

Vectors = NDArray[np.float32]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Steps = tuple[tuple[int, float], ...]
"""(iterations, exaggeration) one after another."""

FRESH: Final[Steps] = ((250, 12.0), (500, 1.0))  # openTSNE's defaults
GO_ON: Final[Steps] = ((250, 1.0),)

_SLICE_SECONDS: Final = 2.0  # about how long the iterations between two boundaries may take
_SLICE: Final = (4, 25)  # fewest and most of them; each slice costs one more evaluation
_ON_GRID: Final = 2_000  # points from which forces on a grid are faster than openTSNE's tree


def affinities_of(graph: tuple[Ints, Floats], perplexity: float) -> PerplexityBasedNN:
    """How much each point attends to each of its neighbours; a graph as `nearest` gives it."""
    indices, distances = graph
    width = min(indices.shape[1], max(1, int(3 * perplexity)))
    return PerplexityBasedNN(
        perplexity=min(perplexity, width / 3),
        knn_index=PrecomputedNeighbors(
            np.ascontiguousarray(indices[:, :width]), np.ascontiguousarray(distances[:, :width])
        ),
    )


def optimised(affinities: PerplexityBasedNN, start: Floats, steps: Steps, control: Control) -> Work[Floats]:
    """The map [N, 2] that the steps lead to from a start [N, 2]."""
    how: dict[str, Any] = {"negative_gradient_method": GridForces()} if len(start) >= _ON_GRID else {}
    # One thread: the tree adds up what several found in another order each time, and t-SNE makes a different map of that;
    # on the grid several would wait for each other, which costs half as much again where something else is at work.
    embedding = TSNEEmbedding(start, affinities, n_jobs=1, **how)
    weights = affinities.P.data.copy()
    total = sum(iterations for iterations, _factor in steps)
    done, began, size = 0, time.monotonic(), _SLICE[0]
    for iterations, factor in steps:
        end = done + iterations
        while done < end:
            control.boundary()
            # openTSNE carries momentum over, so the size of slices, which depends on the machine, changes nothing;
            # but it multiplies the weights by the factor in place and divides them again, which rounds.
            count = min(size, end - done)
            embedding.optimize(count, inplace=True, exaggeration=factor, momentum=0.8)
            affinities.P.data[:] = weights
            done += count
            each = (time.monotonic() - began) / done
            size = int(np.clip(_SLICE_SECONDS / max(each, 1e-6), *_SLICE))
            yield Progress(done=done, total=total, seconds_left=each * (total - done))
    return np.array(embedding, np.float64)


def principal(vectors: Vectors, seed: int) -> Floats:
    """The first two principal components [N, 2], small as t-SNE wants its start, equal vectors set slightly apart."""
    centred = vectors.astype(np.float64) - vectors.mean(axis=0)
    _values, axes = np.linalg.eigh(centred.T @ centred)
    axes = axes[:, ::-1][:, :2]
    # An axis may point either way; the largest entry decides, so that the same images give the same map.
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    start = np.zeros((len(vectors), 2))
    start[:, : axes.shape[1]] = centred @ axes
    return small(start, seed)


def small(start: Floats, seed: int) -> Floats:
    """Places [N, 2] as t-SNE wants its start: close together, equal ones set slightly apart."""
    spread = float(start.std(axis=0).max())
    noise = np.random.default_rng(seed).standard_normal(start.shape)
    start = start / spread + 0.01 * noise if spread > 0 else noise
    placed: Floats = start * 1e-4
    return placed
