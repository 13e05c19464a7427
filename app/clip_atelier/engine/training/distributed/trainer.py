"""One training by several processes: each encodes a share of every batch, the first one does everything else.

A step, in order: the leader sends the batch and the trained tensors; every process encodes its share; the leader gathers
all embeddings, takes the loss of the whole batch (every image against every other process's captions too) and hands
back the embeddings' gradients; every process follows them through its own share; the leader adds up the gradients of
the trained tensors and takes the optimiser's step. So the loss and the gradients are those of one process on the same
batch, and because only the leader has a state, stopping, checks, checkpoints and resuming are those of one process.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from clip_atelier.engine import settings
from clip_atelier.engine.core import Control, UserError, _, drive
from clip_atelier.engine.data import ImageCache, scan, scan_cache_file
from clip_atelier.engine.models import Adapter, Model, Models, adapters
from clip_atelier.engine.settings import TrainSettings
from clip_atelier.engine.storage import BlobCache
from clip_atelier.engine.training.batches import Batch
from clip_atelier.engine.training.distributed.group import Group, Released
from clip_atelier.engine.training.inputs import TrainingInputs
from clip_atelier.engine.training.losses import Relations
from clip_atelier.engine.training.preservation import Preservation
from clip_atelier.engine.training.steps import TrainStep


def parts_of(length: int, size: int) -> list[range]:
    """`length` rows over `size` processes, as evenly as can be; some may be empty."""
    ends = [round(length * n / size) for n in range(size + 1)]
    return [range(a, b) for a, b in itertools.pairwise(ends)]


def share_seed(seed: int, step: int, rank: int) -> int:
    """What fixes the dropout of one process in one step: a number of 64 bits, as torch takes it."""
    if seed < 1 << 24:
        return (seed << 40) + (step << 16) + rank
    digest = hashlib.blake2b(f"{seed} {step} {rank}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big")


# The leader's side


@contextlib.contextmanager
def preparing(
    group: Group | None,
    folder: Path,
    written: Mapping[str, Any],
    collection: str,
    clip: Model,
    indices: Sequence[int],
) -> Iterator[None]:
    """While the block prepares this process for training, all others prepare themselves for the same run.

    Args:
        group: The processes; the block runs as it is where there are no others.
        folder: The collection's folder.
        written: The run's settings as they are written in run.json.
        collection: Fingerprint of the collection as the leader read it.
        clip: The leader's model.
        indices: The training items.
    """
    if group is None:
        yield
        return
    order = {
        "do": "prepare",
        "folder": str(folder),
        "settings": dict(written),
        "collection": collection,
        "model": clip.fingerprint,
        "indices": list(indices),
    }
    with group.ordered(order), group.part():
        yield


class Leader(TrainStep):
    """A `TrainStep` whose batches are encoded by all processes of a group."""

    alone = False

    def __init__(
        self,
        clip: Model,
        adapter: Adapter,
        inputs: TrainingInputs,
        train: TrainSettings,
        total: int,
        group: Group,
        preservation: Preservation | None = None,
    ) -> None:
        super().__init__(clip, adapter, inputs, train, total, preservation)
        self.group = group

    def _gradients(self, step: int, batch: Batch, captions: list[str], relations: Relations) -> Tensor:
        group, trained = self.group, list(self.adapter.trainable.values())
        rows, words = (parts_of(len(of), group.size) for of in (batch.indices, captions))
        order = {
            "do": "step",
            "step": step,
            "indices": batch.indices,
            "views": batch.views,
            "captions": captions,
        }
        with group.ordered(order):
            group.broadcast(_flat(trained))
            with group.part():
                share = self.share(batch, captions, rows[0], words[0])
            images, texts = _gathered(group, share.images, share.texts, rows, words)
            with group.part():
                loss, to_images, to_texts = self._loss(images, texts, relations)
            gradients = _scattered(group, to_images, to_texts, share.images, share.texts, rows, words)
            with group.part():
                share.backward(*gradients)
            _reduced(group, trained)
        return loss


# The others' side


def follow(group: Group, home: Path, models: Models, control: Control) -> None:
    """Does what the leader orders until it says that all is done.

    What fails here is told to the leader, which ends the run and says why.

    Raises:
        WorkError: the leader is gone.
    """
    with contextlib.ExitStack() as run:
        follower: _Follower | None = None
        while (order := group.hear())["do"] != "end":
            # Any other error ends this process, which the leader notices.
            with contextlib.suppress(Released):
                if order["do"] == "prepare":
                    run.close()
                    with group.part():
                        follower = _Follower(group, home, models, control, order, run)
                elif follower is not None:
                    follower.step(order)


class _Follower:
    """One run's work in a process that does not lead."""

    def __init__(
        self,
        group: Group,
        home: Path,
        models: Models,
        control: Control,
        order: Mapping[str, Any],
        run: contextlib.ExitStack,
    ) -> None:
        self.group = group
        chosen = settings.build(order["settings"])
        views = chosen.data.views
        folder, indices = Path(order["folder"]), order["indices"]
        collection = drive(scan(folder, chosen.data, control, scan_cache_file(home)))
        clip = models.open(chosen.model.name, chosen.hardware)
        run.callback(adapters.detach, clip)
        store = BlobCache.of_features(home, chosen.hardware.cache_gb)
        run.callback(store.close)
        if (collection.fingerprint, clip.fingerprint) != (order["collection"], order["model"]):
            raise UserError(
                _("It sees another collection or another model than the first process does."),
                _("Give all machines the same files and the same version of the program."),
            )
        pictures = ImageCache(
            collection.root, collection.items, clip.frame, chosen.data, chosen.train.seed, store
        )
        if drive(pictures.prepare(indices, control, views)):
            raise UserError(_("It cannot read all images of the collection."))
        adapter = adapters.attach(clip, chosen)
        inputs = TrainingInputs(clip, collection.items, (), pictures)
        drive(inputs.prepare(indices, views, control))
        self.adapter = adapter
        self.train_step = TrainStep(clip, adapter, inputs, chosen.train, total=1)

    def step(self, order: Mapping[str, Any]) -> None:
        """This process's share of a step; see `Leader`."""
        group = self.group
        trained = list(self.adapter.trainable.values())
        captions = order["captions"]
        batch = Batch(tuple(order["indices"]), tuple(order["views"]), ())
        _set(trained, group.broadcast(torch.empty_like(_flat(trained))))
        rows, words = (parts_of(len(of), group.size) for of in (batch.indices, captions))
        for parameter in trained:
            parameter.grad = None
        with self.train_step.computing():
            with group.part():
                # Other dropout than the leader's, and the same after a resume.
                torch.manual_seed(share_seed(self.train_step.train.seed, order["step"], group.rank))
                share = self.train_step.share(batch, captions, rows[group.rank], words[group.rank])
            _gathered(group, share.images, share.texts, rows, words)
            with group.part():
                pass  # the leader's loss
            gradients = _scattered(group, None, None, share.images, share.texts, rows, words)
            with group.part():
                share.backward(*gradients)
            _reduced(group, trained)


# What both sides do at the same time


def _gathered(
    group: Group, images: Tensor, texts: Tensor, rows: Sequence[range], words: Sequence[range]
) -> tuple[Tensor, Tensor]:
    """The whole batch's embeddings, in the leader; here images and texts are this process's."""
    return group.gather(images, [len(r) for r in rows]), group.gather(texts, [len(w) for w in words])


def _scattered(
    group: Group,
    image_gradients: Tensor | None,
    text_gradients: Tensor | None,
    images: Tensor,
    texts: Tensor,
    rows: Sequence[range],
    words: Sequence[range],
) -> tuple[Tensor | None, Tensor | None]:
    """This process's part of the leader's gradients; None where the loss did not depend on them."""
    there = group.broadcast(
        torch.tensor([image_gradients is not None, text_gradients is not None], dtype=torch.uint8)
    )
    mine: list[Tensor | None] = []
    for known, gradients, values, parts in (
        (bool(there[0]), image_gradients, images, rows),
        (bool(there[1]), text_gradients, texts, words),
    ):
        lengths = [len(part) for part in parts]
        mine.append(group.scatter(values if gradients is None else gradients, lengths) if known else None)
    return mine[0], mine[1]


def _reduced(group: Group, trained: Sequence[Tensor]) -> None:
    """Puts the sum of all processes' gradients into the leader's tensors; none stays none where nobody has one."""
    there = torch.tensor([p.grad is not None for p in trained], dtype=torch.float32, device=trained[0].device)
    mine = [torch.zeros_like(p) if p.grad is None else p.grad for p in trained]
    total = group.reduce(torch.cat([there, _flat(mine)]))
    if not group.leads:
        return
    known, rest = total[: len(trained)].tolist(), total[len(trained) :]
    for count, parameter, gradient in zip(
        known, trained, rest.split([p.numel() for p in trained]), strict=True
    ):
        parameter.grad = gradient.view_as(parameter).clone() if count else None


def _flat(tensors: Sequence[Tensor]) -> Tensor:
    return torch.cat([t.detach().reshape(-1).float() for t in tensors])


def _set(tensors: Sequence[Tensor], flat: Tensor) -> None:
    with torch.no_grad():
        for tensor, values in zip(tensors, flat.split([t.numel() for t in tensors]), strict=True):
            tensor.copy_(values.view_as(tensor))
