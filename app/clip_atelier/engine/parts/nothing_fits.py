"""Nothing fits: a calibrated score per result, and a threshold below which a result is set apart.

Each drawing's score is compared with its null distribution: how the collection's captions in general score on it.
A z score says how far a caption stands out. The threshold comes from captions that certainly have no right answer:
every caption is asked of a model, and of the drawings, that have never seen it, so that it plays the plausible
stranger. Captions of other collections are a little louder than these: the quantile that lets one in twenty of these
through lets fewer than one in ten of those through (tests/benchmarks/nothing_fits.py).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from clip_atelier.engine.parts.arrays import EPSILON, BoolArray, FloatArray, IntArray
from clip_atelier.engine.parts.cross_fitting import FEWEST
from clip_atelier.engine.parts.embedded import Embedded
from clip_atelier.engine.parts.word_questions import Captions, Comparison, Drawings, WordModel, WordSetting

CALIBRATED = WordSetting(learned=2.5)
FALSE_ALARMS = 0.05
MIN_STRANGERS = 20


def calibrated_scores(model: WordModel, captions: Captions, drawings: Drawings) -> FloatArray:
    """How far each caption stands out on each drawing.

    Args:
        model: Learned from the collection.
        captions: M captions.
        drawings: N drawings.

    Returns:
        z scores, shape [M, N].
    """
    null = Comparison(model, model.bank_captions, drawings).plain(CALIBRATED)
    scores = Comparison(model, captions, drawings).plain(CALIBRATED)
    return np.asarray((scores - null.mean(axis=0)) / (null.std(axis=0) + EPSILON))


@dataclass(frozen=True)
class Threshold:
    """Below `value`, a result is "closest, but probably not it".

    Attributes:
        value: The z score; None where there are too few captions to calibrate, and nothing is set apart.
        strangers: How many captions it was calibrated on.
    """

    value: float | None
    strangers: int

    def fits(self, scores: FloatArray, known: BoolArray | None = None) -> BoolArray:
        """Which results are shown as fitting.

        Args:
            scores: z scores, shape [M, N].
            known: Results whose drawing carries the very caption that was asked; they always fit. Shape [M, N].

        Returns:
            Shape [M, N].
        """
        if self.value is None:
            return np.ones(scores.shape, dtype=np.bool_)
        enough = scores >= self.value
        return np.asarray(enough if known is None else enough | known)


def calibrate(collection: Embedded, folds: IntArray, false_alarms: float = FALSE_ALARMS) -> Threshold:
    """Find the threshold out-of-fold.

    Args:
        collection: The collection.
        folds: Fold of each drawing, shape [N].
        false_alarms: Share of strangers that may be shown as fitting.

    Returns:
        The threshold.
    """
    best: list[float] = []
    for fold in np.unique(folds):
        train, test = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        if sum(1 for i in train if collection.captions[i]) < FEWEST:
            continue
        asked = collection.captions_of(test)
        if not len(asked):
            continue
        model = WordModel.fit(collection, train)
        roles = None if collection.roles is None else [collection.roles[i] for i in train]
        strings = [collection.strings[i] for i in asked]
        captions = Captions(model, collection.texts[asked], strings)
        scores = calibrated_scores(model, captions, Drawings(model, collection.images[train], roles))
        own = collection.relevance[np.ix_(asked, train)]
        strange = ~own.any(axis=1)
        # A caption that the training drawings carry too (a class name) is no stranger to them: what it scores on the
        # drawings of other captions stands in.
        rows = np.where(own, -np.inf, scores)[strange if strange.any() else slice(None)]
        best.extend(float(v) for v in rows.max(axis=1) if np.isfinite(v))
    if len(best) < MIN_STRANGERS:
        return Threshold(None, len(best))
    return Threshold(float(np.quantile(best, 1.0 - false_alarms)), len(best))
