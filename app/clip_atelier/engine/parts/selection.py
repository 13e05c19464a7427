"""Choosing by inner folds: which parts help a question, and at which settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from clip_atelier.engine.parts.arrays import FloatArray
from clip_atelier.engine.parts.picture_head import BASE_PICTURES, PictureSetting
from clip_atelier.engine.parts.questions import WORD_QUESTIONS
from clip_atelier.engine.parts.variants import Variant
from clip_atelier.engine.parts.word_questions import BASE_WORDS, WordSetting

Setting = WordSetting | PictureSetting

CAUTION: Final = 1.0
"""Standard errors by which a gain must exceed zero."""

_WORDS: Final[tuple[WordSetting, ...]] = (
    WordSetting(hub=0.5),
    *(WordSetting(learned, True, hub) for learned in (0.3, 0.6, 1.2, 2.5, 5.0) for hub in (0.0, 0.5)),
)
_PICTURES: Final = tuple(
    PictureSetting(weight, 3.0, cross, 0.5) for weight in (0.5, 1.0) for cross in (0.0, 0.5)
)
"""Few settings: with more of them a better one is there, and luck chooses another (`docs/decisions/0009`)."""


def settings_of(question: str, variants: Sequence[Variant], parts: bool = True) -> tuple[Setting, ...]:
    """The settings that are tried for a question; the first one is the base.

    Parts stand on the embeddings of several views alone: they are the steadier ones, and fewer choices are made by luck.

    Args:
        question: One of the four.
        variants: The embeddings that are at hand, the untouched ones first.
        parts: Whether anything is tried beside the embeddings themselves.
    """
    found: list[Setting] = []
    words = question in WORD_QUESTIONS
    for variant in variants:
        found.append(replace(BASE_WORDS if words else BASE_PICTURES, variant=variant))
        if parts and variant.views:
            grid: Sequence[Setting] = _WORDS if words else _PICTURES
            found.extend(replace(setting, variant=variant) for setting in grid)
    return tuple(found)


def choose(table: FloatArray, allowed: Sequence[int] | None = None, caution: float = CAUTION) -> int:
    """Picks the setting with the best cautious gain over the base.

    The gain of a setting is the mean paired difference to the base less `caution` standard errors, so of two equal means
    the steadier one wins, and the base stays unless something exceeds it by that much.

    Args:
        table: Average precision [settings, queries]; row 0 is the base.
        allowed: Rows that may be chosen beside the base; None for all.
        caution: Standard errors.

    Returns:
        Row of the choice; 0 for the base.
    """
    if table.shape[1] < 2:
        return 0
    rows = np.arange(1, len(table)) if allowed is None else np.array([r for r in allowed if r], dtype=int)
    if not len(rows):
        return 0
    difference = table[rows] - table[0]
    error = difference.std(axis=1, ddof=1) / np.sqrt(table.shape[1])
    cautious = difference.mean(axis=1) - caution * error
    best = int(np.argmax(cautious))
    return int(rows[best]) if cautious[best] > 0 else 0
