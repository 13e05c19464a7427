"""What the similarities of a batch should come to: known before the batch is embedded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

SIMILARITY_TEMPERATURE: Final = 0.1
"""Of the likeness that smoothed targets follow."""


@dataclass(frozen=True)
class Likeness:
    """How alike the two sides of a batch are to themselves, by the untouched model.

    Attributes:
        rows: float [..., N, N].
        columns: float [..., M, M].
    """

    rows: Tensor
    columns: Tensor


@dataclass(frozen=True)
class Targets:
    """What a matrix of similarities [N, M] should come to, read along its rows and along its columns.

    Rows (and columns) without anything right are left out of the loss, whose other rows all count the same. That share is
    in every tensor here, so that the loss has nothing left to count.

    Attributes:
        right: float [N, M], 1 where the two belong together.
        there: float [N, M], for each row what its probabilities should be, times the row's share of the loss.
        back: float [N, M], the same for each column.
        both: float [N, M], their sum.
        rows: float [N, 1], each row's share of the loss: their sum is half.
        columns: float [1, M], each column's.
    """

    right: Tensor
    there: Tensor
    back: Tensor
    both: Tensor
    rows: Tensor
    columns: Tensor

    COUNT: ClassVar[int] = 6
    """Of its tensors."""

    def tensors(self) -> tuple[Tensor, ...]:
        """All of it, in the order in which it is made from them."""
        return self.right, self.there, self.back, self.both, self.rows, self.columns

    @classmethod
    def of(
        cls,
        right: NDArray[np.bool_],
        place: torch.device,
        likeness: Likeness | None = None,
        smoothing: float = 0.0,
    ) -> Targets:
        """Spread evenly over what is right; with smoothing, that part of each follows what is alike to it.

        Args:
            right: [N, M], which belong together; or [B, N, M] of so many batches, whose likeness and targets then have
                the same first dimension.
            place: Where the embeddings are.
            likeness: What smoothed targets follow; None for none.
            smoothing: Share of the targets that does.
        """
        hard = 1.0 if likeness is None else 1.0 - smoothing
        belongs = torch.from_numpy(right).to(place, non_blocking=True).float()
        rows, of_row, to_row = _shares(right.sum(axis=-1, keepdims=True), -2, hard, place)
        columns, of_column, to_column = _shares(right.sum(axis=-2, keepdims=True), -1, hard, place)
        there, back = belongs * of_row, belongs * of_column
        if likeness is not None:
            # How alike each one is to the mean of those that are right for it.
            soft = (belongs @ likeness.columns).mul_(to_row).softmax(-1)
            there.addcmul_(soft, rows, value=smoothing)
            soft = (likeness.rows @ belongs).mul_(to_column).softmax(-2)
            back.addcmul_(soft, columns, value=smoothing)
        return cls(belongs, there, back, there + back, rows, columns)

    def apart(self) -> list[Targets]:
        """Those of several batches, batch by batch."""
        each = (part.unbind() for part in self.tensors())
        return [Targets(*one) for one in zip(*each, strict=True)]


def _shares(counts: NDArray[np.int64], axis: int, hard: float, place: torch.device) -> Sequence[Tensor]:
    """Three factors for each row (or column) with so many right ones.

    Args:
        counts: [..., N, 1] (or [..., 1, M]).
        axis: Of the rows (or columns).
        hard: What is left of their targets beside what follows likeness.
        place: Where the embeddings are.

    Returns:
        Its share of the loss; that of each of its right ones; what a sum over them is to be multiplied by for a mean, in
        units of the temperature of likeness.
    """
    # In numpy: a handful of numbers each, for which torch takes three times as long.
    found = np.empty((3, *counts.shape), np.float32)
    some, least = np.minimum(counts, 1), np.maximum(counts, 1)
    np.divide(
        some, 2.0 * np.maximum(some.sum(axis=axis, keepdims=True), 1), out=found[0], casting="same_kind"
    )
    np.divide(found[0], least, out=found[1], casting="same_kind")
    if hard != 1.0:
        found[1] *= np.float32(hard)
    np.divide(1 / SIMILARITY_TEMPERATURE, least, out=found[2], casting="same_kind")
    return torch.from_numpy(found).to(place, non_blocking=True).unbind()
