"""A gallery that is asked for with one caption after the other: what does not depend on the caption is computed once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from clip_atelier.engine.parts.arrays import BoolArray, FloatArray, top_mean, unit
from clip_atelier.engine.parts.embedded import tokenize
from clip_atelier.engine.parts.fitted import FittedParts
from clip_atelier.engine.parts.nothing_fits import calibrated_scores
from clip_atelier.engine.parts.questions import TEXT_TO_IMAGE
from clip_atelier.engine.parts.variants import PLAIN
from clip_atelier.engine.parts.word_questions import (
    BASE_WORDS,
    NEIGHBOURS,
    Captions,
    Comparison,
    Drawings,
    WordModel,
    WordSetting,
)

Rows = NDArray[np.float32]

_BLOCK: Final = 4096  # drawings prepared at a time, in double precision


@dataclass(frozen=True)
class _Prepared:
    """What one setting needs of the drawings: compared embeddings [N, d], kernel features [N, p], hubness [N]."""

    compared: Rows
    features: Rows
    hubness: FloatArray


class AskedDrawings:
    """Drawings that captions ask for, ranked by the parts of a run: `FittedParts.word_scores`, caption by caption.

    Args:
        parts: The run's parts.
        images: Unit embeddings [N, d] in the variant that `parts.setting("text_to_image", dial)` names.
        roles: Roles of the drawings, or None.
        dial: Above 0, up to 1.5.
    """

    def __init__(
        self, parts: FittedParts, images: Rows, roles: Sequence[str] | None, dial: float = 1.0
    ) -> None:
        self._images = images
        self._roles = roles
        setting = parts.setting(TEXT_TO_IMAGE, dial)
        self._setting = setting if isinstance(setting, WordSetting) else BASE_WORDS
        learned = parts.settings.get(TEXT_TO_IMAGE, BASE_WORDS)
        self._model = parts.word_models.get(learned.variant)
        self._dial = dial
        self._known: dict[WordSetting, _Prepared] = {}

    def scores(self, text: Rows, caption: str) -> FloatArray | None:
        """The score of every drawing.

        Args:
            text: Unit embedding [d] of the caption, by the model at the strength that the setting names.
            caption: Its words.

        Returns:
            [N], equal drawings equal scores; None where no part is used, so that the cosine is the score.
        """
        if self._model is None:
            return None
        model, setting = self._model, self._setting
        taught = setting.for_taught(self._dial)
        if taught != setting and model.learned.names_taught(caption):
            model, setting = model.for_taught(setting), taught
        if not (setting.learned or setting.hub or setting.mean):
            return None
        prepared = self._prepared(model, setting)
        asked = Captions(model, unit(text[None]), [caption])
        vector = unit(asked.texts - setting.mean * model.text_mean) if setting.mean else asked.texts
        scores = prepared.compared @ vector[0].astype(np.float32)
        if setting.learned:
            learned = asked.meaning + asked.by_words if setting.words else asked.meaning
            weight = setting.learned * model.learned.scales[int(setting.words)]
            scores = scores + prepared.features @ (weight * learned[0]).astype(np.float32)
        # Single precision is enough to rank by; beyond it, equal rows of a product may differ.
        return np.round(np.asarray(scores, np.float64) - prepared.hubness, 5)

    def _prepared(self, model: WordModel, setting: WordSetting) -> _Prepared:
        if setting not in self._known:
            self._known[setting] = _prepared(model, setting, self._images, self._roles)
        return self._known[setting]


def _prepared(model: WordModel, setting: WordSetting, images: Rows, roles: Sequence[str] | None) -> _Prepared:
    """Prepares unit embeddings [N, d] block by block, kept in single precision."""
    compared, features, hubness = [], [], []
    for start in range(0, len(images), _BLOCK):
        part = slice(start, start + _BLOCK)
        drawings = Drawings(model, unit(images[part]), None if roles is None else roles[part])
        if setting.mean:
            compared.append(unit(drawings.images - setting.mean * drawings.means).astype(np.float32))
        features.append(drawings.features.astype(np.float32))
        hubness.append(np.zeros(len(drawings.images)))
        if setting.hub:
            near = Comparison(model, model.bank_captions, drawings).plain(setting)
            hubness[-1] = setting.hub * top_mean(np.ascontiguousarray(near.T), NEIGHBOURS)
    return _Prepared(
        np.concatenate(compared) if compared else images, np.concatenate(features), np.concatenate(hubness)
    )


def fitting(
    parts: FittedParts,
    text: Rows,
    caption: str,
    images: Rows,
    carried: Sequence[Sequence[str]],
    roles: Sequence[str] | None = None,
) -> BoolArray | None:
    """Which drawings a caption fits, by the threshold that the run found; the others are only the closest there are.

    Args:
        parts: The run's parts.
        text: Embedding [d] of the caption by the untouched model.
        caption: Its words.
        images: Embeddings [N, d] of the drawings by the untouched model, as they are.
        carried: The captions of each drawing; one that carries the very caption that is asked always fits.
        roles: Roles of the drawings, or None.

    Returns:
        [N]; None where it cannot be told.
    """
    model = parts.word_models.get(PLAIN)
    if model is None or parts.threshold.value is None:
        return None
    asked = Captions(model, unit(text[None]), [caption])
    scores = calibrated_scores(model, asked, Drawings(model, unit(images), roles))
    key = _telling(model, caption)
    known = np.array([[any(_telling(model, c) == key for c in captions) for captions in carried]], np.bool_)
    return np.asarray(parts.threshold.fits(scores, known)[0])


def _telling(model: WordModel, caption: str) -> tuple[str, ...]:
    """The telling words of a caption in alphabetical order; all of them where none tells anything."""
    words = tokenize(caption)
    return tuple(sorted(w for w in words if w not in model.learned.ignored) or sorted(words))
