"""A first picture of a large map within seconds: t-SNE of a sample, every other image beside the ones most like it.

The whole map then starts from it, so that what was seen first is found again in the same part of the finished map
(Kobak & Berens 2019 start large maps in this way).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from clip_atelier.engine.analysis.projection.neighbours import nearest
from clip_atelier.engine.analysis.projection.optimisation import (
    Steps,
    affinities_of,
    optimised,
    principal,
)
from clip_atelier.engine.analysis.projection.pace import Pace, drawing_seconds, neighbours_seconds
from clip_atelier.engine.core import Control, Progress, Work

Vectors = NDArray[np.float32]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SAMPLE: Final = 3_000
"""Images of the sample; a map of more than twice as many has a coarse one first."""
STEPS: Final[Steps] = ((100, 12.0), (250, 1.0))

_BESIDE: Final = 5  # images of the sample that another one is placed by
_CELLS: Final = 8_000_000


def coarse_map(vectors: Vectors, control: Control, perplexity: float, seed: int) -> Work[Floats]:
    """The coarse map [N, 2] of [N, D] unit rows; arguments as for `tsne`."""
    sample = np.sort(np.random.default_rng(seed).choice(len(vectors), SAMPLE, replace=False))
    chosen = vectors[sample]
    pace = Pace(_sizes(*vectors.shape))
    width = min(SAMPLE - 1, max(1, int(3 * perplexity)))
    graph = yield from pace.part("neighbours", nearest(chosen, width, control))
    start = principal(chosen, seed)
    steps = optimised(affinities_of(graph, perplexity), start, STEPS, control)
    drawn = yield from pace.part("drawing", steps)
    return (yield from pace.part("placing", _placed(vectors, sample, drawn, control)))


def coarse_seconds(count: int, dim: int) -> float:
    """About how long the coarse map of `count` vectors takes."""
    return sum(_sizes(count, dim).values())


def _sizes(count: int, dim: int) -> dict[str, float]:
    iterations = sum(n for n, _factor in STEPS)
    return {
        "neighbours": neighbours_seconds(SAMPLE, dim),
        "drawing": drawing_seconds(SAMPLE, iterations),
        "placing": 2e-11 * count * SAMPLE * (dim + 100),
    }


def _placed(vectors: Vectors, sample: Ints, drawn: Floats, control: Control) -> Work[Floats]:
    """All vectors' places [N, 2], given those of a sample [S] of them [S, 2]."""
    chosen = vectors[sample]
    placed = np.empty((len(vectors), 2))
    rows = max(1, _CELLS // len(chosen))
    for start in range(0, len(vectors), rows):
        control.boundary()
        scores = vectors[start : start + rows] @ chosen.T
        near = np.argpartition(scores, len(chosen) - _BESIDE, axis=1)[:, -_BESIDE:]
        # The median, because a mean of two groups lies between them, where nothing is.
        placed[start : start + rows] = np.median(drawn[near], axis=1)
        yield Progress(done=min(start + rows, len(vectors)), total=len(vectors))
    placed[sample] = drawn
    return placed
