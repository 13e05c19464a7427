"""When a step does not fit into memory: which chunk size does, found by trying this very step.

What a step takes is not known from a failure, which only tells that it was too much; half of 2,048 images may be as
hopeless. So smaller chunks are tried until one gets through: what is proposed has been seen to fit.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final, TypeVar

import torch

from clip_atelier.engine.core import WorkError, _
from clip_atelier.engine.models import is_out_of_memory

SMALLEST: Final = 2
"""Images of the smallest chunk: the setting takes no single ones."""
T = TypeVar("T")


class DoesNotFitError(WorkError):
    """A step for which memory is not enough.

    Args:
        chunk: The largest chunk size that the step was seen to fit with; 0 where none does.
    """

    def __init__(self, chunk: int) -> None:
        super().__init__(
            _("The memory of the device is not enough for this training."),
            _("Set the chunk size (train.chunk_size) to {size}: it was tried and fits. Gradients stay exact; only what dropout leaves out is drawn anew.").format(size=chunk)
            if chunk
            else _("Not even chunks of {size} images fit: turn on gradient checkpointing (train.gradient_checkpointing), choose a smaller model (model.name) or another device (hardware.device).").format(size=SMALLEST),
            "train.chunk_size" if chunk else "train.gradient_checkpointing",
        )  # fmt: skip
        self.chunk = chunk


def tried(work: Callable[[], T]) -> T | None:
    """What the work gives; None where memory ran out, and what it had taken is free again."""
    try:
        return work()
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
    # Behind the block: the error holds on to all that the work had made.
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return None


def in_less(failed: int, work: Callable[[int], T]) -> tuple[int, T] | None:
    """Does a step's work with the largest chunk size below a failed one that fits: a power of two, and what came out.

    Args:
        failed: Images that did not fit at once.
        work: The step with a chunk size.

    Returns:
        None where nothing fits.
    """
    chunk = 1 << max(0, (failed - 1).bit_length() - 1)
    while chunk >= SMALLEST:
        found = tried(partial(work, chunk))
        if found is not None:
            return chunk, found
        chunk //= 2
    return None
