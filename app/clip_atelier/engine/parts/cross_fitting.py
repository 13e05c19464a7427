"""Out-of-fold measurement of every setting of every part: all later choices are look-ups in its tables.

For each fold everything is learned from the other folds, and what is kept is chosen among these: a model that has seen
neither the fold that is asked nor the one that is chosen for says what helps. An update that was trained by steps is an
exception in one respect: training it once more for every pair of folds would take five times as long, so the embeddings
that a choice looks at come from an update that has seen the fold that is chosen for (never the one that is asked).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from clip_atelier.engine.evaluation import EvaluationSet, caption_key, metrics
from clip_atelier.engine.parts.arrays import FloatArray, IntArray, average_precision
from clip_atelier.engine.parts.embedded import Embedded
from clip_atelier.engine.parts.picture_head import PictureHead
from clip_atelier.engine.parts.questions import WORD_QUESTIONS, sketches_and_artworks
from clip_atelier.engine.parts.selection import Setting, settings_of
from clip_atelier.engine.parts.variants import PLAIN, Variant
from clip_atelier.engine.parts.word_questions import Asked, Captions, Drawings, WordModel, WordSetting

Variants = Mapping[Variant, Embedded]
Tables = dict[str, FloatArray]
"""Question -> average precision [settings, queries]."""

Known = dict[tuple[int, bytes], tuple[WordModel | None, PictureHead | None]]

FEWEST = 5
"""Fewest drawings with captions that parts are learned from."""


class FoldModel:
    """All parts, fitted on the training drawings of a fold.

    Args:
        variants: The collection in every embedding that is tried, the untouched one first.
        train: Positions of the training drawings.
        parts: Whether anything is learned beside the embeddings.
        known: What was fitted on the same drawings in the same embeddings; added to.
    """

    def __init__(
        self, variants: Variants, train: IntArray, parts: bool = True, known: Known | None = None
    ) -> None:
        self.variants = variants
        known = {} if known is None else known
        self.plain = variants[PLAIN]
        captioned = sum(1 for i in train if self.plain.captions[i])
        enough = parts and len(train) >= FEWEST and captioned >= FEWEST
        paired = parts and len(self.plain.role_indices(train, "sketch")) > 0
        self.words: dict[Variant, WordModel] = {}
        self.pictures: dict[Variant, PictureHead] = {}
        for variant, embedded in variants.items():
            key = (id(embedded), train.tobytes())
            if key not in known:
                known[key] = (
                    WordModel.fit(embedded, train) if enough else None,
                    PictureHead.fit(embedded, train) if paired else None,
                )
            words, head = known[key]
            if words is not None:
                self.words[variant] = words
            if head is not None:
                self.pictures[variant] = head

    def prepared(self, test: IntArray, asked: IntArray) -> dict[Variant, Asked]:
        """Captions and drawings of a test fold, ready to be compared under every setting."""
        roles = None if self.plain.roles is None else [self.plain.roles[i] for i in test]
        strings = [self.plain.strings[i] for i in asked]
        return {
            v: Asked(m, Captions(m, c.texts[asked], strings), Drawings(m, c.images[test], roles))
            for v, m in self.words.items()
            for c in (self.variants[v],)
        }


class Asking:
    """The questions of one test fold, put to a fitted model.

    Args:
        model: What was learned from other drawings.
        questions: The questions about the test drawings.
    """

    def __init__(self, model: FoldModel, questions: EvaluationSet) -> None:
        self.model = model
        self.questions = questions
        self.test = np.array(questions.indices, dtype=np.int64)
        place = {caption_key(text): n for n, text in enumerate(model.plain.strings)}
        self.asked = np.array([place[caption_key(c)] for c in questions.captions], dtype=np.int64)
        self._words = model.prepared(self.test, self.asked)

    def scores(self, question: str, setting: Setting) -> FloatArray:
        """Scores [queries, gallery] of a question under a setting."""
        task = self.questions.task(question)
        embedded = self.model.variants[setting.variant]
        images, texts = embedded.images[self.test], embedded.texts[self.asked]
        if isinstance(setting, WordSetting):
            ready = self._words.get(setting.variant)
            if ready is not None:
                return ready.scores(question, setting)
            return np.asarray(texts @ images.T if question == WORD_QUESTIONS[0] else images @ texts.T)
        sketches, artworks = sketches_and_artworks(task)
        head = self.model.pictures.get(setting.variant)
        if head is None:
            return np.asarray(images[task.queries] @ images[task.gallery].T)
        return head.scores(question, setting, images[sketches], images[artworks])

    def tables(self, settings: Mapping[str, Sequence[Setting]]) -> Tables:
        """Average precision of every setting on every query."""
        return {
            task.name: np.stack(
                [average_precision(self.scores(task.name, s), task.positives) for s in settings[task.name]]
            )
            for task in self.questions.tasks
        }

    def values(self, question: str, setting: Setting) -> dict[str, FloatArray]:
        """Every metric of a question for each query."""
        return metrics.per_query(
            self.scores(question, setting).astype(np.float32), self.questions.task(question).positives
        )


@dataclass(frozen=True)
class CrossFit:
    """Average precision of every setting on every fold.

    Attributes:
        folds: Their numbers.
        settings: Question -> the settings that were tried, the base first.
        inner: (fold that is chosen for, fold that is asked) -> tables of a model that has seen neither.
        outer: Fold that is asked -> tables of the model that has not seen it.
        asking: Fold -> its questions and the model that has not seen it.
    """

    folds: tuple[int, ...]
    settings: Mapping[str, tuple[Setting, ...]]
    inner: Mapping[tuple[int, int], Tables]
    outer: Mapping[int, Tables]
    asking: Mapping[int, Asking]

    @property
    def questions(self) -> tuple[str, ...]:
        """The questions that every fold can be asked."""
        return tuple(self.settings)

    def inside(self, question: str, fold: int) -> FloatArray:
        """What the training folds of a fold say, [settings, queries]."""
        others = [k for k in self.folds if k != fold and question in self.outer[k]]
        empty = np.zeros((len(self.settings[question]), 0))
        return np.concatenate([empty, *(self.inner[fold, k][question] for k in others)], axis=1)

    def outside(self, question: str) -> FloatArray:
        """What all folds say, each of a model that has not seen it, [settings, queries] in the order of the folds."""
        return np.concatenate(
            [self.outer[k][question] for k in self.folds if question in self.outer[k]], axis=1
        )

    def asked(self, question: str) -> tuple[int, ...]:
        """The folds that can be asked a question."""
        return tuple(k for k in self.folds if question in self.outer[k])


def cross_fit(
    folds: IntArray,
    questions: Mapping[int, EvaluationSet],
    variants_of: Mapping[int, Variants],
    parts: bool = True,
    known: Known | None = None,
) -> CrossFit:
    """Fits and asks all settings on all folds.

    Args:
        folds: Fold of each drawing [N].
        questions: Fold -> the questions about its drawings.
        variants_of: Fold -> the collection embedded by models that have not learned from that fold. Those of the untouched
            model are the same objects for every fold.
        parts: Whether anything is tried beside the embeddings themselves.
        known: What was fitted before in some of the same embeddings; added to.
    """
    names = tuple(sorted(questions))
    settings = {
        task.name: settings_of(task.name, tuple(variants_of[names[0]]), parts)
        for task in max((questions[k].tasks for k in names), key=len)
    }
    inner: dict[tuple[int, int], Tables] = {}
    outer: dict[int, Tables] = {}
    asking: dict[int, Asking] = {}
    fits: Known = {} if known is None else known

    def fitted(left_out: Sequence[int], fold: int) -> Asking:
        train = np.flatnonzero(~np.isin(folds, left_out))
        return Asking(FoldModel(variants_of[fold], train, parts, fits), questions[fold])

    for fold in names:
        asking[fold] = fitted([fold], fold)
        outer[fold] = asking[fold].tables(settings)
    for chosen_for in names:
        for fold in names:
            if fold != chosen_for:
                # Without parts nothing is learned here, so a fold says the same whoever chooses by it.
                inner[chosen_for, fold] = (
                    fitted([chosen_for, fold], fold).tables(settings) if parts else outer[fold]
                )
    return CrossFit(names, settings, inner, outer, asking)
