"""Training one run: folder -> collection -> split -> base -> steps and checks -> strength -> comparison.

`train` and `resume` are generators of events and return a `TrainResult`. The best checkpoint is chosen by
retrieval on the validation images, and so is the strength of the update; the comparison is made on the test images,
which took no part in either.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from clip_atelier.engine.core import (
    Control,
    Finished,
    Notice,
    Phase,
    Stopped,
    Strength,
    UserError,
    Work,
    WorkError,
    _,
    write_document,
)
from clip_atelier.engine.data import Collection, ImageCache, Split, open_collection
from clip_atelier.engine.evaluation import (
    EvaluationSet,
    comparison,
    embed,
    embed_one_batch,
    select_by,
    significance,
    strengths,
)
from clip_atelier.engine.evaluation import sets as evaluation_sets
from clip_atelier.engine.models import Adapter, Features, Model, Models, adapters, is_out_of_memory
from clip_atelier.engine.runs import (
    DataRecord,
    ModelRecord,
    PartMeans,
    RunFolder,
    Runs,
    SplitSizes,
    TrainResult,
    checkpoints,
)
from clip_atelier.engine.settings import Settings, flat
from clip_atelier.engine.storage import BlobCache
from clip_atelier.engine.training import by_folds, cross_validation, fitting
from clip_atelier.engine.training.batches import Batches
from clip_atelier.engine.training.distributed.group import Group, must_be_enough
from clip_atelier.engine.training.distributed.trainer import preparing
from clip_atelier.engine.training.loop import Loop
from clip_atelier.engine.training.steps import TrainingInputs
from clip_atelier.engine.training.untouched import untouched_again

STRENGTHS = (0.25, 0.5, 0.75, 1.0, 1.25)


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


def train(plan: Plan, models: Models, control: Control, group: Group | None = None) -> Work[TrainResult]:
    """Trains a new run; where `group` is given, this process leads it.

    Returns:
        What came out: the document of `train`.

    Raises:
        UserError: the folder, the model or a setting is at fault; nothing was started.
        WorkError: the work failed on the way; what was done is kept.
        Stopped: stopped by the user before the first step, and no run is left; later stops return with status "stopped".
            Also where the program is being left; then the run is kept from its first step on.
    """
    # Wrong settings and folders are found before a run folder is made.
    if not plan.folder.is_dir():
        raise UserError(
            _("There is no folder “{folder}”.").format(folder=plan.folder),
            _("Give the path of a folder with images."),
            "folder",
        )
    models.resolve(plan.settings.model.name)
    must_be_enough(group, plan.settings.train.batch_size)
    runs = Runs(plan.home)
    run = runs.create(plan.name, plan.settings, plan.folder.absolute())
    try:
        return (yield from _work(run, plan.home, models, control, group))
    except (Stopped, UserError) as error:
        # Without a single step there is nothing to keep or to go on with: no empty run stays in the list. What failed
        # while it worked stays, so that its message can be read and the run be resumed.
        kept = any(checkpoints.steps(run.path / "checkpoints")) or by_folds.begun(run.path)
        if not isinstance(error, WorkError) and not kept:
            runs.delete(str(run.path))
        raise


def resume(
    home: Path, run_id: str, models: Models, control: Control, group: Group | None = None
) -> Work[TrainResult]:
    """Goes on exactly where a run stopped, with as many processes as there are now; see `train`.

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
    must_be_enough(group, run.settings.train.batch_size)
    return (yield from _work(run, home, models, control, group))


def _work(
    run: RunFolder, home: Path, models: Models, control: Control, group: Group | None
) -> Work[TrainResult]:
    with run.hold():
        return (yield from run.recording(_ended(_Training(run, home, models, control, group))))


def _ended(training: _Training) -> Work[TrainResult]:
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
    yield Finished(status=result.status, result=result.as_json())
    return result


class _Training:
    """One run's work, phase by phase."""

    def __init__(
        self, run: RunFolder, home: Path, models: Models, control: Control, group: Group | None
    ) -> None:
        self.run = run
        self.home = home
        self.models = models
        self.control = control
        self.group = group
        self.settings = run.settings

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

    def work(self) -> Work[TrainResult]:
        """All phases."""
        settings, control = self.settings, self.control
        collection, parts = yield from open_collection(self.run.folder, settings.data, self.home, control)
        yield Phase(name="load", title=_("Opening the model"))
        clip = self.models.open(settings.model.name, settings.hardware)
        try:
            return (yield from self._with_model(collection, parts, clip))
        finally:
            adapters.detach(clip)

    def _with_model(self, collection: Collection, parts: Split, clip: Model) -> Work[TrainResult]:
        settings, control = self.settings, self.control
        yield from self._remember(collection, clip)
        store = BlobCache.of_features(self.home, settings.hardware.cache_gb)
        try:
            if by_folds.wanted(settings, len(collection.items)):
                return (yield from self._by_folds(collection, parts, clip, store))
            pictures = ImageCache(
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

    def _by_folds(
        self, collection: Collection, parts: Split, clip: Model, store: BlobCache
    ) -> Work[TrainResult]:
        settings = self.settings
        ready = yield from cross_validation.material(
            collection, parts.groups, clip, settings, store, self.control
        )
        asked = json.dumps(
            [collection.fingerprint, clip.fingerprint, flat(settings)], default=str, sort_keys=True
        )
        fingerprint = hashlib.sha256(asked.encode()).hexdigest()
        return (
            yield from by_folds.learn(self.run, settings, clip, ready, fingerprint, self.control, self.group)
        )

    def _remember(self, collection: Collection, clip: Model) -> Work[None]:
        before = self.run.record
        data = DataRecord(
            fingerprint=collection.fingerprint, images=len(collection.items), pairs=len(collection.pairs)
        )
        model = ModelRecord(
            name=clip.name,
            path=str(clip.folder),
            family=clip.family,
            fingerprint=clip.fingerprint,
            parameters=clip.parameters,
            image_size=clip.image_size,
        )
        if before.model is not None and before.model.fingerprint != clip.fingerprint:
            raise UserError(
                _("The model “{model}” is not the one this run was started with.").format(model=clip.name),
                _("Put the first one back, or train anew."),
                "model.name",
            )
        if before.data is not None and before.data.fingerprint != collection.fingerprint:
            yield Notice(
                text=_(
                    "The collection has changed since the run began: it goes on, but not exactly as it would have."
                )
            )
        self.run.remember(data, model)

    def _learn(
        self,
        collection: Collection,
        groups: Sequence[int],
        clip: Model,
        pictures: ImageCache,
        train: tuple[int, ...],
        validation: tuple[int, ...],
        test: tuple[int, ...],
    ) -> Work[TrainResult]:
        settings, control, items = self.settings, self.control, collection.items
        evaluation_set = evaluation_sets.evaluation_set(items, validation, groups)
        final = evaluation_sets.evaluation_set(items, test, groups) if len(test) >= 2 else evaluation_set
        yield Phase(name="evaluate", title=_("Measuring the untouched model"))
        base = yield from embed(clip, pictures, evaluation_set, control)
        final_base = base if final is evaluation_set else (yield from embed(clip, pictures, final, control))
        untouched = yield from embed_one_batch(clip, pictures, final, control)

        adapter = adapters.attach(clip, settings)
        inputs = TrainingInputs(clip, items, groups, pictures)
        yield Phase(name="encode", title=_("Computing what stays frozen"))
        with preparing(
            self.group, self.run.folder, self.run.record.settings, collection.fingerprint, clip, train
        ):
            yield from inputs.prepare(train, settings.data.views, control)
        started, preservation = yield from fitting.start(clip, adapter, inputs, train, settings, control)
        batches = Batches.of(items, train, groups, settings)
        total = batches.total(settings.train)
        loop = Loop(
            self.run.path,
            self.settings,
            self.control,
            clip,
            adapter,
            inputs,
            batches,
            evaluation_set,
            pictures,
            base,
            total,
            self.group,
            preservation,
        )
        stopped = yield from loop.run()

        best = yield from loop.take_best()
        yield Phase(name="strength", title=_("Choosing the strength"))
        strength = 0.0 if best == 0 else 1.0
        # Where no check was better than the base, an update that did not start at nothing may still be, in part.
        if (best or started) and settings.train.choose_strength and not stopped:
            strength = yield from self._choose(clip, adapter, pictures, evaluation_set, base)
        adapter.set_adapter_scale(strength)
        adapter.save(self.run.path / "adapter")
        yield Phase(name="evaluate", title=_("Comparing base and adapted"))
        # A stop asked for during training must not cut the comparison short; leaving the program does.
        asked = control.finishing() if stopped else control
        adapted = yield from embed(clip, pictures, final, asked)
        base_values, adapted_values = final.values(*final_base), final.values(*adapted)
        comparison.keep(self.run.path, {t.name: t.clusters for t in final.tasks}, base_values, adapted_values)
        after = yield from embed(clip, pictures, evaluation_set, asked)
        before = evaluation_set.values(*base)
        same = yield from untouched_again(clip, adapter, pictures, final, untouched, control.finishing())
        questions = significance.questions(final, base_values, adapted_values)
        result = TrainResult(
            run=self.run.id,
            path=str(self.run.path),
            status="stopped" if stopped else "done",
            steps=loop.state.step,
            total_steps=total,
            seconds=round(loop.state.seconds, 3),
            trainable_parameters=adapter.parameters,
            best_step=best,
            strength=strength,
            split=SplitSizes(train=len(train), validation=len(validation), test=len(test)),
            measured_on="validation" if final is evaluation_set else "test",
            validation=PartMeans(
                base=dict(significance.averages(before)),
                adapted=dict(significance.averages(evaluation_set.values(*after))),
            ),
            base_untouched=same,
            questions=questions,
            **dict(significance.compared(questions, f"{final.primary_metric}/R@1", final.chance())),
        )
        write_document(self.run.path / "evaluation.json", result)
        return result

    def _choose(
        self,
        clip: Model,
        adapter: Adapter,
        pictures: ImageCache,
        evaluation_set: EvaluationSet,
        base: tuple[Features, Features],
    ) -> Work[float]:
        """The strength that is best on the validation images of those that help there; 0 where none does."""
        key = select_by(evaluation_set)
        before = evaluation_set.values(*base)
        best, highest = 0.0, float(np.nanmean(before[key]))
        yield Strength(strength=best, score=highest)
        for strength in STRENGTHS:
            adapter.set_adapter_scale(strength)
            now = evaluation_set.values(*(yield from embed(clip, pictures, evaluation_set, self.control)))
            score = float(np.nanmean(now[key]))
            yield Strength(strength=strength, score=score)
            if score > highest and strengths.helps(evaluation_set, before, now):
                best, highest = strength, score
        yield Strength(strength=best, score=highest, chosen=True)
        return best
