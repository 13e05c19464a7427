"""Proof that the base pane is the untouched model."""

from __future__ import annotations

import numpy as np

from clip_atelier.engine.core import Control, Notice, Work, _
from clip_atelier.engine.data import ImageCache
from clip_atelier.engine.evaluation import EvaluationSet, embed_a_few
from clip_atelier.engine.models import Adapter, Features, Model


def untouched_again(
    clip: Model,
    adapter: Adapter,
    pictures: ImageCache,
    evaluation_set: EvaluationSet,
    before: tuple[Features, Features],
    control: Control,
) -> Work[bool]:
    """Whether, with the update off, the very same bits come out as before it was attached.

    Args:
        clip: The model.
        adapter: The update that is attached.
        pictures: Prepared pictures.
        evaluation_set: Whose first batch is embedded again.
        before: What `embed_a_few` gave before the update was attached.
        control: Stop and pause.
    """
    with adapter.at(0.0):
        again = yield from embed_a_few(clip, pictures, evaluation_set, control)
    same = all(np.array_equal(a, b) for a, b in zip(before, again, strict=True))
    if not same:
        yield Notice(text=_("The base embeddings could not be reproduced bit for bit on this device."))
    return same
