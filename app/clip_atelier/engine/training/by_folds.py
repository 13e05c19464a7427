"""A run that is measured by folds: first the folds, then one update that learns from every drawing, then the parts.

The folds are kept on disk while the run works, so that a run which was interrupted does not train them again.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping

from clip_atelier.engine.core import (
    Check,
    Control,
    Notice,
    Phase,
    Started,
    Work,
    _,
    write_document,
    write_whole,
)
from clip_atelier.engine.evaluation import comparison, embed_a_few, significance
from clip_atelier.engine.evaluation import sets as evaluation_sets
from clip_atelier.engine.models import Adapter, Model, adapters
from clip_atelier.engine.parts import (
    CARD,
    Embedded,
    FittedParts,
    Variant,
    calibrate,
    card_text,
    embedded_variants,
    needed,
    used_parts,
)
from clip_atelier.engine.runs import RunFolder, SplitSizes, TrainResult, checkpoints
from clip_atelier.engine.settings import Settings
from clip_atelier.engine.storage import sealing
from clip_atelier.engine.training import cross_validation, fitting, fold_documents
from clip_atelier.engine.training.batches import Batches
from clip_atelier.engine.training.cross_validation import Crossed, Material
from clip_atelier.engine.training.distributed.group import Group
from clip_atelier.engine.training.distributed.trainer import preparing
from clip_atelier.engine.training.inputs import TrainingInputs
from clip_atelier.engine.training.kept_folds import KeptFolds
from clip_atelier.engine.training.kept_work import FOLDS
from clip_atelier.engine.training.loop import Loop
from clip_atelier.engine.training.untouched import untouched_again


def learn(
    run: RunFolder,
    settings: Settings,
    clip: Model,
    ready: Material,
    fingerprint: str,
    control: Control,
    group: Group | None = None,
) -> Work[TrainResult]:
    """Measures by folds, learns from everything, and writes what came out into the run.

    Args:
        run: The run's folder.
        settings: What it was asked to do.
        clip: The model, nothing attached.
        ready: The collection.
        fingerprint: Of collection, model and settings.
        control: Stop and pause.
        group: The processes that share each step, if there are several.
    """
    # Told at once, so that whoever watches knows which run this is; the update's own steps come at the end.
    yield Started(
        run=run.id,
        steps=0,
        start_step=0,
        trainable_parameters=0,
        device=clip.device.kind,
        precision=clip.device.precision,
        primary_metric="",
        select_by="",
    )
    folds = KeptFolds(run.path / FOLDS, fingerprint)
    crossed = yield from cross_validation.measured_by_folds(clip, ready, settings, control, folds)
    everything = range(len(ready.items))
    questions = evaluation_sets.evaluation_set(ready.items, everything, ready.groups)
    untouched = yield from embed_a_few(clip, ready.pictures, questions, control)
    adapter = adapters.attach(clip, settings)
    batches = Batches.of(ready.items, everything, ready.groups, settings)
    taken, stopped = checkpoints.State(step=0), False
    if crossed.strength:
        taken, stopped = yield from _trained(
            run,
            settings,
            clip,
            adapter,
            ready,
            crossed.steps,
            batches,
            questions.primary_metric,
            control,
            group,
        )
    else:
        yield Notice(
            text=_("Training the model further did not help on drawings not learned from, so it is left out.")
        )
    finishing = control.finishing() if stopped else control
    adapter.set_adapter_scale(crossed.strength)
    with sealing(run.path / "adapter") as folder:
        adapter.save(folder)
    yield from _parts(run, settings, clip, adapter, ready, crossed, finishing)
    same = yield from untouched_again(clip, adapter, ready.pictures, questions, untouched, finishing)
    steps = crossed.steps if crossed.strength else 0
    result = _result(run, ready, crossed, questions.primary_metric).model_copy(
        update={
            "status": "stopped" if stopped else "done",
            "steps": taken.step,
            "total_steps": steps,
            "seconds": round(taken.seconds + crossed.seconds, 3),
            "trainable_parameters": adapter.parameters,
            "best_step": taken.step,
            "strength": crossed.strength or (1.0 if used_parts(crossed.answers) else 0.0),
            "base_untouched": same,
        }
    )
    for step, values in ((0, result.base), (max(1, steps), result.adapted)):
        metrics = {name: value for name, value in values.items() if value is not None}
        yield Check(step=step, epoch=step / batches.per_epoch, metrics=metrics, best=bool(step))
    write_document(run.path / "evaluation.json", result)
    if not stopped:
        shutil.rmtree(run.path / FOLDS, ignore_errors=True)
    return result


def _trained(
    run: RunFolder,
    settings: Settings,
    clip: Model,
    adapter: Adapter,
    ready: Material,
    steps: int,
    batches: Batches,
    primary_metric: str,
    control: Control,
    group: Group | None,
) -> Work[tuple[checkpoints.State, bool]]:
    """Trains the update that is handed over on every drawing; how far it came, and whether the user stopped it."""
    everything = range(len(ready.items))
    inputs = TrainingInputs(clip, ready.items, ready.groups, ready.pictures)
    yield Phase(name="encode", title=_("Computing what stays frozen"))
    with preparing(group, run.folder, run.record.settings, _collection_fingerprint(run), clip, everything):
        yield from inputs.prepare(everything, settings.data.views, control)
    _started, preservation = yield from fitting.start(clip, adapter, inputs, everything, settings, control)
    loop = Loop(
        run.path, settings, control, clip, adapter, inputs, batches, None, ready.pictures, None, steps, group,
        preservation, primary_metric,
    )  # fmt: skip
    stopped = yield from loop.run()
    return loop.state, stopped


def _collection_fingerprint(run: RunFolder) -> str:
    return run.record.data.fingerprint if run.record.data else ""


def _parts(
    run: RunFolder,
    settings: Settings,
    clip: Model,
    adapter: Adapter,
    ready: Material,
    crossed: Crossed,
    control: Control,
) -> Work[None]:
    """Learns the kept parts from every drawing and writes them beside the adapter."""
    if not settings.evaluation.parts:
        return
    yield Phase(name="parts", title=_("Learning the parts from all drawings"))
    plain = next(iter(crossed.base.values()))
    missing = [variant for variant in needed(crossed.answers) if variant not in crossed.base]
    learned: Mapping[Variant, Embedded] = {}
    if missing:
        learned = yield from embedded_variants(
            clip, ready.pictures, range(len(ready.items)), plain.strings, missing, control, adapter
        )
    threshold = calibrate(plain, ready.folds)
    digests = [item.digest for item in ready.items]
    variants = {**crossed.base, **learned}
    parts = FittedParts.fit(variants, crossed.answers, threshold, crossed.strength, digests)
    parts.save(run.path)
    with sealing(run.path / "adapter") as folder:
        write_whole(folder / CARD, card_text(parts).encode())


def _result(run: RunFolder, ready: Material, crossed: Crossed, primary: str) -> TrainResult:
    """The run's comparison, in the words of every other run's."""
    told = fold_documents.document(run.folder, crossed, ready)
    comparison.keep(
        run.path,
        {q: answer.clusters for q, answer in crossed.answers.items()},
        {f"{q}/{m}": v for q, answer in crossed.answers.items() for m, v in answer.base.items()},
        {f"{q}/{m}": v for q, answer in crossed.answers.items() for m, v in answer.adapted.items()},
    )
    primary = primary if primary in told.questions else next(iter(told.questions))
    compared = significance.compared(told.questions, f"{primary}/mAP", fold_documents.chance(crossed))
    return TrainResult(
        run=run.id,
        path=str(run.path),
        split=SplitSizes(train=len(ready.items)),
        measured_on="folds",
        protocol=told.protocol,
        folds=told.folds,
        questions=told.questions,
        parts=told.parts,
        trivial=told.trivial,
        skipped=told.skipped,
        summary=told.summary,
        **dict(compared),
    )
