"""The paired comparison of two models on the same queries: bootstrap intervals, and what they allow to say. Pure numpy."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Average = Literal["mean", "median"]


Verdict = Literal["gain", "loss", "no measurable difference"]


_SAMPLE_CELLS: Final = 1_000_000  # the same for bootstrap weights


_FEWEST_CHANGED: Final = 6  # 2 · 0.5⁶ < 0.05: below that a two-sided sign test never speaks


@dataclass(frozen=True)
class Interval:
    """A difference, adapted minus base, with its 95 % interval.

    Attributes:
        changed: number of clusters whose value differs at all.
    """

    value: float
    low: float
    high: float
    changed: int = 0

    @property
    def error(self) -> float:
        """The standard error: half the width of a 95 % interval is 1.96 of it."""
        return (self.high - self.low) / (2 * 1.96)


def paired_bootstrap(
    base: Floats,
    adapted: Floats,
    clusters: Ints | None = None,
    samples: int = 2000,
    seed: int = 0,
    average: Average = "mean",
) -> Interval:
    """Percentile bootstrap interval of the difference over the same queries, resampling clusters.

    Queries that are not independent (several captions of one image) are one cluster and are drawn together. The
    percentile interval is too narrow when very few queries changed (it would call 4 changed queries of 100
    significant), so with fewer changed clusters than a two-sided sign test needs it is widened to hold zero.

    Args:
        base: [Q] values of the base model; NaN is left out.
        adapted: [Q] values of the adapted model for the same queries.
        clusters: [Q] any integer per query, equal within a cluster; each query by itself if None.
        samples: number of resamples.
        seed: of the resamples.
        average: "median" for the difference of medians.

    Returns:
        the difference and the middle 95 % of its resamples; all NaN without queries.
    """
    kept = np.isfinite(base) & np.isfinite(adapted)
    base, adapted = base[kept], adapted[kept]
    if not len(base):
        return Interval(np.nan, np.nan, np.nan)
    value = average_of(adapted, average) - average_of(base, average)
    keys = np.arange(len(base)) if clusters is None else np.asarray(clusters)[kept]
    unique, member = np.unique(keys, return_inverse=True)
    gained = np.bincount(member, weights=adapted - base)
    changed = int(np.count_nonzero(np.bincount(member, weights=adapted != base)))
    size = np.bincount(member).astype(np.float64)

    rng = np.random.default_rng(seed)
    rows = max(1, _SAMPLE_CELLS // len(base))
    resampled = np.empty(samples)
    for start in range(0, samples, rows):
        part = resampled[start : start + rows]
        whole = rows >= samples
        # How often each cluster is drawn, [rows, clusters].
        weights = _drawn_once(seed, samples, len(unique)) if whole else _draw(rng, len(part), len(unique))
        if average == "mean":
            part[:] = (weights @ gained) / (weights @ size)
        else:
            of_queries = weights[:, member]
            part[:] = _weighted_median(adapted, of_queries) - _weighted_median(base, of_queries)
    low, high = (float(edge) for edge in np.percentile(resampled, [2.5, 97.5]))
    if changed < _FEWEST_CHANGED:
        low, high = min(low, 0.0), max(high, 0.0)
    return Interval(float(value), low, high, changed)


def verdict(interval: Interval, direction: Literal["up", "down"] = "up") -> Verdict:
    """What the interval allows to say of a metric with that direction."""
    if interval.low > 0:
        return "gain" if direction == "up" else "loss"
    if interval.high < 0:
        return "loss" if direction == "up" else "gain"
    return "no measurable difference"


def average_of(values: Floats, average: Average) -> float:
    """The mean or the median of values; NaN where there are none."""
    values = values[np.isfinite(values)]
    if not len(values):
        return float("nan")
    return float(np.mean(values) if average == "mean" else np.median(values))


def _draw(rng: np.random.Generator, samples: int, clusters: int) -> Floats:
    """How often each cluster is drawn in each resample: multinomial counts [samples, clusters]."""
    drawn = rng.integers(0, clusters, (samples, clusters)) + np.arange(samples)[:, None] * clusters
    counts = np.bincount(drawn.ravel(), minlength=samples * clusters)
    return counts.reshape(samples, clusters).astype(np.float64)


@lru_cache(maxsize=2)
def _drawn_once(seed: int, samples: int, clusters: int) -> Floats:
    """The whole of `_draw` for a seed. Many runs are compared on the same queries: drawing was most of the time."""
    weights = _draw(np.random.default_rng(seed), samples, clusters)
    weights.flags.writeable = False
    return weights


def _weighted_median(values: Floats, weights: Floats) -> Floats:
    """Medians [S] of values [Q] repeated as often as each row of whole-numbered weights [S, Q] says."""
    order = np.argsort(values)
    values = values[order]
    below = np.cumsum(weights[:, order], axis=1)
    half = below[:, -1:] / 2
    # With an even number the middle lies between two values, as for any median.
    lower = values[np.argmax(below >= half, axis=1)]
    upper = values[np.argmax(below > half, axis=1)]
    medians: Floats = (lower + upper) / 2
    return medians
