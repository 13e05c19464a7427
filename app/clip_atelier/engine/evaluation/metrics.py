"""Retrieval metrics, each defined once. Pure numpy.

Every metric is a function of the places at which a query's relevant items appear in its ranking. A query is never in
its own gallery, ties break by item order, and a query without any relevant item is left out (its value is NaN).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from clip_atelier.engine.core import N_
from clip_atelier.engine.evaluation.bootstrap import Average, average_of

Floats = NDArray[np.float64]


Ints = NDArray[np.int64]


Bools = NDArray[np.bool_]


_CHUNK_CELLS: Final = 2_000_000  # scores ranked at a time: bounds the memory at some 50 MB


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
        name: as in tables and JSON, without the task ("R@1").
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
    return {name: average_of(of_queries, METRICS[name].average) for name, of_queries in values.items()}


def chance(
    positives: Bools, exclude: Ints | None = None, names: Sequence[str] | None = None
) -> dict[str, float]:
    """The level of each metric for random rankings of the same queries; arguments as for `per_query`."""
    relevant, gallery = _sizes(positives, exclude)
    names = applicable(positives.shape[1]) if names is None else names
    pairs, which = np.unique(np.stack([relevant, gallery])[:, relevant > 0], axis=1, return_inverse=True)
    levels = [Chance.of(int(found), int(among)) for found, among in pairs.T]
    return {
        name: average_of(
            np.array([METRICS[name].chance(level) for level in levels], np.float64)[which.reshape(-1)],
            METRICS[name].average,
        )
        for name in names
    }


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
