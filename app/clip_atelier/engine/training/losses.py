"""Losses: tensors in, tensors out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

SIMILARITY_TEMPERATURE: Final = 0.1
"""Of the likeness that smoothed targets follow."""
_PAIR_SCALE: Final = 100.0
_SHORTEST: Final = 1e-12
"""The least length that a vector is divided by, as torch's own normalisation has it."""


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


@dataclass(frozen=True)
class _Targets:
    """What the rows of a matrix of similarities [N, M] should be.

    Attributes:
        values: float [N, M], each row of sum 1.
        counted: float [N], 1 for rows with a positive, 0 for the others, which are left out.
        count: How many are counted, at least 1.
    """

    values: Tensor
    counted: Tensor
    count: Tensor

    @classmethod
    def of(cls, positives: Tensor, alike: Tensor | None, smoothing: float) -> _Targets:
        """Spread evenly over the positives; with smoothing, that share follows what is alike to them."""
        values = positives.float()
        counts = values.sum(dim=1)
        # By weights rather than by a choice of rows, whose number a graphics card would have to tell first.
        counted = (counts > 0).float()
        values = values.div_(counts.clamp_(min=1)[:, None])
        if smoothing and alike is not None:
            soft = F.softmax(alike / SIMILARITY_TEMPERATURE, dim=1)
            values = values.mul_(1 - smoothing).add_(soft, alpha=smoothing)
        return cls(values, counted, counted.sum().clamp_(min=1))

    def cross_entropy(self, logs: Tensor) -> Tensor:
        """Mean over the rows that count, of log-probabilities [N, M]."""
        rows = (self.values * logs).sum(dim=1)
        return -(rows @ self.counted) / self.count

    def gradient(self, logs: Tensor) -> Tensor:
        """Of `cross_entropy` in the logits, [N, M]; the log-probabilities are written over."""
        return logs.exp_().sub_(self.values).mul_((self.counted / self.count)[:, None])


class _Contrast(torch.autograd.Function):
    """The contrastive loss with its derivative written out.

    A loss of 32 drawings is sixty operations on matrices of a thousand numbers, which automatic differentiation doubles and
    keeps a record of; that took longer than the arithmetic. Softmax less target is the gradient in the logits; from there
    it is two products.
    """

    @staticmethod
    def forward(
        ctx: Any, a: Tensor, b: Tensor, scale: Tensor | float, there: _Targets, back: _Targets
    ) -> Tensor:
        lengths = [x.norm(dim=1, keepdim=True).clamp_(min=_SHORTEST) for x in (a, b)]
        a, b = a / lengths[0], b / lengths[1]
        logits = (scale * a) @ b.T  # [N, M]
        one, other = F.log_softmax(logits, dim=1), F.log_softmax(logits.T, dim=1)
        loss = (there.cross_entropy(one) + back.cross_entropy(other)) / 2
        inner = there.gradient(one).add_(back.gradient(other).T).div_(2)
        ctx.scale = scale if isinstance(scale, float | int) else scale.detach()
        ctx.save_for_backward(a, b, *lengths, inner, logits if ctx.needs_input_grad[2] else None)
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        a, b, length_a, length_b, inner, logits = ctx.saved_tensors
        factor = gradients[0] * ctx.scale
        of_a = of_b = of_scale = None
        if ctx.needs_input_grad[0]:
            of_a = _through_length(inner @ b, a, length_a).mul_(factor)
        if ctx.needs_input_grad[1]:
            of_b = _through_length(inner.T @ a, b, length_b).mul_(factor)
        if logits is not None:
            of_scale = (inner * logits).sum() / ctx.scale * gradients[0]
        return of_a, of_b, of_scale, None, None


def _through_length(gradient: Tensor, unit: Tensor, length: Tensor) -> Tensor:
    """The gradient [N, dim] in vectors of some lengths [N, 1], from that in the vectors of length 1 which they became."""
    along = (gradient * unit).sum(dim=1, keepdim=True)
    return gradient.addcmul_(unit, along, value=-1).div_(length)


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
    there, back = alike
    loss: Tensor = _Contrast.apply(
        a.float(),
        b.float(),
        scale,
        _Targets.of(positives, there, smoothing),
        _Targets.of(positives.T, back, smoothing),
    )
    return loss


def sigmoid_contrast(
    a: Tensor, b: Tensor, positives: Tensor, scale: Tensor | float, bias: Tensor | float
) -> Tensor:
    """The loss of SigLIP: every pair is right or wrong by itself (Zhai et al. 2023, arXiv:2303.15343, algorithm 1).

    Several positives per row are so many right pairs. Arguments as `contrast`; `bias` is added to scaled similarities.

    Returns:
        A scalar: the sum over the M columns, the mean over the N rows that have a positive; 0 without any.
    """
    logits = scale * F.normalize(a.float(), dim=1) @ F.normalize(b.float(), dim=1).T + bias  # [N, M]
    signs = positives.to(logits.dtype) * 2 - 1
    rows = -F.logsigmoid(signs * logits).sum(dim=1)
    with_any = positives.any(dim=1).to(rows.dtype)
    return (rows * with_any).sum() / with_any.sum().clamp(min=1)


def objective(
    images: Tensor,
    texts: Tensor,
    relations: Relations,
    scale: Tensor | float,
    text_weight: float,
    pair_weight: float,
    pair_scale: float = 0.0,
    smoothing: float = 0.0,
    bias: Tensor | float | None = None,
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
        smoothing: Share of the captions' targets that follows what is alike; the sigmoid loss knows no such share.
        bias: Given for models of the sigmoid loss: captions are learned by it. Sketches and artworks, for which no such
            bias was ever learned, are compared by the softmax always, at a scale of 100 at most.

    Returns:
        The weighted mean of the parts that are present.
    """
    total = torch.zeros((), device=images.device)
    weights = 0.0
    if text_weight > 0 and len(texts):
        alike = (relations.like_captions, relations.like_images)
        right = relations.image_text
        loss = (
            contrast(images, texts, right, scale, alike, smoothing)
            if bias is None
            else sigmoid_contrast(images, texts, right, scale, bias)
        )
        total = total + text_weight * loss
        weights += text_weight
    sketches, artworks = relations.sketches, relations.artworks
    if pair_weight > 0 and len(sketches) and len(artworks):
        if bias is not None:
            scale = scale.clamp(max=_PAIR_SCALE) if isinstance(scale, Tensor) else min(scale, _PAIR_SCALE)
        total = total + pair_weight * contrast(
            images[sketches], images[artworks], relations.sketch_artwork, pair_scale or scale
        )
        weights += pair_weight
    return total / max(weights, 1e-12)
