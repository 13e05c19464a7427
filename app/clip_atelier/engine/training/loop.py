"""The steps of a run between its first check and its last: train, measure, keep the best, save."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from clip_atelier.engine.core import (
    Check,
    Control,
    Event,
    Notice,
    Phase,
    Ranking,
    Saved,
    Started,
    Step,
    Stopped,
    UserError,
    Work,
    WorkError,
    _,
)
from clip_atelier.engine.data import ImageCache, Item
from clip_atelier.engine.evaluation import EvaluationSet, embed, select_by, significance, strengths
from clip_atelier.engine.evaluation import sets as evaluation_sets
from clip_atelier.engine.models import Adapter, Features, Model, features, random_state, set_random_state
from clip_atelier.engine.runs import checkpoints
from clip_atelier.engine.settings import Settings
from clip_atelier.engine.training.batches import Batches
from clip_atelier.engine.training.distributed.group import Group
from clip_atelier.engine.training.distributed.trainer import Leader
from clip_atelier.engine.training.inputs import TrainingInputs
from clip_atelier.engine.training.lengths import check_steps
from clip_atelier.engine.training.losses import objective
from clip_atelier.engine.training.preservation import Preservation
from clip_atelier.engine.training.steps import TrainStep

_STEP_EVENTS = 1000  # about as many points per curve
_PINNED = 4
_STRIP = 5


@dataclass(frozen=True)
class Held:
    """The drawings that are kept aside: their questions, and the untouched model's embeddings in training's precision."""

    questions: EvaluationSet
    base: tuple[Features, Features]


class _Clock:
    """The time that steps take: what lies between a call and the one before, checks and pauses included only in `whole`.

    Args:
        before: Seconds that the run had taken when it was resumed.
    """

    def __init__(self, before: float) -> None:
        self._before = before
        self._began = self._last = time.monotonic()
        self._steps, self._images, self._stepping = 0, 0, 0.0

    def begin(self) -> None:
        """Steps follow from here on."""
        self._last = time.monotonic()

    def took(self, images: int) -> None:
        """A step is done."""
        now = time.monotonic()
        self._stepping += now - self._last
        self._last = now
        self._steps += 1
        self._images += images

    @property
    def whole(self) -> float:
        """Seconds of the run so far, checks and all."""
        return self._before + self._last - self._began

    @property
    def rate(self) -> float:
        """Images per second of the steps alone."""
        return self._images / max(self._stepping, 1e-9)

    @property
    def seconds_a_step(self) -> float:
        """Seconds per step, checks included: what is left to wait for."""
        return (self._last - self._began) / max(self._steps, 1)


class Loop:
    """Steps, checks, checkpoints.

    Attributes:
        best_embeddings: The best check's embeddings of the evaluation set; None where no check of this process was better.

    Args:
        run: The run's folder.
        settings: The run's settings.
        control: Stop, pause, evaluate now.
        clip: The model, its adapter attached.
        adapter: The update.
        inputs: Where inputs come from.
        batches: What each step sees.
        evaluation_set: The questions about the validation images; None where nothing is kept aside, and every check only saves.
        pictures: Prepared pictures.
        base: The untouched model's embeddings of the evaluation set, in training's precision; None without one.
        preservation: What holds the model to what it said before of other drawings, if anything does.
        total: Steps of the whole run.
        group: The processes that share each step, if there are several.
    """

    def __init__(
        self,
        run: Path,
        settings: Settings,
        control: Control,
        clip: Model,
        adapter: Adapter,
        inputs: TrainingInputs,
        batches: Batches,
        evaluation_set: EvaluationSet | None,
        pictures: ImageCache,
        base: tuple[Features, Features] | None,
        total: int,
        group: Group | None = None,
        preservation: Preservation | None = None,
        primary_metric: str = "",
    ) -> None:
        self.run_folder = run
        self.control = control
        self.checkpoints = run / "checkpoints"
        self.clip = clip
        self.adapter = adapter
        self.inputs = inputs
        self.batches = batches
        self._held = Held(evaluation_set, base) if evaluation_set is not None and base is not None else None
        self.primary_metric = primary_metric or (evaluation_set.primary_metric if evaluation_set else "")
        self.pictures = pictures
        self.total = total
        self.train = settings.train
        self.train_step = (
            Leader(clip, adapter, inputs, self.train, total, group, preservation)
            if group
            else TrainStep(clip, adapter, inputs, self.train, total, preservation)
        )
        self.state = checkpoints.State(step=0)
        asked = evaluation_set.indices if evaluation_set is not None else ()
        self.check_steps = check_steps(self.train, total, len(asked), bool(inputs.trained_towers))
        self.best_embeddings: tuple[Features, Features] | None = None
        self._first_state = adapter.state()

    def run(self) -> Work[bool]:
        """Trains to the end, an early stop, or the user's stop; returns whether the user stopped it."""
        control = self.control
        torch.manual_seed(self.train.seed)
        yield from self._resume()
        yield Phase(name="train", title=_("Training"))
        yield Started(
            run=self.run_folder.name,
            steps=self.total,
            start_step=self.state.step,
            trainable_parameters=self.adapter.parameters,
            device=self.clip.device.kind,
            precision=self.clip.device.precision,
            primary_metric=f"{self.primary_metric}/R@1",
            select_by=f"{self.primary_metric}/{strengths.SELECTION_METRIC}",
        )
        if self.state.step == 0:
            yield from self._first_check()
        every = max(1, self.total // _STEP_EVENTS)
        clock = _Clock(self.state.seconds)
        while self.state.step < self.total:
            # Between two checks the model stays as training computes it.
            with self.train_step.computing():
                stopped = yield from self._to_next_check(every, clock)
            if stopped:
                if self.state.step == 0:  # nothing was learned that could be kept or compared
                    raise stopped
                yield from self._save()
                if control.leaving:
                    raise stopped
                return True
            if (yield from self._check()):
                break
        return False

    def _to_next_check(self, every: int, clock: _Clock) -> Work[Stopped | None]:
        """Takes steps until the model is to be measured, or the user stops, which is returned."""
        losses: list[torch.Tensor] = []
        clock.begin()
        while True:
            try:
                self.control.boundary()
            except Stopped as stopped:
                return stopped
            step = self.state.step
            batch = self.batches.at(step)
            self.train_step.look_ahead(self.batches, step)
            losses.append(self.train_step.step(step, batch))
            if notice := self.train_step.take_notice():
                yield notice
            clock.took(len(batch.indices))
            self.state = replace(self.state, step=step + 1, seconds=clock.whole)
            due = self.state.step in self.check_steps or self.control.take_evaluate()
            if len(losses) >= every or due:
                yield self._step_event(losses, step, clock)
                losses.clear()
            if due:
                return None

    def _step_event(self, losses: list[torch.Tensor], step: int, clock: _Clock) -> Event:
        loss = float(torch.stack(losses).mean())
        if not math.isfinite(loss):
            raise WorkError(
                _("The loss is no longer a number at step {step}.").format(step=step + 1),
                _(
                    "Lower the learning rate (train.learning_rate) or lora.lora_alpha. The last good checkpoint is kept."
                ),
                "train.learning_rate",
            )
        return Step(
            step=step + 1,
            epoch=(step + 1) / self.batches.per_epoch,
            loss=loss,
            learning_rate=self.train_step.learning_rate(step),
            images_per_second=clock.rate,
            seconds_left=clock.seconds_a_step * (self.total - step - 1),
            memory=self.clip.device.memory(),
        )

    def _resume(self) -> Work[None]:
        found, problems = checkpoints.newest(self.checkpoints)
        for problem in problems:
            yield Notice(text=problem)
        if found is None:
            return
        self.adapter.load_state(found.adapter)
        self.train_step.load_state(found.optimizer, found.state.extra)
        self.state = found.state
        if found.state.step:
            yield Notice(
                text=_("Going on from step {step} of {total}.").format(
                    step=found.state.step, total=self.total
                )
            )

    def _first_check(self) -> Work[None]:
        if self._held is None:
            return
        values = significance.averages(self._held.questions.values(*self._held.base))
        self.state = replace(self.state, best_score=values[select_by(self._held.questions)])
        yield Check(
            step=0, epoch=0.0, metrics=values, loss=self._loss(self._held, *self._held.base), best=True
        )
        yield from self._strip(self._held, *self._held.base)

    def _check(self) -> Work[bool]:
        """Measures, remembers the best, saves; returns whether training should end early."""
        held = self._held
        if held is None:
            self.state = replace(self.state, best_step=self.state.step, checked=self.state.step)
            yield from self._save()
            return False
        # Measuring must not move the random numbers that training draws.
        random = random_state(self.clip.device.kind)
        images, words = yield from embed(
            self.clip, self.pictures, held.questions, self.control.finishing(), half=True
        )
        set_random_state(random)
        values = significance.averages(held.questions.values(images, words))
        score = values[select_by(held.questions)]
        state = self.state
        better = score > state.best_score
        if better:
            self.best_embeddings = images, words
        self.state = replace(
            state,
            best_step=state.step if better else state.best_step,
            best_score=score if better else state.best_score,
            checks_without_gain=0 if better else state.checks_without_gain + 1,
            checked=state.step,
        )
        yield Check(
            step=state.step,
            epoch=state.step / self.batches.per_epoch,
            metrics=values,
            loss=self._loss(held, images, words),
            best=better,
            checks_without_gain=self.state.checks_without_gain,
        )
        yield from self._strip(held, images, words)
        yield from self._save()
        if 0 < self.train.patience <= self.state.checks_without_gain and state.step < self.total:
            yield Notice(
                text=_(
                    "No better for {count} checks: training ends early, the best checkpoint is kept."
                ).format(count=self.state.checks_without_gain)
            )
            return True
        return False

    def _loss(self, held: Held, images: Features, words: Features) -> float:
        """The objective on the validation images, in pieces of the batch size so that it compares with training's."""
        items, total, weight = self.inputs.items, 0.0, 0
        pieces = Batches(
            items, held.questions.indices, self.inputs.groups, self.train.batch_size, 1, self.train.seed
        )
        row = {index: n for n, index in enumerate(held.questions.indices)}
        column = {evaluation_sets.caption_key(c): n for n, c in enumerate(held.questions.captions)}
        with torch.no_grad():
            scale = self.train_step.scale()
            for piece in range(pieces.per_epoch):
                batch = pieces.at(piece)
                captions, relations = self.inputs.relations(batch)
                x = torch.from_numpy(images[[row[i] for i in batch.indices]])
                y = torch.from_numpy(words[[column[evaluation_sets.caption_key(c)] for c in captions]])
                device = self.clip.device.place
                value = objective(
                    x.to(device), y.to(device), relations, scale, self.train.text_weight, self.train.pair_weight,
                    self.train.pair_scale, bias=self.train_step.bias(),
                )  # fmt: skip
                total += float(value) * len(batch.indices)
                weight += len(batch.indices)
        return total / max(weight, 1)

    def _strip(self, held: Held, images: Features, words: Features) -> Work[None]:
        """The living strip: a few pinned queries and their first results."""
        asked = tuple(dict.fromkeys(w.strip() for w in self.train.pinned.split(",") if w.strip()))
        if asked:
            yield from self._watched(held, asked, images)
            return
        task = held.questions.task(held.questions.primary_metric)
        sides = {"image": images, "text": words}
        for query in np.linspace(0, len(task.queries) - 1, min(_PINNED, len(task.queries))).astype(int):
            scores = sides[task.query_side][task.queries[query]] @ sides[task.gallery_side][task.gallery].T
            order = np.argsort(-scores, kind="stable")[:_STRIP]
            item = self._item(held, int(task.queries[query])) if task.query_side == "image" else None
            yield Ranking(
                step=self.state.step,
                query=item.captions[0] if item else held.questions.captions[task.queries[query]],
                query_path=item.path if item else "",
                paths=tuple(
                    self._item(held, int(row)).path
                    if task.gallery_side == "image"
                    else held.questions.captions[row]
                    for row in task.gallery[order]
                ),
                relevant=tuple(bool(right) for right in task.positives[query, order]),
            )

    def _watched(self, held: Held, asked: tuple[str, ...], images: Features) -> Work[None]:
        """The user's own words; an image is right for a word that one of its captions contains."""
        scores = features.texts(self.clip, asked, half=True) @ images.T
        for word, row in zip(asked, scores, strict=True):
            found = [self._item(held, int(n)) for n in np.argsort(-row, kind="stable")[:_STRIP]]
            key = evaluation_sets.caption_key(word)
            yield Ranking(
                step=self.state.step,
                query=word,
                paths=tuple(item.path for item in found),
                relevant=tuple(
                    any(key in evaluation_sets.caption_key(c) for c in item.captions) for item in found
                ),
            )

    def _item(self, held: Held, row: int) -> Item:
        return self.inputs.items[held.questions.indices[row]]

    def _save(self) -> Work[None]:
        if (step := self.state.step) == 0:
            return
        state = replace(self.state, extra=self.train_step.scaler.state_dict())
        saved = checkpoints.save(self.checkpoints, state, self.adapter.state(), self.train_step.state())
        yield Saved(step=step, path=str(saved), best=step == state.best_step)

    def take_best(self) -> Work[int]:
        """Puts the best checkpoint's update into the model and returns its step.

        0 means that no check was better than the base; the update is then the one that training started from.
        """
        best = self.state.best_step
        if best == 0:
            self.adapter.load_state(self._first_state)
        elif best != self.state.step:
            try:
                self.adapter.load_state(checkpoints.read(self.checkpoints, best).adapter)
            except UserError as error:
                self.best_embeddings = None
                yield Notice(text=error.message)
        return best
