"""How far the closed formula goes: its regularisation and step, chosen on drawings that it was not fitted to."""

from __future__ import annotations

from typing import Final

import numpy as np

from clip_atelier.engine.parts.arrays import FloatArray, IntArray, average_precision
from clip_atelier.engine.parts.closed_form import ProjectionUpdate, RidgeProjection
from clip_atelier.engine.parts.embedded import Embedded

GRID: Final = tuple((ridge, step) for ridge in (1.0, 4.0, 16.0) for step in (0.125, 0.25, 0.5, 1.0, 2.0))
FEWEST: Final = 12
"""Fewest drawings that the formula is fitted to: below, nothing has ever helped."""


def fitted_projection(
    embedded: Embedded, groups: IntArray, train: IntArray, rank: int, folds: int = 4, caution: float = 0.5
) -> ProjectionUpdate | None:
    """The map from drawings to their captions that helps on drawings it was not fitted to; None where none does.

    Args:
        embedded: The collection in the untouched embeddings.
        groups: One id per drawing [N]; those of one group are never in different folds.
        train: Positions of the drawings to learn from.
        rank: Of the LoRA that it is to fit.
        folds: How many inner folds choose.
        caution: Standard errors by which it must help, and by which no question may fall.
    """
    if len(train) < FEWEST or not embedded.strings:
        return None
    names = np.unique(groups[train], return_inverse=True)[1]
    dealt = np.random.default_rng(0).permutation(names.max() + 1)[names] % folds
    gains: list[list[list[FloatArray]]] = [[] for _setting in GRID]
    for fold in range(folds):
        inner, asked = train[dealt != fold], train[dealt == fold]
        if len(inner) < 2 or len(asked) < 2:
            continue
        ridge = RidgeProjection(embedded, inner)
        base = _precision(embedded, embedded.images[asked], asked)
        for row, (regularisation, step) in enumerate(GRID):
            moved = ridge.fit(regularisation, step, rank).apply(embedded.images[asked])
            gains[row].append([a - b for a, b in zip(_precision(embedded, moved, asked), base, strict=True)])
    best, most = None, 0.0
    for setting, of_folds in zip(GRID, gains, strict=True):
        if not of_folds:
            return None
        by_question = [np.concatenate(values) for values in zip(*of_folds, strict=True)]
        errors = [d.std(ddof=1) / np.sqrt(len(d)) if len(d) > 1 else np.inf for d in by_question]
        if any(d.mean() < -caution * e for d, e in zip(by_question, errors, strict=True)):
            continue
        gain = float(np.mean([d.mean() - caution * e for d, e in zip(by_question, errors, strict=True)]))
        if gain > most:
            best, most = setting, gain
    return RidgeProjection(embedded, train).fit(*best, rank) if best else None


def _precision(embedded: Embedded, images: FloatArray, asked: IntArray) -> list[FloatArray]:
    """Average precision of each question that some drawings allow, by plain cosine."""
    captions = embedded.captions_of(asked)
    scores = embedded.texts[captions] @ images.T
    right = embedded.relevance[np.ix_(captions, asked)]
    found = [(scores, right), (scores.T, right.T)]
    if embedded.roles is not None and embedded.pairs is not None:
        place = {index: row for row, index in enumerate(asked)}
        sketches, artworks = (embedded.role_indices(asked, role) for role in ("sketch", "artwork"))
        names = np.array(embedded.pairs)
        left, right_side = [place[i] for i in sketches], [place[i] for i in artworks]
        scores = images[left] @ images[right_side].T
        right = names[sketches][:, None] == names[artworks][None, :]
        found += [(scores, right), (scores.T, right.T)]
    kept = []
    for values, relevant in found:
        answerable = relevant.any(axis=1)
        kept.append(
            average_precision(
                np.ascontiguousarray(values[answerable]), np.ascontiguousarray(relevant[answerable])
            )
        )
    return kept
