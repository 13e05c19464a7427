"""Several processes that work as one: who is who, and how they talk. The one place that knows of ranks.

`accelerate launch` and `torchrun` start the same command several times and tell each process its rank in the
environment. The process of rank 0 leads: it alone decides, measures and writes, exactly as a single process would. The
others wait for its orders and lend their processors or graphics cards (`trainer`).
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from clip_atelier.engine.core import Control, Stopped, UserError, WorkError, _, launch

if TYPE_CHECKING:
    from torch import Tensor

# A process that is gone closes its connections, which ends the waiting of all others at once. These bounds are for
# machines that vanish from the network: within a step, and between two orders (the leader may be paused overnight).
_STEP = timedelta(minutes=30)
_ORDER = timedelta(days=30)

_NOTE = 4096  # bytes of one process's note at the end of a part
_WORDS = 400  # characters of each text in it


class Released(Exception):  # noqa: N818 - not a failure of the process that gets it
    """The present order is off, because this or another process could not do its part; the leader knows why."""


class Group:
    """The processes of one training, as one of them sees it.

    Whatever the leader calls here, all others must call in the same order; `trainer` holds both sides.

    Attributes:
        rank: This process's number, from 0.
        size: How many there are.
        control: A stop asked of any process reaches the leader's through it.
    """

    def __init__(self, control: Control) -> None:
        import torch
        import torch.distributed as dist

        self.rank, self.size = launch.rank(), launch.size()
        self.control = control
        self._lost = False
        self._in_step = True  # with all others: each waits for, or gives, the next order
        cards = torch.cuda.device_count()
        if cards:
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")) % cards)
        # NCCL refuses two processes on one card; then tensors travel through main memory.
        direct = 0 < launch.processes_here() <= cards and dist.is_nccl_available()
        with self._talking():
            dist.init_process_group(
                "cpu:gloo,cuda:nccl" if direct else "gloo",
                timeout=_STEP,
                rank=self.rank,
                world_size=self.size,
                # One process has nobody to meet: no address, and no port that may be taken.
                store=dist.HashStore() if self.size == 1 else None,  # type: ignore[attr-defined]
            )
            self._orders = dist.new_group(backend="gloo", timeout=_ORDER)
            everywhere = torch.tensor(int(direct))
            dist.all_reduce(everywhere, dist.ReduceOp.MIN)
        self._direct = bool(everywhere)

    @property
    def leads(self) -> bool:
        """Whether this is the process that decides and writes."""
        return self.rank == 0

    @contextlib.contextmanager
    def _talking(self) -> Iterator[None]:
        try:
            yield
        except (RuntimeError, ValueError) as error:
            self._lost = True
            raise WorkError(
                _("Another process of this training has ended or cannot be reached: {reason}").format(
                    reason=next(iter(str(error).splitlines()), "")[:_WORDS]
                ),
                _("The last checkpoint is kept. Start all processes again and resume the training."),
            ) from error

    # Orders

    @contextlib.contextmanager
    def ordered(self, order: Mapping[str, Any]) -> Iterator[None]:
        """Gives all others an order (plain values) and carries it out with them in the block; leader only."""
        self._send(json.dumps(order).encode())
        self._in_step = False
        yield
        self._in_step = True

    def hear(self) -> dict[str, Any]:
        """Waits for the leader's next order."""
        value = json.loads(self._send(b""))
        assert isinstance(value, dict)
        return value

    def _send(self, data: bytes) -> bytes:
        import torch
        import torch.distributed as dist

        with self._talking():
            length = torch.tensor(len(data))
            dist.broadcast(length, 0, group=self._orders)
            text = (
                torch.frombuffer(bytearray(data), dtype=torch.uint8)
                if data
                else torch.empty(int(length), dtype=torch.uint8)
            )
            dist.broadcast(text, 0, group=self._orders)
        return text.numpy().tobytes()

    @contextlib.contextmanager
    def part(self) -> Iterator[None]:
        """A part of the work that all processes do at the same time; all succeed or all give it up.

        Raises:
            WorkError: in the leader, where another process failed; names it.
            RuntimeError: the same, where that process ran into an error of torch.
            Stopped: in the leader, where another process was stopped.
            Released: in the others, where any process failed.
        """
        try:
            yield
        except BaseException as error:
            self._compare(_note(error))
            self._in_step = True
            if self.leads:
                raise
            raise Released from error
        for rank, note in enumerate(self._compare({})):
            if "error" in note:
                self._in_step = True
                raise self._failure(rank, note) if self.leads else Released

    def _compare(self, note: dict[str, Any]) -> list[dict[str, Any]]:
        import torch
        import torch.distributed as dist

        control = self.control
        note |= {"leave": True} if control.leaving else {"stop": True} if control.stopping else {}
        # Nearly always nobody has anything to say: one number, whose cost hardly grows with the processes.
        said = torch.tensor(int(bool(note)))
        with self._talking():
            dist.all_reduce(said, dist.ReduceOp.MAX)
        if not said:
            return [{}] * self.size
        mine = torch.frombuffer(
            bytearray(json.dumps(note, ensure_ascii=False).encode(errors="replace").ljust(_NOTE)),
            dtype=torch.uint8,
        )
        everyone = [torch.empty_like(mine) for _rank in range(self.size)]
        with self._talking():
            dist.all_gather(everyone, mine)
        notes: list[dict[str, Any]] = [json.loads(one.numpy().tobytes()) for one in everyone]
        if self.leads and any("leave" in one for one in notes):
            control.leave()
        elif self.leads and any("stop" in one for one in notes):
            control.stop()
        return notes

    def _failure(self, rank: int, note: Mapping[str, Any]) -> Exception:
        if note["error"] == "stopped":
            return Stopped()
        message = _("Process {rank} of {size}: {message}").format(
            rank=rank + 1, size=self.size, message=note["message"]
        )
        if note["error"] == "user":
            return WorkError(message, note["hint"], note["setting"])
        return RuntimeError(message)

    # Tensors

    def broadcast(self, x: Tensor) -> Tensor:
        """The leader's `x`; the others give one of the same shape."""
        import torch.distributed as dist

        wire = self._wire(x)
        with self._talking():
            dist.broadcast(wire, 0)
        return wire.to(x.device)

    def gather(self, x: Tensor, lengths: Sequence[int]) -> Tensor:
        """Rows of all processes in order of rank; only the leader is given them, the others nothing.

        Args:
            x: This process's rows [lengths[rank], …].
            lengths: Rows of each process.
        """
        import torch.distributed as dist

        wire = self._wire(_padded(x, max(lengths)))
        parts = [wire.new_empty(wire.shape) for _length in lengths] if self.leads else None
        with self._talking():
            dist.gather(wire, parts, 0)
        if parts is None:
            return x[:0]
        return _cat([part[:length] for part, length in zip(parts, lengths, strict=True)]).to(x.device)

    def scatter(self, x: Tensor, lengths: Sequence[int]) -> Tensor:
        """The way back of `gather`: this process's rows of the leader's `x`; the others give any with the same columns."""
        import torch.distributed as dist

        most = max(lengths)
        wire = self._wire(x.new_empty(most, *x.shape[1:]))
        parts = [self._wire(_padded(part, most)) for part in x.split(list(lengths))] if self.leads else None
        with self._talking():
            dist.scatter(wire, parts, 0)
        return wire[: lengths[self.rank]].to(x.device)

    def reduce(self, x: Tensor) -> Tensor:
        """The sum of all processes' `x`; right in the leader only."""
        import torch.distributed as dist

        wire = self._wire(x)
        with self._talking():
            dist.reduce(wire, 0)
        return wire.to(x.device)

    def _wire(self, x: Tensor) -> Tensor:
        x = x.detach().contiguous()
        return x.clone() if x.device.type == "cpu" or (self._direct and x.device.type == "cuda") else x.cpu()

    def leave(self) -> None:
        """Lets go of the others; the leader's last order sends them home."""
        import torch.distributed as dist

        try:
            # Others that are left in the middle of an order notice that the connection is closed.
            if self.leads and self._in_step and not self._lost:
                # The work is over; one that is gone by now spoils nothing.
                with contextlib.suppress(WorkError):
                    self._send(json.dumps({"do": "end"}).encode())
        finally:
            if dist.is_initialized():
                dist.destroy_process_group()


def _note(error: BaseException) -> dict[str, Any]:
    if isinstance(error, UserError):
        return {
            "error": "user",
            "message": error.message[:_WORDS],
            "hint": error.hint[:_WORDS],
            "setting": error.setting,
        }
    if isinstance(error, Stopped | KeyboardInterrupt | GeneratorExit):
        return {"error": "stopped"}
    words = str(error) or ("out of memory" if isinstance(error, MemoryError) else type(error).__name__)
    return {"error": "other", "message": words[:_WORDS]}


def _padded(x: Tensor, length: int) -> Tensor:
    return _cat([x.detach(), x.new_zeros(length - len(x), *x.shape[1:])])


def _cat(parts: Sequence[Tensor]) -> Tensor:
    import torch

    return torch.cat(list(parts))


@contextlib.contextmanager
def joined(control: Control) -> Iterator[Group | None]:
    """The group of this process while the block runs; None where it works alone.

    Raises:
        WorkError: the others cannot be reached.
    """
    if not launch.launched():
        yield None
        return
    group = Group(control)
    try:
        yield group
    finally:
        group.leave()


def must_be_enough(group: Group | None, batch_size: int) -> None:
    """Refuses a batch that leaves a process without an image.

    Raises:
        UserError: names the setting.
    """
    if group is not None and batch_size < group.size:
        raise UserError(
            _("A batch of {images} cannot be shared by {count} processes.").format(
                images=batch_size, count=group.size
            ),
            _("Set the batch size (train.batch_size) to {count} or more, or start fewer processes.").format(
                count=group.size
            ),
            "train.batch_size",
        )
