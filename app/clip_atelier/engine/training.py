"""Training one run: folder -> collection -> split -> base -> steps and checks -> strength -> comparison.

`train` and `resume` are generators of events and return CONTRACT's `train` document. The best checkpoint is chosen by
retrieval on the validation images, and so is the strength of the update; the comparison is made on the test images,
which took no part in either.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from clip_atelier.engine import adapters, checkpoints, comparison, features, metrics, verdict
from clip_atelier.engine import retrieval as boards
from clip_atelier.engine.adapters import Adapter
from clip_atelier.engine.batches import Batches
from clip_atelier.engine.collection.records import Collection
from clip_atelier.engine.collection.scan import scan
from clip_atelier.engine.collection.split import Split, split
from clip_atelier.engine.control import Control
from clip_atelier.engine.errors import Stopped, UserError, WorkError
from clip_atelier.engine.events import (
    Check,
    Event,
    Finished,
    Notice,
    Phase,
    Ranking,
    Saved,
    Started,
    Step,
    Strength,
    Work,
)
from clip_atelier.engine.i18n import _
from clip_atelier.engine.models import Models
from clip_atelier.engine.models.clip import Clip
from clip_atelier.engine.models.device import is_out_of_memory
from clip_atelier.engine.objective import objective
from clip_atelier.engine.pictures import Pictures
from clip_atelier.engine.retrieval import Board, Features
from clip_atelier.engine.runs import RunFolder, Runs, write_json
from clip_atelier.engine.settings import Settings
from clip_atelier.engine.steps import Material, Stepper, random_state, set_random_state
from clip_atelier.engine.store import Store

STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25)
_STEP_EVENTS = 1000  # about as many points per curve
_PINNED = 4
_STRIP = 5


@dataclass(frozen=True)
class Plan:
    """What to train: frozen, and all that crosses into the engine.

    Attributes:
        folder: The collection.
        settings: Everything else.
        home: Where runs and caches live.
        name: The user's name for the run; may be empty.
    """

    folder: Path
    settings: Settings
    home: Path
    name: str = ""


def train(plan: Plan, models: Models, control: Control) -> Work[dict[str, Any]]:
    """Trains a new run.

    Returns:
        The JSON document of `train`.

    Raises:
        UserError: the folder, the model or a setting is at fault; nothing was started.
        WorkError: the work failed on the way; what was done is kept.
        Stopped: stopped by the user before the first step; later stops return with status "stopped".
    """
    # Wrong settings and folders are found before a run folder is made.
    if not plan.folder.is_dir():
        raise UserError(
            _("There is no folder “{folder}”.").format(folder=plan.folder),
            _("Give the path of a folder with images."),
            "folder",
        )
    models.resolve(plan.settings.model.name)
    run = Runs(plan.home).create(plan.name, plan.settings, plan.folder.absolute())
    return (yield from _work(run, plan.home, models, control))


def resume(home: Path, run_id: str, models: Models, control: Control) -> Work[dict[str, Any]]:
    """Goes on exactly where a run stopped; see `train`.

    Raises:
        UserError: no such run, it is complete, running elsewhere, or made by a newer version.
    """
    run = Runs(home).open(run_id)
    _settings = run.settings  # refuses what a newer version made
    if run.status == "done":
        raise UserError(
            _("The run “{run}” is complete; there is nothing to go on with.").format(run=run.id),
            _("Train again with more epochs if you want more."),
            "run",
        )
    return (yield from _work(run, home, models, control))


def _work(run: RunFolder, home: Path, models: Models, control: Control) -> Work[dict[str, Any]]:
    with run.hold():
        return (yield from run.recording(_ended(_Training(run, home, models, control))))


def _ended(training: _Training) -> Work[dict[str, Any]]:
    """Runs the training and turns every way out into a `Finished` event."""
    try:
        result = yield from training.work()
    except Stopped:
        yield Finished(status="stopped", result={"run": training.run.id})
        raise
    except UserError as error:
        yield Finished(status="failed", message=error.message, hint=error.hint)
        raise
    except (RuntimeError, MemoryError) as error:
        failure = training.explain(error)
        yield Finished(status="failed", message=failure.message, hint=failure.hint)
        raise failure from error
    yield Finished(status=result["status"], result=result)
    return result


class _Training:
    """One run's work, phase by phase."""

    def __init__(self, run: RunFolder, home: Path, models: Models, control: Control) -> None:
        self.run = run
        self.home = home
        self.models = models
        self.control = control
        self.settings = run.settings
        self.checkpoints = run.path / "checkpoints"

    def explain(self, error: Exception) -> WorkError:
        """A torch error as one for people."""
        train = self.settings.train
        if is_out_of_memory(error):
            size = max(2, (train.chunk_size or train.batch_size) // 2)
            return WorkError(
                _("The memory of the device is not enough for this run."),
                _("Set the chunk size (train.chunk_size) to {size}: the same result in less memory; or the batch size.").format(size=size),
                "train.chunk_size",
            )  # fmt: skip
        return WorkError(
            _("The computation failed: {reason}").format(
                reason=str(error).splitlines()[0] if str(error) else error
            ),
            _("The last checkpoint is kept. Start the program again and resume the run."),
        )

    def work(self) -> Work[dict[str, Any]]:
        """All phases."""
        settings, control = self.settings, self.control
        yield Phase(name="scan", title=_("Reading the collection"))
        collection = yield from scan(
            self.run.folder, settings.data, control, self.home / "cache" / "scan.sqlite"
        )
        parts = split(collection, settings.data, settings.train.seed)
        yield Phase(name="load", title=_("Opening the model"))
        clip = self.models.open(settings.model.name, settings.hardware)
        try:
            return (yield from self._with_model(collection, parts, clip))
        finally:
            adapters.detach(clip)

    def _with_model(self, collection: Collection, parts: Split, clip: Clip) -> Work[dict[str, Any]]:
        settings, control = self.settings, self.control
        yield from self._remember(collection, clip)
        store = Store(self.home / "cache" / "features.sqlite", int(settings.hardware.cache_gb * 1e9))
        try:
            pictures = Pictures(
                collection.root, collection.items, clip.image_size, settings.data, settings.train.seed, store
            )
            yield Phase(name="encode", title=_("Preparing the images"))
            views = settings.data.views
            bad = set((yield from pictures.prepare(parts.train, control, views)))
            held = (*parts.validation, *parts.test)
            bad |= set((yield from pictures.prepare(held, control)))
            train, validation, test = (
                tuple(i for i in part if i not in bad) for part in (parts.train, parts.validation, parts.test)
            )
            if len(train) < 2 or not validation:
                raise WorkError(
                    _("Too few images of the collection are still readable."),
                    _("Look at the problems listed."),
                )
            return (yield from self._learn(collection, parts.groups, clip, pictures, train, validation, test))
        finally:
            store.close()

    def _remember(self, collection: Collection, clip: Clip) -> Work[None]:
        before = self.run.record
        data = {
            "fingerprint": collection.fingerprint,
            "images": len(collection.items),
            "pairs": len(collection.pairs),
        }
        model = {
            "name": clip.name,
            "path": str(clip.folder),
            "family": clip.family,
            "fingerprint": clip.fingerprint,
            "parameters": clip.parameters,
            "image_size": clip.image_size,
        }
        if before.get("model") and before["model"]["fingerprint"] != clip.fingerprint:
            raise UserError(
                _("The model “{model}” is not the one this run was started with.").format(model=clip.name),
                _("Put the first one back, or train anew."),
                "model.name",
            )
        if before.get("data") and before["data"]["fingerprint"] != collection.fingerprint:
            yield Notice(
                text=_(
                    "The collection has changed since the run began: it goes on, but not exactly as it would have."
                )
            )
        self.run.update(data=data, model=model)

    def _learn(
        self,
        collection: Collection,
        groups: Sequence[int],
        clip: Clip,
        pictures: Pictures,
        train: tuple[int, ...],
        validation: tuple[int, ...],
        test: tuple[int, ...],
    ) -> Work[dict[str, Any]]:
        settings, control, items = self.settings, self.control, collection.items
        board = boards.board(items, validation, groups)
        final = boards.board(items, test, groups) if len(test) >= 2 else board
        yield Phase(name="evaluate", title=_("Measuring the untouched model"))
        base = yield from embed(clip, pictures, board, control)
        final_base = base if final is board else (yield from embed(clip, pictures, final, control))
        untouched = yield from probe(clip, pictures, final, control)

        adapter = adapters.attach(clip, settings)
        material = Material(clip, items, groups, pictures)
        yield Phase(name="encode", title=_("Computing what stays frozen"))
        yield from material.prepare(train, settings.data.views, control)
        batches = Batches(
            items, train, groups, settings.train.batch_size, settings.data.views, settings.train.seed
        )
        total = batches.per_epoch * settings.train.epochs
        loop = _Loop(self, clip, adapter, material, batches, board, pictures, base, total)
        stopped = yield from loop.run()

        best = yield from loop.take_best()
        yield Phase(name="strength", title=_("Choosing the strength"))
        strength = 0.0 if best == 0 else 1.0
        if best and settings.train.choose_strength and not stopped:
            strength = yield from self._choose(clip, adapter, pictures, board, base)
        adapter.set_strength(strength)
        adapter.save(self.run.path / "adapter")
        result: dict[str, Any] = {
            "run": self.run.id,
            "path": str(self.run.path),
            "status": "stopped" if stopped else "done",
            "steps": loop.state.step,
            "total_steps": total,
            "seconds": round(loop.state.seconds, 3),
            "trainable_parameters": adapter.parameters,
            "best_step": best,
            "strength": strength,
            "split": {"train": len(train), "validation": len(validation), "test": len(test)},
            "measured_on": "validation" if final is board else "test",
        }
        yield Phase(name="evaluate", title=_("Comparing base and adapted"))
        # A stop asked for during training must not cut the comparison short; leaving the program does.
        asked = control.finishing() if stopped else control
        adapted = yield from embed(clip, pictures, final, asked)
        base_values, adapted_values = final.values(*final_base), final.values(*adapted)
        result |= verdict.compare(final, base_values, adapted_values)
        comparison.keep(self.run.path, final, base_values, adapted_values)
        after = yield from embed(clip, pictures, board, asked)
        before = board.values(*base)
        result["validation"] = {
            "base": verdict.averages(before),
            "adapted": verdict.averages(board.values(*after)),
        }
        result["base_untouched"] = yield from self._untouched(clip, adapter, pictures, final, untouched)
        write_json(self.run.path / "evaluation.json", result)
        return result

    def _untouched(
        self,
        clip: Clip,
        adapter: Adapter,
        pictures: Pictures,
        board: Board,
        untouched: tuple[Features, Features],
    ) -> Work[bool]:
        """Proof that the base pane is the untouched model: with the update off, the very same bits come out."""
        with adapter.at(0.0):
            again = yield from probe(clip, pictures, board, self.control.finishing())
        same = all(np.array_equal(a, b) for a, b in zip(untouched, again, strict=True))
        if not same:
            yield Notice(text=_("The base embeddings could not be reproduced bit for bit on this device."))
        return bool(same)

    def _choose(
        self, clip: Clip, adapter: Adapter, pictures: Pictures, board: Board, base: tuple[Features, Features]
    ) -> Work[float]:
        """The strength that helps most on the validation images; 0 unless the gain exceeds its standard error.

        The one-standard-error rule (Breiman et al. 1984, CART, 3.4.3) in favour of the base: what is handed over is
        not a lucky draw among several strengths.
        """
        key = select_by(board)
        clusters = board.task(board.headline).clusters
        unchanged = board.values(*base)[key]
        scores: list[tuple[float, float]] = []
        for strength in STRENGTHS:
            if strength == 0.0:
                value = unchanged
            else:
                adapter.set_strength(strength)
                value = board.values(*(yield from embed(clip, pictures, board, self.control)))[key]
            gain = metrics.paired_bootstrap(unchanged, value, clusters)
            # Half the width of a 95 % interval is 1.96 standard errors.
            error = (gain.high - gain.low) / (2 * 1.96)
            scores.append(
                (strength, float(np.nanmean(value)) if gain.value > error or strength == 0 else -1.0)
            )
            yield Strength(strength=strength, score=float(np.nanmean(value)))
        best = max(scores, key=lambda pair: (pair[1], -pair[0]))[0]
        yield Strength(strength=best, score=dict(scores)[best], chosen=True)
        return best


def select_by(board: Board) -> str:
    """The metric that chooses checkpoints and strength: finer than R@1, which moves in whole queries."""
    return f"{board.headline}/mAP"


def embed(clip: Clip, pictures: Pictures, board: Board, control: Control) -> Work[tuple[Features, Features]]:
    """Embeddings of a board's images and captions as the model is now."""
    images = yield from features.images(clip, pictures, board.indices, control)
    return images, features.texts(clip, board.captions)


def probe(clip: Clip, pictures: Pictures, board: Board, control: Control) -> Work[tuple[Features, Features]]:
    """Embeddings of one batch of a board, nothing stored or remembered."""
    images = yield from features.fresh_images(clip, pictures, board.indices[: features.BATCH], control)
    return images, features.fresh_texts(clip, board.captions[: features.TEXT_BATCH])


class _Loop:
    """Steps, checks, checkpoints."""

    def __init__(
        self,
        training: _Training,
        clip: Clip,
        adapter: Adapter,
        material: Material,
        batches: Batches,
        board: Board,
        pictures: Pictures,
        base: tuple[Features, Features],
        total: int,
    ) -> None:
        self.training = training
        self.clip = clip
        self.adapter = adapter
        self.material = material
        self.batches = batches
        self.board = board
        self.pictures = pictures
        self.base = base
        self.total = total
        self.train = training.settings.train
        self.stepper = Stepper(clip, adapter, material, self.train, total)
        self.state = checkpoints.State(step=0)
        checks = self.train.checks
        self.check_steps = {round(total * n / checks) for n in range(1, checks + 1)} - {0} | {total}
        self._first_state = adapter.state()

    def run(self) -> Work[bool]:
        """Trains to the end, an early stop, or the user's stop; returns whether the user stopped it."""
        control = self.training.control
        torch.manual_seed(self.train.seed)
        yield from self._resume()
        yield Phase(name="train", title=_("Training"))
        yield Started(
            run=self.training.run.id,
            steps=self.total,
            start_step=self.state.step,
            trainable_parameters=self.adapter.parameters,
            device=self.clip.device.kind,
            precision=self.clip.device.precision,
            headline=f"{self.board.headline}/R@1",
            select_by=select_by(self.board),
        )
        if self.state.step == 0:
            yield from self._first_check()
        every = max(1, self.total // _STEP_EVENTS)
        losses: list[torch.Tensor] = []
        seen, began, first = 0, time.monotonic(), self.state.step
        before = self.state.seconds
        while self.state.step < self.total:
            try:
                control.boundary()
            except Stopped:
                yield from self._save()
                if control.leaving:
                    raise
                return True
            step = self.state.step
            batch = self.batches.at(step)
            losses.append(self.stepper.step(step, batch))
            seen += len(batch.indices)
            elapsed = time.monotonic() - began
            self.state = replace(self.state, step=step + 1, seconds=before + elapsed)
            due = self.state.step in self.check_steps or control.take_evaluate()
            if len(losses) >= every or due:
                yield self._step_event(losses, step, seen / max(elapsed, 1e-9), elapsed / (step + 1 - first))
                losses.clear()
            if due and (yield from self._check()):
                break
        return False

    def _step_event(self, losses: list[torch.Tensor], step: int, rate: float, seconds: float) -> Event:
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
            learning_rate=self.stepper.learning_rate(step),
            images_per_second=rate,
            seconds_left=seconds * (self.total - step - 1),
            memory=self.clip.device.memory(),
        )

    def _resume(self) -> Work[None]:
        found, problems = checkpoints.newest(self.training.checkpoints)
        for problem in problems:
            yield Notice(text=problem)
        if found is None:
            return
        self.adapter.load_state(found.adapter)
        self.stepper.load_state(found.optimizer, found.state.extra)
        self.state = found.state
        if found.state.step:
            yield Notice(
                text=_("Going on from step {step} of {total}.").format(
                    step=found.state.step, total=self.total
                )
            )

    def _first_check(self) -> Work[None]:
        values = verdict.averages(self.board.values(*self.base))
        self.state = replace(self.state, best_score=values[select_by(self.board)])
        yield Check(step=0, epoch=0.0, metrics=values, loss=self._loss(*self.base), best=True)
        yield from self._strip(*self.base)

    def _check(self) -> Work[bool]:
        """Measures, remembers the best, saves; returns whether training should end early."""
        # Measuring must not move the random numbers that training draws.
        random = random_state(self.clip.device.kind)
        images, words = yield from embed(
            self.clip, self.pictures, self.board, self.training.control.finishing()
        )
        set_random_state(random)
        values = verdict.averages(self.board.values(images, words))
        score = values[select_by(self.board)]
        state = self.state
        better = score > state.best_score
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
            loss=self._loss(images, words),
            best=better,
            checks_without_gain=self.state.checks_without_gain,
        )
        yield from self._strip(images, words)
        yield from self._save()
        if (
            self.train.patience
            and self.state.checks_without_gain >= self.train.patience
            and state.step < self.total
        ):
            yield Notice(
                text=_(
                    "No better for {count} checks: training ends early, the best checkpoint is kept."
                ).format(count=self.state.checks_without_gain)
            )
            return True
        return False

    def _loss(self, images: Features, words: Features) -> float:
        """The objective on the validation images, in pieces of the batch size so that it compares with training's."""
        items, total, weight = self.material.items, 0.0, 0
        pieces = Batches(
            items, self.board.indices, self.material.groups, self.train.batch_size, 1, self.train.seed
        )
        row = {index: n for n, index in enumerate(self.board.indices)}
        column = {boards.caption_key(c): n for n, c in enumerate(self.board.captions)}
        with torch.no_grad():
            scale = self.stepper.scale()
            for piece in range(pieces.per_epoch):
                batch = pieces.at(piece)
                captions, right, sketches, artworks, same = self.material.relations(batch)
                x = torch.from_numpy(images[[row[i] for i in batch.indices]])
                y = torch.from_numpy(words[[column[boards.caption_key(c)] for c in captions]])
                device = self.clip.device.place
                value = objective(
                    x.to(device), y.to(device), right, sketches, artworks, same, scale,
                    self.train.text_weight, self.train.pair_weight,
                )  # fmt: skip
                total += float(value) * len(batch.indices)
                weight += len(batch.indices)
        return total / max(weight, 1)

    def _strip(self, images: Features, words: Features) -> Work[None]:
        """The living strip: a few pinned queries and their first results."""
        task = self.board.task(self.board.headline)
        items = self.material.items
        for query in np.linspace(0, len(task.queries) - 1, min(_PINNED, len(task.queries))).astype(int):
            scores = (images if task.query_side == "image" else words)[task.queries[query]] @ (
                images if task.gallery_side == "image" else words
            )[task.gallery].T
            order = np.argsort(-scores, kind="stable")[:_STRIP]
            of_image = task.query_side == "image"
            item = items[self.board.indices[task.queries[query]]] if of_image else None
            yield Ranking(
                step=self.state.step,
                query=item.captions[0] if item else self.board.captions[task.queries[query]],
                query_path=item.path if item else "",
                paths=tuple(
                    items[self.board.indices[task.gallery[n]]].path
                    if task.gallery_side == "image"
                    else self.board.captions[task.gallery[n]]
                    for n in order
                ),
                relevant=tuple(bool(task.positives[query, n]) for n in order),
            )

    def _save(self) -> Work[None]:
        step = self.state.step
        if step == 0:
            return
        state = replace(self.state, extra=self.stepper.scaler.state_dict())
        path = checkpoints.save(self.training.checkpoints, state, self.adapter.state(), self.stepper.state())
        yield Saved(step=step, path=str(path), best=step == state.best_step)

    def take_best(self) -> Work[int]:
        """Puts the best checkpoint's update into the model and returns its step; 0 means the base was best."""
        best = self.state.best_step
        if best == 0:
            self.adapter.load_state(self._first_state)
        elif best != self.state.step:
            try:
                self.adapter.load_state(checkpoints.read(self.training.checkpoints, best).adapter)
            except UserError as error:
                yield Notice(text=error.message)
        return best
