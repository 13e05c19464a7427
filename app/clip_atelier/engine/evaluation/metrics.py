"""Retrieval metrics, each defined once, and the paired comparison of two models. Pure numpy.

Every metric is a function of the places at which a query's relevant items appear in its ranking. A query is never in
its own gallery, ties break by item order, and a query without any relevant item is left out (its value is NaN).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from clip_atelier.engine.core import N_

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Average = Literal["mean", "median"]
Verdict = Literal["gain", "loss", "no measurable difference"]

_CHUNK_CELLS: Final = 2_000_000  # scores ranked at a time: bounds the memory at some 50 MB
_SAMPLE_CELLS: Final = 1_000_000  # the same for bootstrap weights
_FEWEST_CHANGED: Final = 6  # 2 · 0.5⁶ < 0.05: below that a two-sided sign test never speaks


@dataclass(frozen=True)
class Hits:
    """Where the relevant items of a set of queries were found: one entry per query and relevant item.

    Attributes:
        query: [n] index of the query, ascending.
        rank: [n] place in the query's ranking, from 1, ascending within a query.
        ordinal: [n] 1 for the query's first relevant item, 2 for its second, …
        relevant: [Q] number of relevant items of each query; at least 1.
        gallery: [Q] number of items each query is ranked against.
    """

    query: Ints
    rank: Ints
    ordinal: Ints
    relevant: Ints
    gallery: Ints

    def total(self, values: Floats | Bools) -> Floats:
        """Sums [n] values over each query's hits: [Q]."""
        sums: Floats = np.bincount(self.query, weights=values, minlength=len(self.relevant)).astype(
            np.float64
        )
        return sums

    @property
    def first(self) -> Ints:
        """Rank of each query's first relevant item: [Q]."""
        first: Ints = self.rank[self.ordinal == 1]
        return first


@dataclass(frozen=True)
class Chance:
    """A query with `relevant` relevant items among `gallery`, ranked at random.

    Attributes:
        missed: [gallery + 1] probability that no relevant item is among the first 0, 1, …, gallery places
            (hypergeometric, as a running product).
    """

    relevant: int
    gallery: int
    missed: Floats

    @classmethod
    def of(cls, relevant: int, gallery: int) -> Chance:
        """The random ranking of `gallery` items, `relevant` of them relevant."""
        place = np.arange(gallery)
        stay = np.clip(gallery - relevant - place, 0, None) / (gallery - place)
        return cls(relevant, gallery, np.concatenate([[1.0], np.cumprod(stay)]))

    def average_precision(self, cutoff: int) -> float:
        """Expected average precision of the first `cutoff` places.

        An item at place i is relevant with probability R/G; given that, each of the i - 1 places before it is
        relevant with probability (R - 1)/(G - 1).
        """
        place = np.arange(1, min(cutoff, self.gallery) + 1)
        others = (self.relevant - 1) / max(self.gallery - 1, 1)
        precision = (1 + (place - 1) * others) / place
        return float(precision.sum() * self.relevant / self.gallery / min(cutoff, self.relevant))


@dataclass(frozen=True)
class Metric:
    """One metric.

    Attributes:
        name: as in tables and JSON, without the direction ("R@1").
        title: for people; marked for translation.
        explanation: one sentence on what it says; marked for translation.
        direction: "up" if larger is better, "down" if smaller is.
        function: its value for each query.
        chance: its expected value (for `median_rank`: its median) for a random ranking.
        average: how values of queries become one number.
        cutoff: the least gallery in which it says something; 0 for any.
    """

    name: str
    title: str
    explanation: str
    direction: Literal["up", "down"]
    function: Callable[[Hits], Floats]
    chance: Callable[[Chance], float]
    average: Average = "mean"
    cutoff: int = 0


def _recall(k: int) -> Metric:
    return Metric(
        f"R@{k}",
        {
            1: N_("Right at first place (R@1)"),
            5: N_("Right in the first 5 (R@5)"),
            10: N_("Right in the first 10 (R@10)"),
        }[k],
        N_("Share of queries with at least one right answer that high in the ranking."),
        "up",
        lambda hits: (hits.first <= k).astype(np.float64),
        lambda chance: float(1 - chance.missed[min(k, chance.gallery)]),
    )


def _precision(k: int) -> Metric:
    return Metric(
        f"P@{k}",
        {
            10: N_("Precision of the first 10 (P@10)"),
            100: N_("Precision of the first 100 (P@100)"),
            200: N_("Precision of the first 200 (P@200)"),
        }[k],
        N_("Share of right answers among that many first results."),
        "up",
        lambda hits: hits.total(hits.rank <= k) / k,
        lambda chance: chance.relevant / chance.gallery * min(k, chance.gallery) / k,
        cutoff=k,
    )


def _average_precision_at(k: int) -> Metric:
    return Metric(
        f"mAP@{k}",
        {200: N_("Mean average precision of the first 200 (mAP@200)")}[k],
        N_("As mAP, over that many first results only; divided by as many right answers as fit into them."),
        "up",
        lambda hits: (
            hits.total(np.where(hits.rank <= k, hits.ordinal / hits.rank, 0.0)) / np.minimum(hits.relevant, k)
        ),
        lambda chance: chance.average_precision(k),
        cutoff=k,
    )


METRICS: Final[Mapping[str, Metric]] = {
    metric.name: metric
    for metric in (
        _recall(1),
        _recall(5),
        _recall(10),
        Metric(
            "mAP",
            N_("Mean average precision (mAP)"),
            N_("How far up all right answers stand, over the whole ranking; 1 when they all come first."),
            "up",
            lambda hits: hits.total(hits.ordinal / hits.rank) / hits.relevant,
            lambda chance: chance.average_precision(chance.gallery),
        ),
        Metric(
            "MRR",
            N_("Mean reciprocal rank (MRR)"),
            N_("One divided by the place of the first right answer: 1 for first, 0.5 for second, and so on."),
            "up",
            lambda hits: 1.0 / hits.first,
            lambda chance: float(
                np.sum((chance.missed[:-1] - chance.missed[1:]) / np.arange(1, chance.gallery + 1))
            ),
        ),
        Metric(
            "median_rank",
            N_("Median rank"),
            N_("For half of the queries the first right answer stands at this place or better; 1 is best."),
            "down",
            lambda hits: hits.first.astype(np.float64),
            lambda chance: float(np.argmax(chance.missed <= 0.5)),
            average="median",
        ),
        _average_precision_at(200),
        _precision(10),
        _precision(100),
        _precision(200),
    )
}


def applicable(gallery: int) -> tuple[str, ...]:
    """Names of the metrics that say something in a gallery of that size: P@200 of 50 images does not."""
    return tuple(metric.name for metric in METRICS.values() if metric.cutoff <= gallery)


def per_query(
    scores: NDArray[np.floating],
    positives: Bools,
    exclude: Ints | None = None,
    names: Sequence[str] | None = None,
) -> dict[str, Floats]:
    """The value of each metric for each query.

    Args:
        scores: [Q, G] similarity of each query to each gallery item, compared as float32; NaN ranks last.
        positives: [Q, G] which items are relevant.
        exclude: [Q] index of the gallery item that is the query itself, or -1.
        names: the metrics wanted; by default all that are `applicable` to G.

    Returns:
        metric name -> float64 [Q]; NaN for a query without relevant items.
    """
    queries, gallery = scores.shape
    if positives.shape != scores.shape:
        raise ValueError(f"positives {positives.shape} do not fit scores {scores.shape}")
    names = applicable(gallery) if names is None else names
    values = {name: np.full(queries, np.nan) for name in names}
    rows = max(1, _CHUNK_CELLS // max(gallery, 1))
    for start in range(0, queries, rows):
        part = slice(start, start + rows)
        hits, answered = _hits(scores[part], positives[part], None if exclude is None else exclude[part])
        for name in names:
            values[name][part][answered] = METRICS[name].function(hits)
    return values


def aggregate(values: Mapping[str, Floats]) -> dict[str, float]:
    """One number per metric over the queries that have relevant items; NaN if there is none."""
    return {name: _average(of_queries, METRICS[name].average) for name, of_queries in values.items()}


def chance(
    positives: Bools, exclude: Ints | None = None, names: Sequence[str] | None = None
) -> dict[str, float]:
    """The level of each metric for random rankings of the same queries; arguments as for `per_query`."""
    relevant, gallery = _sizes(positives, exclude)
    names = applicable(positives.shape[1]) if names is None else names
    pairs, which = np.unique(np.stack([relevant, gallery])[:, relevant > 0], axis=1, return_inverse=True)
    levels = [Chance.of(int(found), int(among)) for found, among in pairs.T]
    return {
        name: _average(
            np.array([METRICS[name].chance(level) for level in levels], np.float64)[which.reshape(-1)],
            METRICS[name].average,
        )
        for name in names
    }


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
    value = _average(adapted, average) - _average(base, average)
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


def _sizes(positives: Bools, exclude: Ints | None) -> tuple[Ints, Ints]:
    """Relevant items and gallery size of each query, the query itself not counted: [Q], [Q]."""
    relevant = positives.sum(axis=1, dtype=np.int64)
    gallery = np.full(len(positives), positives.shape[1], np.int64)
    if exclude is not None:
        own = np.flatnonzero(exclude >= 0)
        relevant[own] -= positives[own, exclude[own]]
        gallery[own] -= 1
    return relevant, gallery


def _hits(scores: NDArray[np.floating], positives: Bools, exclude: Ints | None) -> tuple[Hits, Bools]:
    """The hits of the queries that have relevant items, and which queries those are ([Q])."""
    relevant, gallery = _sizes(positives, exclude)
    answered = relevant > 0
    positives = positives[answered]
    lowest, highest = float(np.finfo(np.float32).min), float(np.finfo(np.float32).max)
    keys = np.nan_to_num(scores[answered].astype(np.float32), nan=lowest, posinf=highest, neginf=lowest)
    if exclude is not None:
        exclude = exclude[answered]
        own = np.flatnonzero(exclude >= 0)
        keys[own, exclude[own]] = -np.inf  # below everything, so that the query is behind its gallery
        positives = positives.copy()
        positives[own, exclude[own]] = False
    query, rank = np.nonzero(np.take_along_axis(positives, _ranking(keys), axis=1))
    starts = np.cumsum(relevant[answered]) - relevant[answered]
    ordinal = np.arange(1, len(query) + 1) - starts[query]
    return Hits(query, rank + 1, ordinal, relevant[answered], gallery[answered]), answered


def _ranking(scores: NDArray[np.float32]) -> Ints:
    """Item indices of each row from the highest score down, equal scores by item order: [Q, G].

    A stable argsort of floats is six times slower than sorting integers that hold the score, as bits in an order that
    integers share, above the item's index.
    """
    bits = (0.0 - scores).view(np.int32)  # 0.0 - x, not -x: it makes one zero of two
    bits = np.where(bits < 0, bits ^ np.int32(0x7FFFFFFF), bits)
    keys = (bits.astype(np.int64) << 32) | np.arange(scores.shape[1])
    keys.sort(axis=1)
    ranking: Ints = keys & 0xFFFFFFFF
    return ranking


def _average(values: Floats, average: Average) -> float:
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
