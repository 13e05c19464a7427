"""Losses: tensors in, tensors out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

SIMILARITY_TEMPERATURE: Final = 0.1
"""Of the likeness that smoothed targets follow."""


@dataclass(frozen=True)
class Relations:
    """Who belongs to whom in a batch of N images and M distinct captions.

    Attributes:
        image_text: bool [N, M], which captions are right for which image.
        sketches: Rows of the images that are sketches of a pair, int [S].
        artworks: Rows that are artworks of a pair, int [A].
        sketch_artwork: bool [S, A], which belong together.
        like_captions: float [N, M], how alike each caption is to the image's own ones, by the untouched model; None where
            targets are not smoothed.
        like_images: float [M, N], how alike each image is to the caption's own ones; None likewise.
    """

    image_text: Tensor
    sketches: Tensor
    artworks: Tensor
    sketch_artwork: Tensor
    like_captions: Tensor | None = None
    like_images: Tensor | None = None


def _one_way(
    logits: Tensor, positives: Tensor, alike: Tensor | None = None, smoothing: float = 0.0
) -> Tensor:
    """Cross-entropy of each row against a target spread evenly over its positives; rows without any are left out.

    With smoothing, that share of the target follows what is alike to the positives.
    """
    targets = positives.to(logits.dtype)
    counts = targets.sum(dim=1, keepdim=True)
    with_any = counts.squeeze(1) > 0
    if not bool(with_any.any()):
        return logits.sum() * 0.0
    targets = targets / counts.clamp(min=1)
    if smoothing and alike is not None:
        targets = (1 - smoothing) * targets + smoothing * F.softmax(alike / SIMILARITY_TEMPERATURE, dim=1)
    rows = -(targets * F.log_softmax(logits, dim=1)).sum(dim=1)
    return rows[with_any].mean()


def contrast(
    a: Tensor,
    b: Tensor,
    positives: Tensor,
    scale: Tensor | float,
    alike: tuple[Tensor | None, Tensor | None] = (None, None),
    smoothing: float = 0.0,
) -> Tensor:
    """Symmetric contrastive loss with several positives per row.

    With one positive per row and column this is CLIP's loss (Radford et al. 2021, figure 3). Several positives share
    the target evenly, so that equal captions are never each other's wrong answers (as in Khosla et al. 2020,
    arXiv:2004.11362, "L_out").

    Args:
        a: Embeddings [N, dim], any length.
        b: Embeddings [M, dim], any length.
        positives: bool [N, M], which belong together.
        scale: Factor on cosine similarities, 1 / temperature.
        alike: Float [N, M] and [M, N]: what smoothed targets follow.
        smoothing: Share of the targets that follows `alike`.

    Returns:
        A scalar; 0 where nothing has a positive.
    """
    logits = scale * F.normalize(a.float(), dim=1) @ F.normalize(b.float(), dim=1).T  # [N, M]
    there, back = alike
    return (
        _one_way(logits, positives, there, smoothing) + _one_way(logits.T, positives.T, back, smoothing)
    ) / 2


def objective(
    images: Tensor,
    texts: Tensor,
    relations: Relations,
    scale: Tensor | float,
    text_weight: float,
    pair_weight: float,
    pair_scale: float = 0.0,
    smoothing: float = 0.0,
) -> Tensor:
    """The training objective of one batch.

    Args:
        images: Image embeddings [N, dim].
        texts: Embeddings [M, dim] of the batch's distinct captions.
        relations: Who belongs to whom.
        scale: 1 / temperature.
        text_weight: Weight of image against caption.
        pair_weight: Weight of sketch against artwork.
        pair_scale: 1 / temperature of sketch against artwork; 0 for `scale`.
        smoothing: Share of the captions' targets that follows what is alike.

    Returns:
        The weighted mean of the parts that are present.
    """
    total = torch.zeros((), device=images.device)
    weights = 0.0
    if text_weight > 0 and len(texts):
        alike = (relations.like_captions, relations.like_images)
        total = total + text_weight * contrast(images, texts, relations.image_text, scale, alike, smoothing)
        weights += text_weight
    sketches, artworks = relations.sketches, relations.artworks
    if pair_weight > 0 and len(sketches) and len(artworks):
        total = total + pair_weight * contrast(
            images[sketches], images[artworks], relations.sketch_artwork, pair_scale or scale
        )
        weights += pair_weight
    return total / max(weights, 1e-12)
