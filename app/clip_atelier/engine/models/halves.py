"""Frozen weights in training's precision, for steps and for the index.

Autocast casts every frozen matrix anew at each step, half a gigabyte for ViT-B/32. Here the copies are made once and
stand in the weights' place while a step is taken. The weights themselves are never written to: outside a step the model
is the very one that was loaded, so what is measured does not know of this.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Halves:
    """Half-precision copies of the frozen matrices of some modules.

    Args:
        modules: Whose matrices (linear layers and convolutions below them, biases included).
        dtype: The precision of the copies; with float32 nothing is copied.
    """

    def __init__(self, modules: list[nn.Module], dtype: torch.dtype) -> None:
        self._pairs: list[tuple[nn.Parameter, Tensor, Tensor]] = []
        if dtype == torch.float32:
            return
        for module in modules:
            for part in module.modules():
                if isinstance(part, nn.Linear | nn.Conv2d):
                    for parameter in part.parameters(recurse=False):
                        if not parameter.requires_grad:
                            self._pairs.append((parameter, parameter.data, parameter.data.to(dtype)))

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The block, forward and backward pass together, computes with the copies."""
        for parameter, _full, half in self._pairs:
            parameter.data = half
        try:
            yield
        finally:
            for parameter, full, _half in self._pairs:
                parameter.data = full
