"""How strongly an update is applied: what helps most on drawings that it has not learned from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from clip_atelier.engine.core import Control, Strength, Work
from clip_atelier.engine.data import ImageCache
from clip_atelier.engine.evaluation import EvaluationSet, Values, embed, select_by, strengths
from clip_atelier.engine.models import Adapter, Features, Model

_FIRST: Final = (0.5, 1.0)
_AROUND_HALF: Final = (0.25, 0.75)
_AROUND_ALL: Final = (0.75, 1.25)


class StrengthChooser:
    """Measures an update on the validation images at one strength after another, in training's precision.

    Args:
        clip: The model.
        adapter: The update that is attached.
        pictures: Prepared pictures.
        evaluation_set: The questions about the validation images.
        known: Embeddings of its images and captions, by strength, that are there already; those of the base are.
    """

    def __init__(
        self,
        clip: Model,
        adapter: Adapter,
        pictures: ImageCache,
        evaluation_set: EvaluationSet,
        known: Mapping[float, tuple[Features, Features]],
    ) -> None:
        self.clip = clip
        self.adapter = adapter
        self.pictures = pictures
        self.evaluation_set = evaluation_set
        self._values = {strength: evaluation_set.values(*found) for strength, found in known.items()}

    def values(self, strength: float) -> Values:
        """Per-query values at a strength that was measured."""
        return self._values[strength]

    def measured(self, strength: float, control: Control) -> Work[Values]:
        """Per-query values at a strength."""
        if strength not in self._values:
            self.adapter.set_adapter_scale(strength)
            now = yield from embed(self.clip, self.pictures, self.evaluation_set, control, half=True)
            self._values[strength] = self.evaluation_set.values(*now)
        return self._values[strength]

    def choose(self, control: Control) -> Work[float]:
        """The strength that is best of those that help; 0 where none does.

        Half and full strength are tried first, then those on both sides of the better one.
        """
        key = select_by(self.evaluation_set)
        before = self.values(0.0)
        best, highest = 0.0, float(np.nanmean(before[key]))
        yield Strength(strength=best, score=highest)
        scores: dict[float, float] = {}
        left = [*_FIRST]
        while left:
            strength = left.pop(0)
            now = yield from self.measured(strength, control)
            scores[strength] = score = float(np.nanmean(now[key]))
            yield Strength(strength=strength, score=score)
            if score > highest and strengths.helps(self.evaluation_set, before, now):
                best, highest = strength, score
            if len(scores) == len(_FIRST):
                left = [*(_AROUND_HALF if scores[0.5] >= scores[1.0] else _AROUND_ALL)]
        yield Strength(strength=best, score=highest, chosen=True)
        return best
