"""What a graphics card is told to do in a step, recorded once and repeated: for batches whose shapes come again and again.

A step is some two thousand operations. The card needs a few milliseconds for them, telling it of each several times that.
A recording is told in one go. Whether it may stand for the plain computation is not believed but tried, on a batch that it
was not made from: only where loss, gradients and random state come out bit for bit the same, and sooner, it is used. After
anything else the rest of the training is computed plainly, as it would have been without this file.
"""

from __future__ import annotations

import logging
import statistics
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Protocol

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from clip_atelier.engine.models import device as devices
from clip_atelier.engine.models import random_state, set_random_state
from clip_atelier.engine.training import memory

log = logging.getLogger(__name__)

Work = Callable[..., Tensor]
"""Part of a step: a function of nothing but its tensors that adds to the gradients and returns its loss, with no record."""

_OFTEN: Final = 3
"""The time that shapes come at which they are recorded; at the next, with another batch, the recording is tried."""
_WORTH: Final = 32
"""How often shapes must be expected to come again: recording and trying take as long as some ten steps."""
_MOST: Final = 8
"""Recordings of a training; what comes in yet other shapes is computed plainly."""
_TURNS: Final = 3
"""How often both are timed."""
_SOONER: Final = 0.9
"""The share of the plain time that a recording may take at most."""
_ROOM: Final = 3
"""How often the memory of a step must be free: for the recording, for steps that are not recorded, and for all else."""


class Recorder(Protocol):
    """How a device records."""

    def record(self, work: Callable[[], Tensor]) -> Callable[[], Tensor]:
        """What does the same again, on the very memory that `work` read and wrote.

        Its result lies in the same place each time, until any recording is repeated. Errors of any kind say that it cannot.
        """

    def seconds(self, work: Callable[[], object]) -> float:
        """How long the device is busy with it."""


def recorder_of(device: devices.Device) -> Recorder | None:
    """What records on a device; None where nothing does, or nothing would be gained."""
    return CudaGraphs() if device.kind == "cuda" else None


class _NotRepeatableError(Exception):
    """Why something is not repeated from a recording."""


@dataclass
class _Recording:
    """One recording, and the memory that it reads its arguments from.

    Attributes:
        buffers: For each argument a tensor of its shape.
        again: Repeats it.
        tried: Whether it was found to do what the plain computation does.
    """

    buffers: list[Tensor]
    again: Callable[[], Tensor]
    tried: bool = False

    def repeat(self, arguments: Sequence[Tensor]) -> Tensor:
        """Repeats it for other values of its arguments."""
        torch._foreach_copy_(self.buffers, list(arguments))
        return self.again().clone()  # its own place is written to by the next one

    def release(self) -> None:
        """Lets go of its memory, whoever still holds this; it is not repeated any more."""
        self.buffers, self.again = [], _released


@dataclass
class _State:
    """What part of a step changes: gradients and random states."""

    gradients: list[Tensor]
    random: dict[str, Tensor]

    def same(self, other: _State) -> bool:
        """Whether they are equal bit for bit."""
        return all(
            _same(a, b)
            for a, b in zip(
                [*self.gradients, *self.random.values()],
                [*other.gradients, *other.random.values()],
                strict=True,
            )
        )


class Captured:
    """Does parts of steps, from recordings where that was found to be the same.

    Attributes:
        remaining: Steps that are still to be taken; nothing is recorded that would not pay.
        told: What became of it, for the log and for measurements.

    Args:
        recorder: How the device records.
        kind: Of the device.
        gradients: Gives the tensors that all gradients are in.
    """

    def __init__(self, recorder: Recorder, kind: str, gradients: Callable[[], list[Tensor]]) -> None:
        self.remaining = 0
        self.told = "plain: no shapes came often enough"
        self._recorder: Recorder | None = recorder
        self._kind = kind
        self._gradients = gradients
        self._calls: Counter[str] = Counter()
        self._came: Counter[tuple[object, ...]] = Counter()
        self._recordings: dict[tuple[object, ...], _Recording] = {}
        # One recording is repeated at a time, so arguments of the same shape share their memory.
        self._buffers: dict[tuple[object, ...], Tensor] = {}

    @property
    def count(self) -> int:
        """Recordings that are in use."""
        return sum(one.tried for one in self._recordings.values())

    def do(self, name: str, work: Work, *arguments: Tensor) -> Tensor:
        """Does part of a step.

        Args:
            name: Of the part.
            work: Does it plainly.
            arguments: All tensors that change from step to step.

        Returns:
            The loss.
        """
        if self._recorder is None:
            return work(*arguments)
        key = name, *map(_shape, arguments)
        known = self._recordings.get(key)
        if known is not None:
            return known.repeat(arguments) if known.tried else self._try(known, work, arguments)
        loss = self._plainly(work, arguments)
        if self._recorder is not None and len(self._recordings) < _MOST:
            self._calls[name] += 1
            self._came[key] += 1
            expected = self._came[key] * self.remaining / self._calls[name]
            if self._came[key] >= _OFTEN and expected >= _WORTH:
                self._record(key, work, arguments)
        return loss

    def _plainly(self, work: Work, arguments: Sequence[Tensor]) -> Tensor:
        """The plain computation; where recordings left it too little memory, again without them."""
        if not self._recordings:
            return work(*arguments)
        before = memory.tried(self._state)
        loss = None if before is None else memory.tried(partial(work, *arguments))
        if loss is None:
            self._stop("a step beside the recordings did not fit into the memory")
            if before is not None:
                self._put_back(before)
            loss = work(*arguments)
        return loss

    def _record(self, key: tuple[object, ...], work: Work, arguments: Sequence[Tensor]) -> None:
        """Makes a recording; whatever comes of it, the step's own result stays."""
        assert self._recorder is not None
        after: _State | None = None
        try:
            after = self._state()
            buffers = []
            for place, argument in enumerate(arguments):
                mine = place, _shape(argument)
                if mine not in self._buffers:
                    self._buffers[mine] = torch.empty_like(argument)
                buffers.append(self._buffers[mine].copy_(argument))
            with _Looking():
                work(*buffers)
            self._recordings[key] = _Recording(buffers, self._recorder.record(partial(work, *buffers)))
        except Exception as error:  # noqa: BLE001 - whatever a device or its driver says, plain steps go on
            self._stop(str(error), error)
        finally:
            if after is not None:
                self._put_back(after)

    def _try(self, known: _Recording, work: Work, arguments: Sequence[Tensor]) -> Tensor:
        """The plain computation, and whether the recording does the same in less time."""
        before = memory.tried(self._state)
        loss = self._plainly(work, arguments)
        if before is None or self._recorder is None:
            return loss
        after: _State | None = None
        try:
            after = self._state()
            self._put_back(before)
            found = known.repeat(arguments)
            if not (_same(found, loss) and after.same(self._state())):
                raise _NotRepeatableError("a recording gave other bits than the plain computation")
            ways = partial(work, *arguments), partial(known.repeat, arguments)
            times = [[self._recorder.seconds(way) for way in ways] for _turn in range(_TURNS)]
            plain, repeated = (statistics.median(column) for column in zip(*times, strict=True))
            told = f"{repeated * 1e3:.2f} ms for what takes {plain * 1e3:.2f} ms plainly"
            if repeated > _SOONER * plain:
                raise _NotRepeatableError(f"a recording took {told}")
            known.tried = True
            self.told = f"recorded: {told}"
            log.info("part of the steps is repeated from a recording: %s", told)
        except Exception as error:  # noqa: BLE001 - whatever a device or its driver says, plain steps go on
            self._stop(str(error), error)
        finally:
            if after is not None:
                self._put_back(after)
        return loss

    def _stop(self, reason: str, error: Exception | None = None) -> None:
        """From here on everything is computed plainly, and what recordings hold is free again."""
        self._recorder = None
        for one in self._recordings.values():
            one.release()
        self._recordings.clear()
        self._buffers.clear()
        self._came.clear()
        self.told = f"plain: {reason}"
        expected = error is None or isinstance(error, _NotRepeatableError)
        log.info("steps are computed plainly: %s", reason, exc_info=None if expected else error)
        if error is not None:
            # Its frames hold on to what was being computed.
            error.__traceback__ = None
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _state(self) -> _State:
        return _State([gradient.clone() for gradient in self._gradients()], random_state(self._kind))

    def _put_back(self, state: _State) -> None:
        for gradient, value in zip(self._gradients(), state.gradients, strict=True):
            gradient.copy_(value)
        set_random_state(state.random)


class _Looking(TorchDispatchMode):
    """Ends with an error what could not be recorded, before a device is asked to.

    That is what waits for values, and what takes something from the processor's memory, which would be read as it was then.
    A recording that fails half way would leave the device's library in a state of its own.
    """

    def __torch_dispatch__(
        self, func: Any, types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = func._schema.name
        if name in _BY_INDEX:
            waits = any(places.dtype in (torch.bool, torch.uint8) for places in _tensors(args[1]))
        else:
            waits = name == "aten::lift_fresh" or bool({*func.tags} & _WAITING)
        if waits:
            raise _NotRepeatableError(f"the model waits for the device ({name})")
        found = func(*args, **(kwargs or {}))
        # Single numbers of the processor's are handed over by value, as fused attention does with its seed.
        whole = name in _COPIES
        memories = {one.device.type for one in _tensors((args, kwargs, found)) if whole or one.dim()}
        if len(memories) > 1:
            raise _NotRepeatableError(f"the model takes something from another memory ({name})")
        return found


class CudaGraphs:
    """Recordings of NVIDIA's and AMD's cards."""

    def __init__(self) -> None:
        self._stream = torch.cuda.Stream()
        self._pool = torch.cuda.graph_pool_handle()  # one for all, as one is repeated at a time

    def record(self, work: Callable[[], Tensor]) -> Callable[[], Tensor]:
        """See `Recorder`."""
        self._see_to_room()
        here, generator = (
            torch.cuda.current_stream(),
            torch.cuda.default_generators[torch.cuda.current_device()],
        )
        spare: Any = generator.clone_state()
        graph = torch.cuda.CUDAGraph()
        try:
            self._stream.wait_stream(here)
            with torch.cuda.stream(self._stream):
                work()  # what libraries set up at their first call on a stream
            here.wait_stream(self._stream)
            # Only this thread is held to what can be recorded: another one may be pinning the next pictures' memory.
            with torch.cuda.graph(
                graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local"
            ):
                found = work()
        except BaseException:
            # After a recording that failed torch is still in it: with the stream, with the memory that it takes, and with
            # its random numbers. The graph itself must not go: the allocator may still ask it.
            _FAILED.append(graph)
            torch.cuda.set_stream(here)
            with suppress(Exception):
                torch._C._cuda_endAllocateToPool(torch.cuda.current_device(), self._pool)
            with suppress(Exception):
                generator.graphsafe_set_state(spare)
            raise

        def again() -> Tensor:
            graph.replay()
            return found

        return again

    def seconds(self, work: Callable[[], object]) -> float:
        """See `Recorder`."""
        torch.cuda.synchronize()
        began = time.perf_counter()
        work()
        torch.cuda.synchronize()
        return time.perf_counter() - began

    @staticmethod
    def _see_to_room() -> None:
        """A recording keeps the memory of a step for good: only where there is plenty.

        Raises:
            _NotRepeatableError: there is not.
        """
        used = torch.cuda.memory_allocated()
        free = torch.cuda.mem_get_info()[0] + torch.cuda.memory_reserved() - used
        if free < _ROOM * (torch.cuda.max_memory_allocated() - used):
            raise _NotRepeatableError("the device has too little memory to spare for recordings")


_FAILED: Final[list[torch.cuda.CUDAGraph]] = []
_WAITING: Final = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}
_COPIES: Final = {"aten::copy_", "aten::_to_copy"}
_BY_INDEX: Final = {
    f"aten::{name}" for name in ("index", "_unsafe_index", "index_put", "index_put_", "_index_put_impl_")
}
"""Operations that wait only where places are given as true and false, which must be counted."""


def _released() -> Tensor:
    raise AssertionError("a recording that was let go of")


def _shape(tensor: Tensor) -> tuple[object, ...]:
    return tensor.shape, tensor.stride(), tensor.dtype


def _tensors(tree: object) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


def _same(a: Tensor, b: Tensor) -> bool:
    """Bit for bit: what is not a number equals itself."""
    return torch.equal(a.reshape(-1).view(torch.uint8), b.reshape(-1).view(torch.uint8))
