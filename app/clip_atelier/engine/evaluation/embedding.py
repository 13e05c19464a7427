"""Boards of questions and their embeddings as the model is now, its adapter and strength included."""

from __future__ import annotations

from collections.abc import Sequence

from clip_atelier.engine.core import Control, UserError, Work, _, paths
from clip_atelier.engine.data import ImageCache
from clip_atelier.engine.evaluation import sets
from clip_atelier.engine.evaluation.sets import EvaluationSet
from clip_atelier.engine.evaluation.strengths import SELECTION_METRIC
from clip_atelier.engine.models import Features, Model, features


def select_by(evaluation_set: EvaluationSet) -> str:
    """The direction and metric that choose checkpoints and strength."""
    return f"{evaluation_set.primary_metric}/{SELECTION_METRIC}"


def embed(
    clip: Model, pictures: ImageCache, evaluation_set: EvaluationSet, control: Control
) -> Work[tuple[Features, Features]]:
    """Embeddings of a set's images and captions as the model is now."""
    images = yield from features.images(clip, pictures, evaluation_set.indices, control)
    return images, features.texts(clip, evaluation_set.captions)


def embed_one_batch(
    clip: Model, pictures: ImageCache, evaluation_set: EvaluationSet, control: Control
) -> Work[tuple[Features, Features]]:
    """Embeddings of one batch of an evaluation set, nothing stored or remembered."""
    images = yield from features.fresh_images(
        clip, pictures, evaluation_set.indices[: features.BATCH], control
    )
    return images, features.fresh_texts(clip, evaluation_set.captions[: features.TEXT_BATCH])


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
