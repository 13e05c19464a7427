"""Losses: tensors in, tensors out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from clip_atelier.engine.training.targets import Targets

_PAIR_SCALE: Final = 100.0
_SHORTEST: Final = 1e-12
"""The least length that a vector is divided by, as torch's own normalisation has it."""


@dataclass(frozen=True)
class Relations:
    """Who belongs to whom in a batch of N images and M distinct captions.

    Attributes:
        captions: Which captions are right for which image, [N, M].
        sketches: Rows of the images that are sketches of a pair, int [S].
        artworks: Rows that are artworks of a pair, int [A].
        pairs: Which of them belong together, [S, A]; None where one side is empty.
    """

    captions: Targets
    sketches: Tensor
    artworks: Tensor
    pairs: Targets | None

    def tensors(self) -> tuple[Tensor, ...]:
        """All of it as a row of tensors."""
        pairs = () if self.pairs is None else self.pairs.tensors()
        return *self.captions.tensors(), self.sketches, self.artworks, *pairs

    @classmethod
    def of_tensors(cls, row: Sequence[Tensor]) -> Relations:
        """What gave this row of `tensors`."""
        captions, (sketches, artworks, *pairs) = row[: Targets.COUNT], row[Targets.COUNT :]
        return cls(Targets(*captions), sketches, artworks, Targets(*pairs) if pairs else None)


@dataclass(frozen=True)
class _WayBack:
    """The gradients of a contrastive loss, written out: softmax less target in the logits, from there two products.

    Attributes:
        inner: The gradient in the logits, [N, M].
        logits: [N, M].
        a: One side as vectors of length 1, [N, dim], and its lengths [N, 1].
        b: The other, [M, dim] and [M, 1].
    """

    inner: Tensor
    logits: Tensor
    a: tuple[Tensor, Tensor]
    b: tuple[Tensor, Tensor]

    def to_a(self, factor: Tensor | float) -> Tensor:
        """The gradient in the embeddings of one side, times a factor."""
        return _through_length(self.inner @ self.b[0], *self.a).mul_(factor)

    def to_b(self, factor: Tensor | float) -> Tensor:
        """The same of the other side."""
        return _through_length(self.inner.T @ self.a[0], *self.b).mul_(factor)


def _compared(a: Tensor, b: Tensor, scale: Tensor | float, targets: Targets) -> tuple[Tensor, _WayBack]:
    """The contrastive loss of two sides, and the way back.

    A loss of 32 drawings is some thirty operations on matrices of a thousand numbers, which automatic differentiation
    doubles and keeps a record of; that took longer than the arithmetic.

    Args:
        a: Embeddings, float [N, dim].
        b: Embeddings, float [M, dim].
        scale: Factor on cosine similarities.
        targets: What they should come to.
    """
    lengths = [torch.linalg.vector_norm(x, dim=1, keepdim=True).clamp_(min=_SHORTEST) for x in (a, b)]
    a, b = a / lengths[0], b / lengths[1]
    logits = (a @ b.T).mul_(scale)  # [N, M]
    one, other = logits.log_softmax(1), logits.log_softmax(0)
    loss = (one * targets.there).addcmul_(other, targets.back).sum().neg_()
    inner = one.exp_().mul_(targets.rows).addcmul_(other.exp_(), targets.columns)
    return loss, _WayBack(inner.sub_(targets.both), logits, (a, lengths[0]), (b, lengths[1]))


def _through_length(gradient: Tensor, unit: Tensor, length: Tensor) -> Tensor:
    """The gradient [N, dim] in vectors of some lengths [N, 1], from that in the vectors of length 1 which they became."""
    along = (gradient * unit).sum(dim=1, keepdim=True)
    return gradient.addcmul_(unit, along, value=-1).div_(length)


class _Contrast(torch.autograd.Function):
    """The same for what automatic differentiation goes on from: a temperature that is trained too, a sum of losses."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, scale: Tensor | float, targets: Targets) -> Tensor:
        loss, ctx.back = _compared(a, b, scale, targets)
        ctx.scale = scale if isinstance(scale, float | int) else scale.detach()
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        back, factor = ctx.back, gradients[0] * ctx.scale
        of_a = back.to_a(factor) if ctx.needs_input_grad[0] else None
        of_b = back.to_b(factor) if ctx.needs_input_grad[1] else None
        of_scale = None
        if ctx.needs_input_grad[2]:
            of_scale = (back.inner * back.logits).sum() / ctx.scale * gradients[0]
        return of_a, of_b, of_scale, None


def contrast(a: Tensor, b: Tensor, targets: Targets, scale: Tensor | float) -> Tensor:
    """Symmetric contrastive loss with several positives per row.

    With one positive per row and column this is CLIP's loss (Radford et al. 2021, figure 3). Several positives share
    the target evenly, so that equal captions are never each other's wrong answers (as in Khosla et al. 2020,
    arXiv:2004.11362, "L_out").

    Args:
        a: Embeddings [N, dim], any length.
        b: Embeddings [M, dim], any length.
        targets: Which belong together, [N, M].
        scale: Factor on cosine similarities, 1 / temperature.

    Returns:
        A scalar; 0 where nothing has a positive.
    """
    loss: Tensor = _Contrast.apply(a.float(), b.float(), scale, targets)
    return loss


def sigmoid_contrast(
    a: Tensor, b: Tensor, targets: Targets, scale: Tensor | float, bias: Tensor | float
) -> Tensor:
    """The loss of SigLIP: every pair is right or wrong by itself (Zhai et al. 2023, arXiv:2303.15343, algorithm 1).

    Several positives per row are so many right pairs. Arguments as `contrast`; `bias` is added to scaled similarities.

    Returns:
        A scalar: the sum over the M columns, the mean over the N rows that have a positive; 0 without any.
    """
    logits = scale * F.normalize(a.float(), dim=1) @ F.normalize(b.float(), dim=1).T + bias  # [N, M]
    signs = targets.right * 2 - 1
    rows = -F.logsigmoid(signs * logits).sum(dim=1)
    with_any = (targets.rows[:, 0] > 0).to(rows.dtype)
    return (rows * with_any).sum() / with_any.sum().clamp(min=1)


def objective(
    images: Tensor,
    texts: Tensor,
    relations: Relations,
    scale: Tensor | float,
    text_weight: float,
    pair_weight: float,
    pair_scale: float = 0.0,
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
        bias: Given for models of the sigmoid loss: captions are learned by it. Sketches and artworks, for which no such
            bias was ever learned, are compared by the softmax always, at a scale of 100 at most.

    Returns:
        The weighted mean of the parts that are present.
    """
    total = torch.zeros((), device=images.device)
    words, pairs = _weights(texts, relations, text_weight, pair_weight)
    if words:
        loss = (
            contrast(images, texts, relations.captions, scale)
            if bias is None
            else sigmoid_contrast(images, texts, relations.captions, scale, bias)
        )
        total = total + words * loss
    if pairs and relations.pairs:
        if bias is not None:
            scale = scale.clamp(max=_PAIR_SCALE) if isinstance(scale, Tensor) else min(scale, _PAIR_SCALE)
        total = total + pairs * contrast(
            images[relations.sketches], images[relations.artworks], relations.pairs, pair_scale or scale
        )
    return total


def objective_and_gradients(
    images: Tensor,
    texts: Tensor,
    relations: Relations,
    scale: float,
    text_weight: float,
    pair_weight: float,
    pair_scale: float = 0.0,
    wanted: tuple[bool, bool] = (True, True),
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """`objective` of a softmax whose temperature is not trained, and its gradients, with no record of operations kept.

    Args:
        images: As for `objective`, float and with no gradient of their own; so are the texts.
        texts: See above.
        relations: As for `objective`.
        scale: As for `objective`.
        text_weight: As for `objective`.
        pair_weight: As for `objective`.
        pair_scale: As for `objective`.
        wanted: Whether the gradient in the images is asked for, and that in the texts.

    Returns:
        The loss, and both gradients; None for one that is not wanted, and where the loss does not depend on them.
    """
    words, pairs = _weights(texts, relations, text_weight, pair_weight)
    loss = of_images = of_texts = None
    if words:
        loss, back = _compared(images, texts, scale, relations.captions)
        of_images = back.to_a(words * scale) if wanted[0] else None
        of_texts = back.to_b(words * scale) if wanted[1] else None
        loss = loss if words == 1 else loss.mul_(words)
    if pairs and relations.pairs:
        sides, scale = (relations.sketches, relations.artworks), pair_scale or scale
        one, other = (images.index_select(0, rows) for rows in sides)
        part, back = _compared(one, other, scale, relations.pairs)
        loss = part.mul_(pairs) if loss is None else loss.add_(part, alpha=pairs)
        if wanted[0]:
            of_images = torch.zeros_like(images) if of_images is None else of_images
            of_images.index_add_(0, sides[0], back.to_a(pairs * scale))
            of_images.index_add_(0, sides[1], back.to_b(pairs * scale))
    return torch.zeros((), device=images.device) if loss is None else loss, of_images, of_texts


def _weights(texts: Tensor, relations: Relations, text: float, pair: float) -> tuple[float, float]:
    """What the captions' part and the pairs' part weigh in a batch: 1 together, 0 where there is none."""
    text = text if len(texts) else 0.0
    pair = pair if relations.pairs is not None else 0.0
    whole = max(text + pair, 1e-12)
    return text / whole, pair / whole
