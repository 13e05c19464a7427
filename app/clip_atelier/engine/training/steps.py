"""One optimiser step: forward through what is trainable, loss, backward, update.

Nothing here waits for a graphics card: values are read back between checks only.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import ClassVar, Final

import torch
from torch import Tensor

from clip_atelier.engine.core import Notice, _
from clip_atelier.engine.models import Adapter, Halves, Model, random_state, set_random_state
from clip_atelier.engine.settings import TrainSettings
from clip_atelier.engine.training import captured, memory
from clip_atelier.engine.training.batches import Batch, Batches
from clip_atelier.engine.training.captured import Captured
from clip_atelier.engine.training.distributed.gradient_cache import Share
from clip_atelier.engine.training.inputs import TrainingInputs
from clip_atelier.engine.training.losses import Relations, objective, objective_and_gradients
from clip_atelier.engine.training.optimizer import Optimizer
from clip_atelier.engine.training.preservation import Preservation

_STEPS_AHEAD: Final = 8
_NUMBERS_AHEAD: Final = 1 << 20
"""How many numbers of a batch's targets, each thrice, may lie ready."""


class TrainStep:
    """Takes optimiser steps.

    Attributes:
        alone: Whether no other processes take part.
        captured: What repeats parts of steps from recordings, where the device can and it was found to be the same.

    Args:
        clip: The model.
        adapter: Its update.
        inputs: Where inputs come from.
        train: How to train.
        total: Steps of the whole run, for the schedule.
        preservation: What holds the model to what it said before of other drawings, if anything does.
    """

    alone: ClassVar[bool] = True

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
        # What the loss does not depend on is left as it is: decay alone would still pull it.
        words = train.text_weight > 0 or preservation is not None
        trained = {n: p for n, p in adapter.trainable.items() if words or clip.stage_of(n, "text") is None}
        self.optimizer = Optimizer(trained, train, clip.device.kind)
        self.scaler = torch.amp.GradScaler(clip.device.kind, enabled=clip.device.precision == "fp16")
        self.halves = Halves(inputs.trained_towers, clip.device.dtype)
        self._switched = [*inputs.trained_towers, clip.projection("vision"), clip.projection("text")]
        self._computing = False
        self.chunk = train.chunk_size
        self._notice = ""
        # The sigmoid judges every pair by itself and knows no targets.
        self._smoothing = train.smoothing if clip.loss == "softmax" else 0.0
        self._hold = torch.tensor(train.preservation, device=clip.device.place)
        self._temperature = clip.logit_scale
        self._ahead: dict[int, tuple[Batch, tuple[list[str], Relations]]] = {}
        self._drops = adapter.settings.lora.lora_dropout > 0
        self.captured = self._captured()

    def _captured(self) -> Captured | None:
        """What repeats steps from recordings; None where that cannot be."""
        # What is computed again on the way back puts random states back in between, which no recording can.
        if not (self.alone and self.clip.device.graphs) or self.train.gradient_checkpointing:
            return None
        recorder = captured.recorder_of(self.clip.device)
        if recorder is None:
            return None
        return Captured(recorder, self.clip.device.kind, self.optimizer.gradients)

    def learning_rate(self, step: int) -> float:
        """The rate of a step, counted from 0: linear warm-up, then the schedule."""
        warm = max(1, round(self.train.warmup * self.total))
        if step < warm:
            return self.train.learning_rate * (step + 1) / (warm + 1)
        share = (step - warm) / max(1, self.total - warm)
        factor = {"cosine": 0.5 * (1 + math.cos(math.pi * share)), "linear": 1 - share, "constant": 1.0}
        return self.train.learning_rate * factor[self.train.schedule]

    def scale(self) -> Tensor | float:
        """1 / temperature, never above what the family allows (100 for the softmax), which no library sees to."""
        # The scale of a sigmoid belongs to its bias: it is not put to another value.
        if self.train.temperature == "fixed" and self.clip.loss == "softmax":
            return self.clip.highest_scale
        if self.train.temperature == "trained":
            return self.clip.temperature.clamp(max=math.log(self.clip.highest_scale)).exp()
        return self._temperature  # read once: reading it waits for a graphics card

    def bias(self) -> Tensor | None:
        """What the sigmoid loss adds to scaled similarities; None for the softmax."""
        return self.clip.logit_bias if self.clip.loss == "sigmoid" else None

    def _loss(
        self, images: Tensor, texts: Tensor, relations: Relations
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """The loss of embeddings, and its gradients in them as the scaler wants them; None where nothing follows from one.

        That of a temperature that is trained is added to it.
        """
        train, scale, bias = self.train, self.scale(), self.bias()
        if isinstance(scale, Tensor) or bias is not None:
            images, texts = images.requires_grad_(True), texts.requires_grad_(True)
            loss = objective(
                images, texts, relations, scale, train.text_weight, train.pair_weight, train.pair_scale, bias
            )
            self.scaler.scale(loss).backward()
            return loss.detach(), images.grad, texts.grad
        loss, *gradients = objective_and_gradients(
            images, texts, relations, scale, train.text_weight, train.pair_weight, train.pair_scale,
            (self.inputs.learns("vision"), self.inputs.learns("text")),
        )  # fmt: skip
        if self.scaler.is_enabled():
            factor = self.scaler.scale(torch.ones_like(loss))
            gradients = [None if one is None else one.mul_(factor) for one in gradients]
        return loss, gradients[0], gradients[1]

    def look_ahead(self, batches: Batches, step: int) -> None:
        """Has ready what a step needs and does not depend on what is learned; the bits do not depend on when it is called.

        Who belongs to whom and what follows for the loss is worked out for several steps at once. Between two passes through
        a model each of its many small operations takes several times as long, as nothing is in the processor's caches.
        """
        self.inputs.fetch_ahead(batches.at(step + 1))
        if step in self._ahead:
            return
        # Always the same steps together: sums over several batches may be rounded otherwise than over one.
        span = max(1, min(_STEPS_AHEAD, _NUMBERS_AHEAD // self.train.batch_size**2))
        first = step - step % span
        ahead = [batches.at(number) for number in range(first, first + span)]
        relations = self.inputs.relations_of(ahead, self._smoothing)
        self._ahead = dict(enumerate(zip(ahead, relations, strict=True), first))

    def step(self, step: int, batch: Batch) -> Tensor:
        """One step; returns its loss (detached, still on the device)."""
        known = self._ahead.pop(step, None)
        captions, relations = (
            known[1] if known and known[0] is batch else self.inputs.relations_of([batch], self._smoothing)[0]
        )
        self.optimizer.begin(self.learning_rate(step))
        if self.captured:
            self.captured.remaining = self.total - step
        with self.computing():
            loss = self._gradients(step, batch, captions, relations)
            if self.preservation:
                looked_at = self.preservation.looked_at(step)
                if self.captured:
                    self.captured.do("preservation", self._kept_near_detached, *looked_at)
                else:
                    self._kept_near(*looked_at)
        if self.train.size_penalty:
            penalty = self.train.size_penalty * self.adapter.size()
            self.scaler.scale(penalty).backward()
        self.optimizer.step(self.scaler)
        return loss

    @contextmanager
    def computing(self) -> Iterator[None]:
        """The towers as training computes them: dropout on, frozen weights in training's precision.

        Every step sees to it; around many steps it is done once for all of them, as going through all modules of a model
        takes longer than a step on stored features.
        """
        if self._computing:
            yield
            return
        for module in self._switched:
            module.train()
        self._computing = True
        self.clip.recompute = self.train.gradient_checkpointing
        try:
            with self.halves.in_place():
                yield
        finally:
            self._computing = self.clip.recompute = False
            for module in self._switched:
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
        size = self.chunk
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
        """The loss of a batch, and its gradients in the trained tensors.

        Where memory is not enough for it at once, this and all later steps go in smaller chunks, if that leaves the result
        as it is; if dropout would be drawn otherwise, the person is to decide.

        Raises:
            DoesNotFitError: memory is not enough.
        """
        loss = memory.tried(lambda: self._at_once(batch, captions, relations))
        if loss is not None:
            return loss
        failed = min(self.chunk or len(batch.indices), len(batch.indices))
        whole = self.chunk

        def again(chunk: int) -> Tensor:
            self.chunk = chunk
            self.optimizer.begin(self.learning_rate(step))  # what the attempt before left of gradients goes
            return self._at_once(batch, captions, relations)

        found = memory.in_less(failed, again)
        if found is None or self._drops:
            self.chunk = whole
            raise memory.DoesNotFitError(found[0] if found else 0)
        self._notice = _(
            "A batch does not fit into the memory of the device at once: from here on it goes in chunks of {size} images, with the same result."
        ).format(size=found[0])
        return found[1]

    def take_notice(self) -> Notice | None:
        """What the steps since the last time have to say."""
        text, self._notice = self._notice, ""
        return Notice(text=text) if text else None

    def _at_once(self, batch: Batch, captions: list[str], relations: Relations) -> Tensor:
        if self.captured and not 0 < self.chunk < len(batch.indices):
            images, texts = self.inputs.image_inputs(batch, slice(None)), self.inputs.text_inputs(captions)
            return self.captured.do("batch", self._of_tensors, images, texts, *relations.tensors())
        return self._way_back(self.share(batch, captions), relations)

    def _way_back(self, share: Share, relations: Relations) -> Tensor:
        loss, *gradients = self._loss(share.images, share.texts, relations)
        share.backward(*gradients)
        return loss

    # What may be repeated from a recording: functions of tensors, and of what stays as it is in all steps

    def _of_tensors(self, images: Tensor, texts: Tensor, *relations: Tensor) -> Tensor:
        """`_at_once` for what a batch's images and captions are computed from, and who belongs to whom."""
        share = Share(
            [partial(self.inputs.images_from, images)],
            [partial(self.inputs.texts_from, texts)],
            self.clip.dim,
            self.clip.device.place,
            self._autocast,
            again=False,
        )
        return self._way_back(share, Relations.of_tensors(relations))

    def _kept_near(self, *looked_at: Tensor) -> Tensor:
        """The gradients of what holds the model to what it said before."""
        assert self.preservation is not None
        with self._autocast():
            drift = self.preservation.drift(*looked_at)
        # As the gradient to begin with: a product would be two more operations.
        drift.backward(self.scaler.scale(self._hold))
        return drift

    def _kept_near_detached(self, *looked_at: Tensor) -> Tensor:
        """The same, its result without the record of how it came about, whose nodes belong to the stream they were made on."""
        return self._kept_near(*looked_at).detach()

    # State for checkpoints

    def state(self) -> dict[str, Tensor]:
        """Moments by parameter name, and the random states."""
        return self.optimizer.state() | {
            f"random/{k}": v for k, v in random_state(self.clip.device.kind).items()
        }

    def load_state(self, state: Mapping[str, Tensor], extra: Mapping[str, object]) -> None:
        """Puts a `state` back."""
        self.optimizer.load_state(state)
        if self.scaler.is_enabled() and extra:
            self.scaler.load_state_dict(dict(extra))
        set_random_state({k.removeprefix("random/"): v for k, v in state.items() if k.startswith("random/")})
