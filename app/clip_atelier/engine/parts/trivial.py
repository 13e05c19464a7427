"""Ways of ten lines that an adaptation has to beat: a class's mean drawing, and the captions of the nearest drawings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from clip_atelier.engine.parts.arrays import FloatArray, IntArray, average_precision, unit
from clip_atelier.engine.parts.cross_fitting import Asking
from clip_atelier.engine.parts.questions import TEXT_TO_IMAGE, WORD_QUESTIONS

NEAREST: Final = 5


def class_prototype(asking: Asking, train: IntArray) -> FloatArray:
    """Each caption that training drawings carry stands for their mean; others for themselves: scores [captions, drawings].

    Scores of each caption are measured from its mean over the training drawings, so that captions can be compared.
    """
    plain = asking.model.plain
    vectors = plain.texts[asking.asked].copy()
    carried = plain.relevance[np.ix_(asking.asked, train)].astype(np.float64)
    known = carried.any(axis=1)
    vectors[known] = unit(carried[known] @ plain.images[train])
    usual = vectors @ plain.images[train].T
    scores = vectors @ plain.images[asking.test].T
    return np.asarray(
        (scores - usual.mean(axis=1, keepdims=True)) / (usual.std(axis=1, keepdims=True) + 1e-9)
    )


def nearest_drawings(asking: Asking, train: IntArray) -> FloatArray:
    """A drawing has the captions of the training drawings nearest to it, else its own cosine: [captions, drawings]."""
    plain = asking.model.plain
    alike = plain.images[asking.test] @ plain.images[train].T
    votes = np.zeros_like(alike)
    nearest = np.argsort(-alike, axis=1, kind="stable")[:, :NEAREST]
    np.put_along_axis(votes, nearest, np.take_along_axis(alike, nearest, axis=1), axis=1)
    carried = plain.relevance[np.ix_(asking.asked, train)].astype(np.float64)
    cosine = plain.texts[asking.asked] @ plain.images[asking.test].T
    # Any vote counts more than any cosine, which only orders what has none.
    return np.asarray(10 * (carried @ votes.T) + cosine)


WAYS: Final[Mapping[str, Callable[[Asking, IntArray], FloatArray]]] = {
    "class_prototype": class_prototype,
    "nearest_drawings": nearest_drawings,
}


def precision(way: str, asking: Asking, train: IntArray) -> dict[str, FloatArray]:
    """Average precision of a trivial way on each query of the word questions; pictures have none but the base itself."""
    scores = WAYS[way](asking, train)
    found = {}
    for question in WORD_QUESTIONS:
        right = asking.questions.task(question).positives
        values = scores if question == TEXT_TO_IMAGE else np.ascontiguousarray(scores.T)
        found[question] = average_precision(values, right)
    return found
