"""Small numerical tools that the parts share."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]

EPSILON = 1e-9
SAME = 1e-8
"""Embeddings of one drawing differ by less, whatever batch they were computed in."""


def unit(vectors: ArrayLike) -> FloatArray:
    """Vectors [..., d] scaled to length 1, in double precision; a zero vector stays zero."""
    x = np.asarray(vectors, dtype=np.float64)
    return np.asarray(x / np.maximum(EPSILON, np.linalg.norm(x, axis=-1, keepdims=True)))


def average_precision(scores: FloatArray, relevant: BoolArray) -> FloatArray:
    """Average precision of every query over its whole ranking, ties in item order.

    The one metric that choices are made by, without the bookkeeping of `evaluation.metrics`: hundreds of settings are
    compared on every fold.

    Args:
        scores: [queries, gallery], larger is better.
        relevant: [queries, gallery]; every query has something right to find.

    Returns:
        [queries].
    """
    if scores.size == 0:
        return np.zeros(len(scores))
    order = np.argsort(-scores, axis=1, kind="stable")
    hits = np.take_along_axis(relevant, order, axis=1)
    precision = hits.cumsum(axis=1) / np.arange(1, hits.shape[1] + 1)
    return np.asarray((precision * hits).sum(axis=1) / np.maximum(1, relevant.sum(axis=1)))


def top_mean(scores: FloatArray, count: int) -> FloatArray:
    """Mean of the `count` largest values of each row (of all, where a row is shorter): [rows, columns] -> [rows]."""
    columns = scores.shape[1]
    if columns == 0:
        return np.zeros(len(scores))
    if columns <= count:
        return np.asarray(scores.mean(axis=1))
    return np.asarray(np.partition(scores, columns - count, axis=1)[:, columns - count :].mean(axis=1))


def spread(values: FloatArray) -> float:
    """Standard deviation that is safe to divide by."""
    return float(values.std()) + EPSILON if values.size else EPSILON
