"""Time and memory of a run before it begins, from one probed step on this machine."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import torch
from pydantic import Field

from clip_atelier.engine.core import Control, Phase, Record, Work, WorkError, _
from clip_atelier.engine.data import ImageCache, open_collection
from clip_atelier.engine.models import Model, Models, adapters, is_out_of_memory
from clip_atelier.engine.settings import Settings
from clip_atelier.engine.training import fitting
from clip_atelier.engine.training.batches import Batches
from clip_atelier.engine.training.inputs import TrainingInputs
from clip_atelier.engine.training.lengths import affordable, measured_by_folds, run_length
from clip_atelier.engine.training.memory import DoesNotFitError
from clip_atelier.engine.training.steps import TrainStep

# Share of the free memory that a run may plan with; the rest is for everything else on the machine.
_USABLE = 0.85
_SAMPLE_SECONDS = 0.005


class Estimate(Record):
    """Time and memory of a run before it begins.

    Attributes:
        steps: Optimiser steps of the whole run: of all its trainings, within its time budget.
        trainings: How often the update is trained: once for each fold and once on everything, or once in all.
        seconds_per_step: Of one step.
        first_pass_seconds: Decoding, and computing what stays frozen.
        seconds: Of the first pass and all steps, measuring not included.
        memory: Bytes in use at the peak of a step; 0 where it did not fit.
        available: Bytes that the process could use.
        fits: Whether a step fits.
        chunk_size: 0 where it fits, else the largest power of two that was seen to fit, or should where none was tried.
        gradient_checkpointing: Whether turning that on would save memory that is missing.
        device: The kind of device.
    """

    schema_version: int = Field(default=1, alias="schema")
    steps: int
    trainings: int = 1
    seconds_per_step: float
    first_pass_seconds: float
    seconds: float
    memory: int
    available: int
    fits: bool
    chunk_size: int
    gradient_checkpointing: bool
    device: str


def estimate(
    folder: Path, settings: Settings, home: Path, models: Models, control: Control
) -> Work[Estimate]:
    """Takes one step of the run on its own first batch and reckons the rest from it. Nothing is kept.

    Raises:
        UserError: the folder, the model or a setting is at fault.
    """
    collection, parts = yield from open_collection(folder, settings.data, home, control)
    yield Phase(name="load", title=_("Opening the model"))
    clip = models.open(settings.model.name, settings.hardware)
    yield Phase(name="train", title=_("Probing one step"))
    train, seed, views = settings.train, settings.train.seed, settings.data.views
    wanted = run_length(collection.items, parts, settings)
    by_folds = measured_by_folds(settings, len(collection.items))
    learned = range(len(collection.items)) if by_folds else parts.train
    batches = Batches.of(collection.items, learned, parts.groups, settings)
    batch = batches.at(0)
    trains_layers, chunk = False, 0
    try:
        adapter = adapters.attach(clip, settings)
        pictures = ImageCache(collection.root, collection.items, clip.frame, settings.data, seed)
        began = time.perf_counter()
        yield from pictures.prepare(batch.indices, control, views)
        inputs = TrainingInputs(clip, collection.items, parts.groups, pictures)
        trains_layers = bool(inputs.trained_towers)
        yield from inputs.prepare(batch.indices, views, control)
        first_pass = (time.perf_counter() - began) / len(batch.indices) * len(learned)
        preservation = yield from fitting.compared_with(
            clip, adapter, inputs, batch.indices, settings, control
        )
        train_step = TrainStep(clip, adapter, inputs, train, wanted.steps, preservation)
        with _peak(clip) as peak:
            # The first step also makes the optimiser's state and warms the kernels; the second one is timed.
            train_step.step(0, batch)
            control.boundary()
            began = time.perf_counter()
            float(train_step.step(1, batch))
            seconds = time.perf_counter() - began
        memory = peak[0]
        if train_step.chunk != train.chunk_size:
            memory, chunk = 0, train_step.chunk
    except DoesNotFitError as error:
        memory, seconds, first_pass, chunk = 0, 0.0, 0.0, error.chunk
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise WorkError(_("The computation failed: {reason}").format(reason=error)) from error
        memory, seconds, first_pass = 0, 0.0, 0.0
    finally:
        adapters.detach(clip)
    available = _available(clip)
    fits = 0 < memory <= _USABLE * available
    length = affordable(settings, wanted, seconds, first_pass)
    return Estimate(
        steps=length.total,
        trainings=length.trainings,
        seconds_per_step=seconds,
        first_pass_seconds=first_pass,
        seconds=first_pass + length.total * seconds,
        memory=memory,
        available=available,
        fits=fits,
        chunk_size=0 if fits else chunk or _chunk(train.chunk_size or train.batch_size, memory, available),
        gradient_checkpointing=not fits and trains_layers and not train.gradient_checkpointing,
        device=clip.device.kind,
    )


def _chunk(size: int, memory: int, available: int) -> int:
    """The largest power of two below `size` whose share of the step's memory fits, at least 2."""
    share = _USABLE * available / memory if memory else 0.5
    chunk = 2
    while chunk * 2 < size and chunk * 2 <= size * share:
        chunk *= 2
    return chunk


def _available(clip: Model) -> int:
    """Bytes that this process could use in all: what it holds and what is free."""
    if clip.device.kind == "cuda":
        free, _total = torch.cuda.mem_get_info()
        return int(free + torch.cuda.memory_reserved())
    return int(psutil.virtual_memory().available + psutil.Process().memory_info().rss)


@contextmanager
def _peak(clip: Model) -> Iterator[list[int]]:
    """The most memory in use during the block, in the list's only element after it."""
    found = [clip.device.memory()]
    if clip.device.kind == "cuda":
        torch.cuda.reset_peak_memory_stats()
        yield found
        found[0] = int(torch.cuda.max_memory_allocated())
        return
    # Other devices keep no high-water mark that can be reset: look often from beside.
    done = threading.Event()

    def look() -> None:
        while not done.wait(_SAMPLE_SECONDS):
            found[0] = max(found[0], clip.device.memory())

    thread = threading.Thread(target=look, name="memory", daemon=True)
    thread.start()
    try:
        yield found
    finally:
        done.set()
        thread.join()
