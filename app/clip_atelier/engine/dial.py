"""The adaptation dial: what each strength of the update gains on the collection and forgets elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from clip_atelier.engine import adapters, metrics, paths, verdict
from clip_atelier.engine.adapted import open_run
from clip_atelier.engine.collection import scan, split
from clip_atelier.engine.control import Control
from clip_atelier.engine.events import Notice, Phase, Strength, Work
from clip_atelier.engine.i18n import _
from clip_atelier.engine.measuring import board_of, embed, select_by
from clip_atelier.engine.models import Models
from clip_atelier.engine.models.clip import Clip
from clip_atelier.engine.pictures import Pictures
from clip_atelier.engine.progress import Whole
from clip_atelier.engine.retrieval import Board
from clip_atelier.engine.runs import Runs
from clip_atelier.engine.settings import DataSettings
from clip_atelier.engine.store import Store
from clip_atelier.engine.verdict import Values

STRENGTHS: Final = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5)

_ELSEWHERE: Final = "text_to_image"
_LEAST: Final = 0.1  # below this R@1 of the base, too few general images come first for any to be lost


def curve(
    home: Path,
    run_id: str,
    models: Models,
    control: Control,
    strengths: Sequence[float] = STRENGTHS,
    probe: Path | None = None,
) -> Work[dict[str, Any]]:
    """Gained against forgotten over strengths.

    Gained is the headline R@1 on the run's held-out images; forgotten is text → image R@1 on a general probe set that
    has nothing to do with the collection (the bundled drawings where left out), or R@10 where the base puts so few of
    them first that none could be lost. Strength 0 and the strength that the run recommends are always among them.
    Differences to strength 0 come with a paired 95 % interval.

    Returns:
        `points[{strength, gained, forgotten, validation, gained_difference{value, low, high},
        forgotten_difference{…}, general{metric: value}}]`, `best` (the strength the run recommends), `headline` and
        `elsewhere` (what `gained` and `forgotten` are), `chance` (of `elsewhere`), `select_by`, `measured_on`,
        `collection` and `probe` (images measured on), `changed` (the collection is not the one that was trained on).

    Raises:
        UserError: no such run, its collection is gone or cannot be split, or too few images can be read.
    """
    run = Runs(home).open(run_id)
    settings = run.settings
    cache = home / "cache" / "scan.sqlite"
    yield Phase(name="scan", title=_("Reading the collection"))
    collection = yield from scan(run.folder, settings.data, control, cache)
    parts = split(collection, settings.data, settings.data.split_seed)
    changed = run.record.get("data", {}).get("fingerprint", "") not in ("", collection.fingerprint)
    if changed:
        yield Notice(
            text=_("The collection has changed since this run: some images may have been trained on.")
        )
    # The probe's own table decides its captions, whatever this collection's settings say.
    general = yield from scan(probe or paths.probe_collection(), DataSettings(), control, cache)
    yield Phase(name="load", title=_("Opening the model"))
    opened = open_run(run, models)
    clip, adapter = opened.clip, opened.adapter
    store = Store.of_features(home, settings.hardware.cache_gb)
    try:
        yield Phase(name="encode", title=_("Preparing the images"))
        own, other = (
            Pictures(c.root, c.items, clip.image_size, settings.data, settings.train.seed, store)
            for c in (collection, general)
        )
        reported = yield from board_of(own, parts.reported, parts.groups, control)
        chosen_on = reported
        if parts.test:
            chosen_on = yield from board_of(own, parts.validation, parts.groups, control)
        everything = tuple(range(len(general.items)))
        forgotten = yield from board_of(other, everything, everything, control)
        yield Phase(name="evaluate", title=_("Measuring every strength"))
        # Rounded so that 0.1 + 0.2 and 0.3 are one strength.
        wanted = sorted({round(float(s), 6) for s in (0.0, opened.recommended, *strengths)})
        sizes = len(reported.indices) + len(forgotten.indices)
        sizes += len(chosen_on.indices) if chosen_on is not reported else 0
        whole = Whole(len(wanted) * sizes)
        gained_name, chosen_name = f"{reported.headline}/R@1", select_by(chosen_on)
        before: tuple[Values, Values] | None = None
        elsewhere = ""
        points = []
        for strength in wanted:
            adapter.set_strength(strength)
            here = yield from _values(clip, own, reported, control, whole)
            there = yield from _values(clip, other, forgotten, control, whole)
            chosen = here
            if chosen_on is not reported:
                chosen = yield from _values(clip, own, chosen_on, control, whole)
            if before is None:
                before, elsewhere = (here, there), _measure(there)
            validation = _mean(chosen, chosen_name)
            point = {
                "strength": strength,
                "gained": _mean(here, gained_name),
                "forgotten": _mean(there, elsewhere),
                "validation": validation,
                "gained_difference": _difference(reported, gained_name, before[0], here),
                "forgotten_difference": _difference(forgotten, elsewhere, before[1], there),
                "general": {
                    name.partition("/")[2]: value
                    for name, value in verdict.averages(there).items()
                    if name.startswith(_ELSEWHERE)
                },
            }
            points.append(point)
            yield Strength(strength=strength, score=validation)
    finally:
        store.close()
        adapters.detach(clip)
    return {
        "run": run.id,
        "points": points,
        "best": round(opened.recommended, 6),
        "headline": gained_name,
        "elsewhere": elsewhere,
        "chance": forgotten.chance()[elsewhere],
        "select_by": chosen_name,
        "measured_on": "test" if parts.test else "validation",
        "collection": len(reported.indices),
        "probe": len(forgotten.indices),
        "changed": changed,
    }


def _values(clip: Clip, pictures: Pictures, board: Board, control: Control, whole: Whole) -> Work[Values]:
    embedded = yield from whole.part(embed(clip, pictures, board, control), len(board.indices))
    return board.values(*embedded)


def _measure(general: Values) -> str:
    """What to look at on the general images: R@1, unless the base itself hardly ever puts the right one first."""
    first, among = f"{_ELSEWHERE}/R@1", f"{_ELSEWHERE}/R@10"
    return among if among in general and _mean(general, first) < _LEAST else first


def _mean(values: Values, name: str) -> float:
    return verdict.averages({name: values[name]})[name]


def _difference(board: Board, name: str, base: Values, now: Values) -> dict[str, float]:
    clusters = board.task(name.partition("/")[0]).clusters
    interval = asdict(metrics.paired_bootstrap(base[name], now[name], clusters))
    return {key: interval[key] for key in ("value", "low", "high")}
