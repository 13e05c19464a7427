"""The adaptation dial: what each strength of the update gains on the collection and forgets elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import torch

from clip_atelier.engine.core import Control, Phase, Strength, Whole, Work, _, paths
from clip_atelier.engine.data import ImageCache, scan, scan_cache_file
from clip_atelier.engine.evaluation import (
    EvaluationSet,
    GainedForgotten,
    HeldOut,
    Line,
    StrengthReading,
    StrengthSweep,
    SweepPoint,
    Values,
    bootstrap,
    evaluation_set_of,
    open_on,
    select_by,
    significance,
    strengths,
)
from clip_atelier.engine.models import Adapter, Features, Models, Tower, features
from clip_atelier.engine.parts import FittedParts, run_evaluation
from clip_atelier.engine.runs import AdaptedModel, Difference
from clip_atelier.engine.settings import DataSettings

STRENGTHS: Final = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5)

_ELSEWHERE: Final = "text_to_image"
_LEAST: Final = 0.1  # below this R@1 of the base, too few general images come first for any to be lost
_STRAIGHT: Final = 1e-4  # of the longest embedding: how far half the update may be from half the way


def measure(
    home: Path, run_id: str, strength: float, models: Models, control: Control
) -> Work[StrengthReading]:
    """One strength on the run's held-out images, against the base.

    Raises:
        UserError: no such run, its collection is gone or cannot be split, or too few images can be read.
    """
    held = yield from open_on(home, run_id, models, control)
    try:
        yield Phase(name="encode", title=_("Preparing the images"))
        evaluation_set = yield from held.evaluation_set(control)
        yield Phase(name="evaluate", title=_("Measuring this strength"))
        base = yield from _at(held, evaluation_set, 0.0, control)
        now = base if strength == 0 else (yield from _at(held, evaluation_set, strength, control))
        return strengths.reading(evaluation_set, base, now, strength)
    finally:
        held.close()


def strength_sweep_of(
    home: Path, run_id: str, models: Models, control: Control
) -> Work[StrengthSweep | None]:
    """What answers the held-out questions at any strength at once.

    None where the update is not behind frozen features, or the run keeps parts beside it.

    Raises:
        UserError: as for `measure`.
    """
    held = yield from open_on(home, run_id, models, control)
    try:
        clip, adapter = held.clip, held.adapter
        if FittedParts.read(held.run.path) is not None:
            return None
        towers: tuple[Tower, ...] = ("vision", "text")
        if any(adapter.first_stage(tower) not in (None, clip.last_cut(tower) - 1) for tower in towers):
            return None
        yield Phase(name="encode", title=_("Preparing the images"))
        evaluation_set = yield from held.evaluation_set(control)
        base = yield from _at(held, evaluation_set, 0.0, control)
        cut = clip.last_cut("vision") - 1
        pooled = torch.from_numpy(
            (yield from features.image_prefix(clip, held.pictures, evaluation_set.indices, cut, control))
        )
        images = _line(
            adapter,
            lambda: clip.image(pooled.to(clip.device.place), cut).float().cpu().numpy(),
            adapter.touches("vision"),
        )
        control.boundary()
        texts = _line(
            adapter, lambda: features.text_embeddings(clip, evaluation_set.captions), adapter.touches("text")
        )
        if images is None or texts is None:
            return None
        return StrengthSweep(evaluation_set, base, images, texts, held.measured_on, held.changed)
    finally:
        held.close()


def _line(adapter: Adapter, embedded: Callable[[], Features], touched: bool) -> Line | None:
    """Embeddings over strengths; None where they do not lie on a straight line, which is measured and not assumed."""
    rows = []
    for strength in (0.0, 0.5, 1.0) if touched else (0.0,):
        adapter.set_adapter_scale(strength)
        with torch.inference_mode():
            rows.append(embedded())
    if not touched:
        return Line(rows[0], None)
    still, half, whole = rows
    away = np.abs(half - (still + whole) / 2).max(initial=0.0)
    if away > _STRAIGHT * np.linalg.norm(still, axis=1).max(initial=0.0):
        return None
    return Line(still, whole - still)


def curve(
    home: Path,
    run_id: str,
    models: Models,
    control: Control,
    wanted: Sequence[float] = STRENGTHS,
    control_set: Path | None = None,
) -> Work[GainedForgotten]:
    """Gained against forgotten over strengths.

    Gained is the primary R@1 on the run's held-out images; forgotten is text → image R@1 on a control set that
    has nothing to do with the collection (the bundled drawings where left out), or R@10 where the base puts so few of
    them first that none could be lost. Strength 0 and the strength that the run recommends are always among them.
    Differences to strength 0 come with a paired 95 % interval.

    Raises:
        UserError: no such run, its collection is gone or cannot be split, or too few images can be read.
    """
    # The control set's own table decides its captions, whatever the run's settings say.
    general = yield from scan(
        control_set or paths.control_collection(), DataSettings(), control, scan_cache_file(home)
    )
    held = yield from open_on(home, run_id, models, control)
    try:
        settings, clip, parts = held.run.settings, held.clip, held.parts
        yield Phase(name="encode", title=_("Preparing the images"))
        other = ImageCache(
            general.root, general.items, clip.frame, settings.data, settings.train.seed, held.store
        )
        reported = yield from held.evaluation_set(control)
        chosen_on = reported
        if parts.test:
            chosen_on = yield from evaluation_set_of(held.pictures, parts.validation, parts.groups, control)
        everything = tuple(range(len(general.items)))
        forgotten = yield from evaluation_set_of(other, everything, everything, control)
        yield Phase(name="evaluate", title=_("Measuring every strength"))
        best = strengths.key(held.opened.recommended)
        ordered = sorted({strengths.key(s) for s in (0.0, best, *wanted)})
        sizes = len(reported.indices) + len(forgotten.indices)
        sizes += len(chosen_on.indices) if chosen_on is not reported else 0
        whole = Whole(len(ordered) * sizes)
        gained_name, chosen_name = f"{reported.primary_metric}/R@1", select_by(chosen_on)
        before: tuple[Values, Values] | None = None
        elsewhere = ""
        points = []
        for strength in ordered:
            here = yield from _values(held.opened, held.pictures, reported, strength, control, whole)
            there = yield from _values(held.opened, other, forgotten, strength, control, whole)
            chosen = here
            if chosen_on is not reported:
                chosen = yield from _values(held.opened, held.pictures, chosen_on, strength, control, whole)
            if before is None:
                before, elsewhere = (here, there), _measure(there)
            validation = _mean(chosen, chosen_name)
            point = SweepPoint(
                strength=strength,
                gained=_mean(here, gained_name),
                forgotten=_mean(there, elsewhere),
                validation=validation,
                gained_difference=_difference(reported, gained_name, before[0], here),
                forgotten_difference=_difference(forgotten, elsewhere, before[1], there),
                general={
                    name.partition("/")[2]: value
                    for name, value in significance.averages(there).items()
                    if name.startswith(_ELSEWHERE)
                },
                held_out=strengths.reading(reported, before[0], here, strength),
            )
            points.append(point)
            yield Strength(strength=strength, score=validation)
    finally:
        held.close()
    return GainedForgotten(
        run=held.run.id,
        points=tuple(points),
        best=best,
        primary_metric=gained_name,
        elsewhere=elsewhere,
        chance=forgotten.chance()[elsewhere],
        select_by=chosen_name,
        measured_on=held.measured_on,
        collection=len(reported.indices),
        control_set=len(forgotten.indices),
        changed=held.changed,
    )


def _at(held: HeldOut, evaluation_set: EvaluationSet, strength: float, control: Control) -> Work[Values]:
    return run_evaluation.values_at(held.opened, held.pictures, evaluation_set, strength, control)


def _values(
    opened: AdaptedModel,
    pictures: ImageCache,
    evaluation_set: EvaluationSet,
    strength: float,
    control: Control,
    whole: Whole,
) -> Work[Values]:
    """As the run answers at a strength, its parts included."""
    work = run_evaluation.values_at(opened, pictures, evaluation_set, strength, control)
    return (yield from whole.part(work, len(evaluation_set.indices)))


def _measure(general: Values) -> str:
    """What to look at on the general images: R@1, unless the base itself hardly ever puts the right one first."""
    first, among = f"{_ELSEWHERE}/R@1", f"{_ELSEWHERE}/R@10"
    return among if among in general and _mean(general, first) < _LEAST else first


def _mean(values: Values, name: str) -> float:
    return significance.averages({name: values[name]})[name]


def _difference(evaluation_set: EvaluationSet, name: str, base: Values, now: Values) -> Difference:
    clusters = evaluation_set.task(name.partition("/")[0]).clusters
    return significance.difference_of(bootstrap.paired_bootstrap(base[name], now[name], clusters))
