"""An update trained on given drawings for a fixed number of steps, with nothing kept aside and nothing on disk.

What a fold of a cross-fitted comparison needs; the update that is handed over takes the same steps in a run of its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from clip_atelier.engine.core import Control, Countdown, Event, Work, WorkError, _
from clip_atelier.engine.data import ImageCache, Item
from clip_atelier.engine.models import Adapter, Model, adapters
from clip_atelier.engine.settings import Settings
from clip_atelier.engine.training import initialization
from clip_atelier.engine.training.batches import Batches
from clip_atelier.engine.training.inputs import TrainingInputs
from clip_atelier.engine.training.preservation import Preservation
from clip_atelier.engine.training.steps import TrainStep

_STEP_EVENTS = 50  # about as many points per curve


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
    started = yield from initialization.from_pairs(adapter, inputs, train, control)
    started += yield from initialization.from_captions(adapter, inputs, train, control)
    return started, (yield from compared_with(clip, adapter, inputs, train, settings, control))


def compared_with(
    clip: Model,
    adapter: Adapter,
    inputs: TrainingInputs,
    train: Sequence[int],
    settings: Settings,
    control: Control,
) -> Work[Preservation | None]:
    """Prepares what the steps compare with, the untouched model's own answers; gives what holds the model, if anything does."""
    if settings.train.smoothing:
        yield from inputs.remember_base(train, control)
    if not settings.train.preservation:
        return None
    preservation = Preservation(clip, adapter, inputs.image_cut, settings.train.seed, inputs.pictures.store)
    yield from preservation.prepare(control)
    return preservation


def fit(
    ready: Prepared, steps: int, seed: int, control: Control, told: Callable[[int, float], Event]
) -> Work[None]:
    """Takes all steps.

    Args:
        ready: The update.
        steps: How many.
        seed: Of what is drawn at random in a step.
        control: Stop and pause.
        told: Makes the event of a step from its number, counted from 1, and the mean loss since the one before.

    Raises:
        WorkError: the loss is no longer a number.
        Stopped: the user stopped it.
    """
    torch.manual_seed(seed)
    countdown = Countdown(steps)
    every = max(1, steps // _STEP_EVENTS)
    losses: list[torch.Tensor] = []
    with ready.step.computing():
        for step in range(steps):
            control.boundary()
            batch = ready.batches.at(step)
            ready.step.look_ahead(ready.batches, step)
            losses.append(ready.step.step(step, batch))
            if notice := ready.step.take_notice():
                yield notice
            if len(losses) < every and step + 1 < steps:
                continue
            loss = float(torch.stack(losses).mean())
            if not math.isfinite(loss):
                raise WorkError(
                    _("The loss is no longer a number."),
                    _("Lower the learning rate (train.learning_rate) or lora.lora_alpha."),
                    "train.learning_rate",
                )
            losses.clear()
            yield told(step + 1, loss)
            yield countdown.at(step + 1)
