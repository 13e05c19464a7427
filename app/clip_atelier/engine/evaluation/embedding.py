"""Boards of questions and their embeddings as the model is now, its adapter and strength included."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from clip_atelier.engine.core import Control, UserError, Work, _, paths
from clip_atelier.engine.data import ImageCache
from clip_atelier.engine.evaluation import sets
from clip_atelier.engine.evaluation.sets import EvaluationSet
from clip_atelier.engine.evaluation.strengths import SELECTION_METRIC
from clip_atelier.engine.models import Features, Model, features

_A_FEW: Final = 8


def select_by(evaluation_set: EvaluationSet) -> str:
    """The direction and metric that choose checkpoints and strength."""
    return f"{evaluation_set.primary_metric}/{SELECTION_METRIC}"


def embed(
    clip: Model, pictures: ImageCache, evaluation_set: EvaluationSet, control: Control, half: bool = False
) -> Work[tuple[Features, Features]]:
    """Embeddings of a set's images and captions as the model is now; with `half` in training's precision, to choose by."""
    images = yield from features.images(clip, pictures, evaluation_set.indices, control, half)
    return images, features.texts(clip, evaluation_set.captions, half)


def embed_a_few(
    clip: Model, pictures: ImageCache, evaluation_set: EvaluationSet, control: Control
) -> Work[tuple[Features, Features]]:
    """Embeddings of a few drawings and captions of an evaluation set, nothing stored or remembered.

    All weights take part in each of them: a few prove as much as many.
    """
    images = yield from features.fresh_images(clip, pictures, evaluation_set.indices[:_A_FEW], control)
    return images, features.fresh_texts(clip, evaluation_set.captions[:_A_FEW])


def evaluation_set_of(
    pictures: ImageCache, indices: Sequence[int], groups: Sequence[int], control: Control
) -> Work[EvaluationSet]:
    """The questions that those of the items allow whose images are still readable.

    Raises:
        UserError: fewer than two are.
    """
    bad = set((yield from pictures.prepare(indices, control)))
    kept = [i for i in indices if i not in bad]
    if len(kept) < 2:
        raise UserError(
            _("“{folder}” holds too few images to measure on.").format(folder=paths.shown(pictures.root)),
            "",
            "folder",
        )
    return sets.evaluation_set(pictures.items, kept, groups)
