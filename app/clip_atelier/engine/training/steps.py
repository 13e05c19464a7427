"""One optimiser step: forward through what is trainable, loss, backward, update.

What lies before the first adapted stage of a tower is frozen, so its values come from the store: with only
`visual_projection` adapted a step costs microseconds instead of a second, and a tower without adapters costs nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from clip_atelier.engine.core import Control, Work
from clip_atelier.engine.data import ImageCache, Item
from clip_atelier.engine.evaluation import caption_key, positives
from clip_atelier.engine.models import (
    Adapter,
    Features,
    Halves,
    Model,
    Tower,
    attached,
    features,
    random_state,
    set_random_state,
)
from clip_atelier.engine.settings import TrainSettings
from clip_atelier.engine.training.batches import Batch
from clip_atelier.engine.training.distributed.gradient_cache import Share
from clip_atelier.engine.training.losses import Relations, objective
from clip_atelier.engine.training.preservation import Preservation

_LN_100 = math.log(100.0)


class TrainingInputs:
    """Turns a batch into the towers' inputs, frozen parts computed once.

    Args:
        clip: The model with its adapter attached.
        items: The collection's items.
        groups: One group id per item.
        pictures: Prepared pictures of the training items.
    """

    def __init__(
        self, clip: Model, items: Sequence[Item], groups: Sequence[int], pictures: ImageCache
    ) -> None:
        self.clip = clip
        self.items = items
        self.groups = groups
        self.pictures = pictures
        adapter = attached(clip)
        assert adapter is not None
        pooled = clip.last_cut("vision") - 2
        first = adapter.first_stage("vision")
        # Hidden states of a middle layer are larger than the pictures: only pooled values and embeddings are stored.
        self.image_cut = clip.last_cut("vision") if first is None else first if first > pooled else 0
        pooled = clip.last_cut("text") - 2
        first = adapter.first_stage("text")
        self.text_cut = clip.last_cut("text") if first is None else first if first > pooled else 0
        self._image_rows: dict[tuple[int, int], int] = {}
        self._images = torch.zeros(0)
        self._text_rows: dict[str, int] = {}
        self._texts = torch.zeros(0)
        self._ids: list[Tensor] = []
        self._base_rows: dict[int, int] = {}
        self._base_images = torch.zeros(0)
        self._base_texts = torch.zeros(0)

    @property
    def stored(self) -> bool:
        """Whether nothing but the ends of the towers is computed at each step."""
        return self.image_cut > 0 and self.text_cut > 0

    @property
    def trained_towers(self) -> list[nn.Module]:
        """The towers whose layers are computed at each step."""
        cuts: tuple[tuple[int, Tower], ...] = ((self.image_cut, "vision"), (self.text_cut, "text"))
        return [self.clip.tower(tower) for cut, tower in cuts if not cut]

    def prepare(self, indices: Sequence[int], views: int, control: Control) -> Work[None]:
        """Computes the frozen parts of the training items and their captions."""
        device = self.clip.device.place
        if self.image_cut:
            values = yield from features.image_prefix(
                self.clip, self.pictures, indices, self.image_cut, control, range(views), half=True
            )
            self._images = torch.from_numpy(values).to(device)
            pairs = [(i, v) for v in range(views) for i in indices]
            self._image_rows = {pair: row for row, pair in enumerate(pairs)}
        captions = list(dict.fromkeys(c for i in indices for c in self.items[i].captions))
        self._text_rows = {caption: row for row, caption in enumerate(captions)}
        if self.text_cut:
            parts = []
            for start in range(0, len(captions), 256):
                control.boundary()
                with torch.inference_mode():
                    parts.append(
                        self.clip.text(self.clip.tokens(captions[start : start + 256]), self.text_cut)
                    )
            # A clone: inference tensors cannot take part in training.
            self._texts = torch.cat(parts).float().clone()
        else:
            self._ids = features.text_ids(self.clip, captions)

    def pooled(self, indices: Sequence[int], control: Control) -> Work[Features]:
        """What the base hands to the image projection: [N, width] of training items, their first view."""
        cut = self.clip.last_cut("vision") - 1
        if self.image_cut == cut:
            return self._images[[self._image_rows[index, 0] for index in indices]].cpu().numpy()
        adapter = attached(self.clip)
        assert adapter is not None
        with adapter.at(0.0):
            return (
                yield from features.image_prefix(self.clip, self.pictures, indices, cut, control, half=True)
            )

    def images(self, batch: Batch, rows: slice) -> Tensor:
        """Embeddings [B, dim] of part of a batch, with gradients where the tower is adapted."""
        pairs = list(zip(batch.indices[rows], batch.views[rows], strict=True))
        if self.image_cut:
            x = self._images[[self._image_rows[pair] for pair in pairs]]
        else:
            x = self.clip.pixels(
                torch.from_numpy(self.pictures.batch(batch.indices[rows], batch.views[rows]))
            )
        return self.clip.image(x, self.image_cut)

    def texts(self, captions: Sequence[str]) -> Tensor:
        """Embeddings [M, dim] of distinct captions, with gradients where the tower is adapted."""
        if self.text_cut:
            x = self._texts[[self._text_rows[caption] for caption in captions]]
            return x if self.text_cut == self.clip.last_cut("text") else self.clip.text_from(x, self.text_cut)
        ids = torch.nn.utils.rnn.pad_sequence(
            [self._ids[self._text_rows[caption]] for caption in captions],
            batch_first=True,
            padding_value=self.clip.pad,
        )
        return self.clip.text(ids)

    def relations(self, batch: Batch) -> tuple[list[str], Relations]:
        """Distinct captions of a batch, and who belongs to whom."""
        distinct = list({caption_key(c): c for c in batch.captions}.values())
        device = self.clip.device.place
        right = positives(self.items, batch.indices, self.groups, distinct)
        roles = [self.items[i].role if self.items[i].pair else "" for i in batch.indices]
        sketches = np.array([n for n, role in enumerate(roles) if role == "sketch"], np.int64)
        artworks = np.array([n for n, role in enumerate(roles) if role == "artwork"], np.int64)
        group = np.array([self.groups[i] for i in batch.indices], np.int64)
        same = group[sketches][:, None] == group[artworks][None, :]
        belongs = torch.from_numpy(right).to(device)
        return distinct, Relations(
            belongs,
            torch.from_numpy(sketches).to(device),
            torch.from_numpy(artworks).to(device),
            torch.from_numpy(same).to(device),
            *self._alike(batch, distinct, belongs.float()),
        )

    def _alike(
        self, batch: Batch, captions: Sequence[str], belongs: Tensor
    ) -> tuple[Tensor | None, Tensor | None]:
        """How alike captions and images of a batch are to each other's own ones, by the untouched model."""
        if not self._base_rows or any(index not in self._base_rows for index in batch.indices):
            return None, None
        images = self._base_images[[self._base_rows[index] for index in batch.indices]]
        texts = self._base_texts[[self._text_rows[caption] for caption in captions]]
        own = belongs.sum(dim=1, keepdim=True).clamp(min=1)
        back = belongs.sum(dim=0)[:, None].clamp(min=1)
        return belongs @ (texts @ texts.T) / own, belongs.T @ (images @ images.T) / back

    def remember_base(self, indices: Sequence[int], control: Control) -> Work[None]:
        """Keeps the untouched model's embeddings of training items and their captions, for smoothed targets."""
        adapter = attached(self.clip)
        assert adapter is not None
        device = self.clip.device.place
        with adapter.at(0.0):
            images = yield from features.images(self.clip, self.pictures, indices, control, half=True)
            texts = features.texts(self.clip, list(self._text_rows))
        self._base_images, self._base_texts = (
            torch.from_numpy(images).to(device),
            torch.from_numpy(texts).to(device),
        )
        self._base_rows = {index: row for row, index in enumerate(indices)}


class TrainStep:
    """Takes optimiser steps.

    Args:
        clip: The model.
        adapter: Its update.
        inputs: Where inputs come from.
        train: How to train.
        total: Steps of the whole run, for the schedule.
        preservation: What holds the model to what it said before of other drawings, if anything does.
    """

    def __init__(
        self,
        clip: Model,
        adapter: Adapter,
        inputs: TrainingInputs,
        train: TrainSettings,
        total: int,
        preservation: Preservation | None = None,
    ) -> None:
        self.preservation = preservation
        self.clip = clip
        self.adapter = adapter
        self.inputs = inputs
        self.train = train
        self.total = total
        self._fused = clip.device.kind in ("cpu", "cuda")
        decayed = [p for n, p in adapter.trainable.items() if p.dim() > 1]
        others = [p for n, p in adapter.trainable.items() if p.dim() <= 1]
        self.optimizer = torch.optim.AdamW(
            [
                {"params": decayed, "weight_decay": train.weight_decay},
                # Norms, biases and the temperature are not pulled to zero.
                {"params": others, "weight_decay": 0.0},
            ],
            lr=train.learning_rate,
            fused=self._fused,
        )
        self.scaler = torch.amp.GradScaler(clip.device.kind, enabled=clip.device.precision == "fp16")
        self.halves = Halves(inputs.trained_towers, clip.device.dtype)
        # Going through all modules of the model twice a step takes longer than a step on stored features.
        self._computed = [
            *inputs.trained_towers,
            clip.projection("vision"),
            clip.projection("text"),
        ]

    def learning_rate(self, step: int) -> float:
        """The rate of a step, counted from 0: linear warm-up, then the schedule."""
        warm = max(1, round(self.train.warmup * self.total))
        if step < warm:
            return self.train.learning_rate * (step + 1) / (warm + 1)
        share = (step - warm) / max(1, self.total - warm)
        factor = {"cosine": 0.5 * (1 + math.cos(math.pi * share)), "linear": 1 - share, "constant": 1.0}
        return self.train.learning_rate * factor[self.train.schedule]

    def scale(self) -> Tensor | float:
        """1 / temperature, never above 100, which no library sees to."""
        if self.train.temperature == "fixed":
            return 100.0
        if self.train.temperature == "trained":
            return self.clip.temperature.clamp(max=_LN_100).exp()
        return self.clip.logit_scale

    def _loss(self, images: Tensor, texts: Tensor, relations: Relations) -> Tensor:
        train = self.train
        return objective(
            images, texts, relations, self.scale(), train.text_weight, train.pair_weight, train.pair_scale,
            train.smoothing,
        )  # fmt: skip

    def step(self, step: int, batch: Batch) -> Tensor:
        """One step; returns its loss (detached, still on the device)."""
        captions, relations = self.inputs.relations(batch)
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate(step)
        self.optimizer.zero_grad(set_to_none=True)
        with self.computing():
            loss = self._gradients(step, batch, captions, relations)
            if self.preservation:
                with self._autocast():
                    drift = self.preservation.drift(step)
                self.scaler.scale(self.train.preservation * drift).backward()
        if self.train.size_penalty:
            penalty = self.train.size_penalty * self.adapter.size()
            self.scaler.scale(penalty).backward()
        if self.train.max_grad_norm:
            self.scaler.unscale_(self.optimizer)
            torch.nn.utils.clip_grad_norm_(list(self.adapter.trainable.values()), self.train.max_grad_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return loss.detach()

    @contextmanager
    def computing(self) -> Iterator[None]:
        """The towers as training computes them: dropout on, frozen weights in training's precision."""
        for module in self._computed:
            module.train()
        self.clip.recompute = self.train.gradient_checkpointing
        try:
            with self.halves.in_place():
                yield
        finally:
            self.clip.recompute = False
            for module in self._computed:
                module.eval()

    def _autocast(self) -> AbstractContextManager[object]:
        # Where only the towers' ends are computed, half precision saves nothing and costs exactness.
        return self.clip.device.autocast(not self.inputs.stored)

    def share(
        self, batch: Batch, captions: Sequence[str], rows: range | None = None, words: range | None = None
    ) -> Share:
        """Encodes part of a batch (all of it where no part is named), in pieces of the chunk size if one is set.

        Args:
            batch: The batch.
            captions: Its distinct captions.
            rows: Which of its images.
            words: Which of its captions.
        """
        rows = range(len(batch.indices)) if rows is None else rows
        words = range(len(captions)) if words is None else words
        size = self.train.chunk_size
        again = 0 < size < len(rows)

        def pieces(whole: range) -> list[slice]:
            length = size if again else max(1, len(whole))
            return [slice(n, min(n + length, whole.stop)) for n in range(whole.start, whole.stop, length)]

        return Share(
            [partial(self.inputs.images, batch, piece) for piece in pieces(rows)],
            [partial(self.inputs.texts, captions[piece]) for piece in pieces(words)],
            self.clip.dim,
            self.clip.device.place,
            self._autocast,
            again,
        )

    def _gradients(self, step: int, batch: Batch, captions: list[str], relations: Relations) -> Tensor:
        """The loss of a batch, and its gradients in the trained tensors."""
        share = self.share(batch, captions)
        images, texts = share.images.requires_grad_(True), share.texts.requires_grad_(True)
        loss = self._loss(images, texts, relations)
        self.scaler.scale(loss).backward()
        share.backward(images.grad, texts.grad)
        return loss

    # State for checkpoints

    def state(self) -> dict[str, Tensor]:
        """Moments by parameter name, and the random states."""
        found: dict[str, Tensor] = {}
        for name, parameter in self.adapter.trainable.items():
            for key, value in self.optimizer.state.get(parameter, {}).items():
                found[f"moment/{key}/{name}"] = torch.as_tensor(value).detach().cpu()
        return found | {f"random/{k}": v for k, v in random_state(self.clip.device.kind).items()}

    def load_state(self, state: Mapping[str, Tensor], extra: Mapping[str, object]) -> None:
        """Puts a `state` back."""
        for name, parameter in self.adapter.trainable.items():
            moments = {
                key.split("/")[1]: value.clone()
                for key, value in state.items()
                if key.startswith("moment/") and key.split("/", 2)[2] == name
            }
            if moments:
                # AdamW keeps its step count beside the parameter only where it is fused.
                where = {"step": parameter.device if self._fused else torch.device("cpu")}
                self.optimizer.state[parameter] = {
                    key: value.to(where.get(key, parameter.device)) for key, value in moments.items()
                }
        if self.scaler.is_enabled() and extra:
            self.scaler.load_state_dict(dict(extra))
        set_random_state({k.removeprefix("random/"): v for k, v in state.items() if k.startswith("random/")})
