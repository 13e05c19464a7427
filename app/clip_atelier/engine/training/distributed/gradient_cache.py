"""A share of a batch: encoded now, given its gradients once the loss of the whole batch is known.

The contrastive loss needs all embeddings of a batch at once, but each embedding's way back through its tower needs only
that embedding's gradient. So a batch can be encoded in pieces, by one process after another in the memory of one piece,
or by several processes at the same time, with the very gradients of the whole (GradCache, Gao et al. 2021,
arXiv:2101.06983).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import torch
from torch import Tensor

from clip_atelier.engine.models import random_state, set_random_state

Job = Callable[[], Tensor]


class Share:
    """Embeddings of some images and some texts, and the way back for their gradients.

    Args:
        images: What encodes the images, piece by piece; each gives [n, dim].
        texts: The same for the texts.
        dim: Length of an embedding.
        place: Where the embeddings are wanted.
        precision: Makes the context to encode in.
        again: Keep no graph, and encode each piece again, with the same dropout, when its gradient comes: the memory
            of one piece instead of all.
    """

    def __init__(
        self,
        images: Sequence[Job],
        texts: Sequence[Job],
        dim: int,
        place: torch.device,
        precision: Callable[[], AbstractContextManager[object]],
        again: bool,
    ) -> None:
        self._jobs = [*images, *texts]
        self._kind = place.type
        self._precision = precision
        self._again = again
        self._states: list[dict[str, Tensor]] = []
        self._values: list[Tensor] = []
        with torch.set_grad_enabled(not again), precision():
            for job in self._jobs:
                if again:
                    self._states.append(random_state(self._kind))
                self._values.append(job().float())
        self.images = _joined(self._values[: len(images)], dim, place)
        self.texts = _joined(self._values[len(images) :], dim, place)
        self._image_pieces = len(images)

    def backward(self, images: Tensor | None, texts: Tensor | None) -> None:
        """Adds the gradients of the trained tensors that follow from those of `self.images` and `self.texts`.

        None where the loss did not depend on them.
        """
        gradients: list[Tensor | None] = []
        values = self._values
        for whole, part in (
            (images, values[: self._image_pieces]),
            (texts, values[self._image_pieces :]),
        ):
            if whole is None or len(part) == 1:
                gradients += [whole] * len(part)
            else:
                gradients += whole.split([len(value) for value in part])
        if self._again:
            self._backward_again(gradients)
            return
        known = [(v, g) for v, g in zip(values, gradients, strict=True) if v.requires_grad and g is not None]
        if known:
            torch.autograd.backward([v for v, _g in known], [g for _v, g in known])

    def _backward_again(self, gradients: Sequence[Tensor | None]) -> None:
        after = random_state(self._kind)
        for job, state, gradient in zip(self._jobs, self._states, gradients, strict=True):
            if gradient is None:
                continue
            set_random_state(state)
            with self._precision():
                value = job()
            if value.requires_grad:
                value.float().backward(gradient)
        set_random_state(after)


def _joined(pieces: Sequence[Tensor], dim: int, place: torch.device) -> Tensor:
    """Pieces as one tensor that needs no gradient; where there is only one, its own memory."""
    if len(pieces) == 1:
        return pieces[0].detach().contiguous()
    return torch.cat([torch.zeros(0, dim, device=place), *(piece.detach() for piece in pieces)])
