"""Losses: tensors in, tensors out."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def _one_way(logits: Tensor, positives: Tensor) -> Tensor:
    """Cross-entropy of each row against a target spread evenly over its positives; rows without any are left out."""
    targets = positives.to(logits.dtype)
    counts = targets.sum(dim=1, keepdim=True)
    with_any = counts.squeeze(1) > 0
    if not bool(with_any.any()):
        return logits.sum() * 0.0
    rows = -(targets / counts.clamp(min=1) * F.log_softmax(logits, dim=1)).sum(dim=1)
    return rows[with_any].mean()


def contrast(a: Tensor, b: Tensor, positives: Tensor, scale: Tensor | float) -> Tensor:
    """Symmetric contrastive loss with several positives per row.

    With one positive per row and column this is CLIP's loss (Radford et al. 2021, figure 3). Several positives share
    the target evenly, so that equal captions are never each other's wrong answers (as in Khosla et al. 2020,
    arXiv:2004.11362, "L_out").

    Args:
        a: Embeddings [N, dim], any length.
        b: Embeddings [M, dim], any length.
        positives: bool [N, M], which belong together.
        scale: Factor on cosine similarities, 1 / temperature.

    Returns:
        A scalar; 0 where nothing has a positive.
    """
    logits = scale * F.normalize(a.float(), dim=1) @ F.normalize(b.float(), dim=1).T  # [N, M]
    return (_one_way(logits, positives) + _one_way(logits.T, positives.T)) / 2


def objective(
    images: Tensor,
    texts: Tensor,
    image_text: Tensor,
    sketches: Tensor,
    artworks: Tensor,
    sketch_artwork: Tensor,
    scale: Tensor | float,
    text_weight: float,
    pair_weight: float,
) -> Tensor:
    """The training objective of one batch.

    Args:
        images: Image embeddings [N, dim].
        texts: Embeddings [M, dim] of the batch's distinct captions.
        image_text: bool [N, M], which captions are right for which image.
        sketches: Rows of `images` that are sketches of a pair, int [S].
        artworks: Rows that are artworks of a pair, int [A].
        sketch_artwork: bool [S, A], which belong together.
        scale: 1 / temperature.
        text_weight: Weight of image against caption.
        pair_weight: Weight of sketch against artwork.

    Returns:
        The weighted mean of the parts that are present.
    """
    total = torch.zeros((), device=images.device)
    weights = 0.0
    if text_weight > 0 and len(texts):
        total = total + text_weight * contrast(images, texts, image_text, scale)
        weights += text_weight
    if pair_weight > 0 and len(sketches) and len(artworks):
        total = total + pair_weight * contrast(images[sketches], images[artworks], sketch_artwork, scale)
        weights += pair_weight
    return total / max(weights, 1e-12)
