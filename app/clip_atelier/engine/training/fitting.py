"""An update trained on given drawings for a fixed number of steps, with nothing kept aside and nothing on disk.

What a fold of a cross-fitted comparison needs; the update that is handed over takes the same steps in a run of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from clip_atelier.engine.core import Control, Countdown, Work, WorkError, _
from clip_atelier.engine.data import ImageCache, Item
from clip_atelier.engine.models import Adapter, Model, adapters
from clip_atelier.engine.settings import Settings
from clip_atelier.engine.training import initialization
from clip_atelier.engine.training.batches import Batches
from clip_atelier.engine.training.preservation import Preservation
from clip_atelier.engine.training.steps import TrainingInputs, TrainStep


@dataclass(frozen=True)
class Prepared:
    """A fresh update that is ready to be trained.

    Attributes:
        adapter: The update, attached to the model, at its start.
        step: Takes its steps.
        batches: What each step sees.
    """

    adapter: Adapter
    step: TrainStep
    batches: Batches


def prepared(
    clip: Model,
    settings: Settings,
    items: Sequence[Item],
    groups: Sequence[int],
    pictures: ImageCache,
    train: Sequence[int],
    steps: int,
    control: Control,
) -> Work[Prepared]:
    """Attaches a fresh update to the model and computes what its steps need.

    Args:
        clip: The model; what was attached to it is taken off.
        settings: How to train.
        items: The collection's items.
        groups: One group id per item.
        pictures: Prepared pictures of the training items.
        train: Which items are learned from.
        steps: How many steps will be taken.
        control: Stop and pause.
    """
    adapter = adapters.attach(clip, settings)
    inputs = TrainingInputs(clip, items, groups, pictures)
    yield from inputs.prepare(train, settings.data.views, control)
    _started, preservation = yield from start(clip, adapter, inputs, train, settings, control)
    batches = Batches.of(items, train, groups, settings)
    return Prepared(adapter, TrainStep(clip, adapter, inputs, settings.train, steps, preservation), batches)


def start(
    clip: Model,
    adapter: Adapter,
    inputs: TrainingInputs,
    train: Sequence[int],
    settings: Settings,
    control: Control,
) -> Work[tuple[int, Preservation | None]]:
    """Puts a fresh update at its start, and prepares what training compares with.

    Returns:
        Rank of what it starts from, 0 where it starts at nothing; and what holds the model, if anything does.
    """
    if settings.train.smoothing:
        yield from inputs.remember_base(train, control)
    started = yield from initialization.from_pairs(adapter, inputs, train, control)
    started += yield from initialization.from_captions(adapter, inputs, train, control)
    preservation = None
    if settings.train.preservation:
        preservation = Preservation(
            clip, adapter, inputs.image_cut, settings.train.seed, inputs.pictures.store
        )
        yield from preservation.prepare(control)
    return started, preservation


def fit(ready: Prepared, steps: int, seed: int, control: Control) -> Work[None]:
    """Takes all steps.

    Raises:
        WorkError: the loss is no longer a number.
        Stopped: the user stopped it.
    """
    torch.manual_seed(seed)
    countdown = Countdown(steps)
    loss = torch.zeros(())
    for step in range(steps):
        control.boundary()
        loss = ready.step.step(step, ready.batches.at(step))
        if step % 10 == 9 or step + 1 == steps:
            yield countdown.at(step + 1)
    if steps and not torch.isfinite(loss):
        raise WorkError(
            _("The loss is no longer a number."),
            _("Lower the learning rate (train.learning_rate) or lora.lora_alpha."),
            "train.learning_rate",
        )
