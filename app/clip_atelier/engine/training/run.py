"""The work of one run on a collection that was read: base -> steps and checks -> strength -> comparison.

The best checkpoint is chosen by retrieval on the validation images, and so is the strength of the update; the comparison
is made on the test images, which took no part in either.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from clip_atelier.engine.core import (
    Control,
    Notice,
    Phase,
    UserError,
    Work,
    WorkError,
    _,
    write_document,
)
from clip_atelier.engine.data import IN_MEMORY, SEEN_ONCE, Collection, ImageCache, Split, not_there
from clip_atelier.engine.evaluation import (
    behind_features,
    comparison,
    embed,
    embed_a_few,
    significance,
)
from clip_atelier.engine.evaluation import sets as evaluation_sets
from clip_atelier.engine.models import (
    Model,
    Models,
    adapters,
    drawing_check,
    languages,
    lineage_words,
    weights,
)
from clip_atelier.engine.runs import (
    DataRecord,
    ModelRecord,
    PartMeans,
    RunFolder,
    SplitSizes,
    TrainResult,
    checkpoints,
    put_back,
)
from clip_atelier.engine.settings import flat
from clip_atelier.engine.storage import BlobCache, sealing
from clip_atelier.engine.training import by_folds, caption_lengths, cross_validation, fitting, lengths
from clip_atelier.engine.training.batches import Batches
from clip_atelier.engine.training.distributed.group import Group
from clip_atelier.engine.training.distributed.trainer import preparing
from clip_atelier.engine.training.inputs import TrainingInputs
from clip_atelier.engine.training.loop import Loop
from clip_atelier.engine.training.numeric_path import differences, hardware_of, numeric_path
from clip_atelier.engine.training.strength import StrengthChooser
from clip_atelier.engine.training.untouched import untouched_again


class Training:
    """One run's work, phase by phase; `careful` where the last attempt did not come to an end of its own."""

    def __init__(
        self,
        run: RunFolder,
        home: Path,
        models: Models,
        control: Control,
        group: Group | None,
        careful: bool = False,
    ) -> None:
        self.run = run
        self.home = home
        self.models = models
        self.control = control
        self.group = group
        self.careful = careful
        self.settings = run.settings

    def work(self, collection: Collection, parts: Split) -> Work[TrainResult]:
        """All phases that need the model."""
        settings = self.settings
        hardware = hardware_of(settings.hardware, self.run.record.numeric_path, self.careful)
        clip = self.models.open(settings.model.name, hardware)
        try:
            return (yield from self._with_model(collection, parts, clip))
        finally:
            adapters.detach(clip)

    def _with_model(self, collection: Collection, parts: Split, clip: Model) -> Work[TrainResult]:
        settings, control = self.settings, self.control
        yield from self._remember(collection, clip)
        store = BlobCache.of_features(self.home, settings.hardware.cache_gb)
        if store.notice:
            yield Notice(text=store.notice)
        try:
            if lengths.measured_by_folds(settings, len(collection.items)):
                return (yield from self._by_folds(collection, parts, clip, store))
            # Behind frozen features every picture is encoded once; its pixels need no room after that.
            once = behind_features(flat(settings)) and store.limit > 0
            pictures = ImageCache(
                collection.root, collection.items, clip.frame, settings.data, settings.train.seed, store,
                SEEN_ONCE if once else IN_MEMORY,
            )  # fmt: skip
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
        model = ModelRecord.of(clip)
        if before.model is not None and not weights.is_same(
            before.model.fingerprint, clip.fingerprint, clip.folder
        ):
            raise UserError(
                _("The model “{model}” is not the one this training was started with.").format(
                    model=clip.name
                ),
                put_back(before.model, clip.folder),
                "model.name",
            )
        if before.data is not None and before.data.fingerprint != collection.fingerprint:
            if collection.absent:
                hint = _(
                    "Connect their drives or say where they are now, then resume: the training goes on as if nothing had "
                    "happened."
                )
                raise not_there(collection.absent, hint)
            yield Notice(
                text=_(
                    "The collection has changed since the training began: it goes on, but not exactly as it would have."
                )
            )
        path = numeric_path(clip)
        for text in differences(
            before.numeric_path, path, max(checkpoints.steps(self.run.path / "checkpoints"), default=0)
        ):
            yield Notice(text=text)
        if before.model is None:
            yield from self._say_if_drawings_are_strange_to(clip)
            yield from self._say_if_words_are_strange_to(clip, collection)
        if model.lineage and before.model is None:
            text = _("“{model}” was made from earlier trainings: {lineage}.")
            yield Notice(text=text.format(model=model.name, lineage=lineage_words(model.lineage)))
        told = caption_lengths.told(collection, clip)
        if told:
            yield Notice(text=told)
        self.run.remember(data, model, path)

    def _say_if_drawings_are_strange_to(self, clip: Model) -> Work[None]:
        check = yield from drawing_check(clip, self.control)
        if not check.knows:
            yield Notice(
                text=_(
                    "This model knows drawings badly, or reads no English: of {count} bundled drawings {found} find their word."
                ).format(count=check.drawings, found=check.found)
            )

    def _say_if_words_are_strange_to(self, clip: Model, collection: Collection) -> Work[None]:
        known = yield from languages.languages(clip, self.home, self.control)
        captions = [caption for item in collection.items for caption in item.captions]
        told = languages.warning(captions, known, clip.name)
        if told:
            yield Notice(text=told)

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
        base = yield from embed(clip, pictures, evaluation_set, control, half=True)
        final_base = yield from embed(clip, pictures, final, control)
        untouched = yield from embed_a_few(clip, pictures, final, control)

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
        known = {0.0: base} | ({1.0: loop.best_embeddings} if best and loop.best_embeddings else {})
        chooser = StrengthChooser(clip, adapter, pictures, evaluation_set, known)
        strength = 0.0 if best == 0 else 1.0
        # Where no check was better than the base, an update that did not start at nothing may still be, in part.
        if (best or started) and settings.train.choose_strength and not stopped:
            strength = yield from chooser.choose(control)
        # A stop asked for during training must not cut the comparison short; leaving the program does.
        asked = control.finishing() if stopped else control
        before, after = chooser.values(0.0), (yield from chooser.measured(strength, asked))
        adapter.set_adapter_scale(strength)
        with sealing(self.run.path / "adapter") as folder:
            adapter.save(folder)
        yield Phase(name="evaluate", title=_("Comparing base and adapted"))
        adapted = yield from embed(clip, pictures, final, asked)
        base_values, adapted_values = final.values(*final_base), final.values(*adapted)
        comparison.keep(self.run.path, {t.name: t.clusters for t in final.tasks}, base_values, adapted_values)
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
                adapted=dict(significance.averages(after)),
            ),
            base_untouched=same,
            questions=questions,
            **dict(significance.compared(questions, f"{final.primary_metric}/R@1", final.chance())),
        )
        write_document(self.run.path / "evaluation.json", result)
        return result
