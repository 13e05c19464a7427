"""The adaptation dial: what each strength of the update gains on the collection and forgets elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from clip_atelier.engine import adapters, paths, verdict
from clip_atelier.engine import retrieval as boards
from clip_atelier.engine.adapted import open_run
from clip_atelier.engine.collection import scan, split
from clip_atelier.engine.control import Control
from clip_atelier.engine.events import Phase, Progress, Strength, Work
from clip_atelier.engine.i18n import _
from clip_atelier.engine.models import Models
from clip_atelier.engine.models.clip import Clip
from clip_atelier.engine.pictures import Pictures
from clip_atelier.engine.retrieval import Board
from clip_atelier.engine.runs import Runs
from clip_atelier.engine.settings import DataSettings
from clip_atelier.engine.store import Store
from clip_atelier.engine.training import embed, select_by

STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5)


def curve(
    home: Path,
    run_id: str,
    models: Models,
    control: Control,
    strengths: Sequence[float] = STRENGTHS,
    probe: Path | None = None,
) -> Work[dict[str, Any]]:
    """Gained against forgotten over strengths.

    Gained is the headline R@1 on the run's held-out test images; forgotten is text → image R@1 on a general probe
    set that has nothing to do with the collection (the bundled drawings where left out). Strength 0 is always there.

    Returns:
        `points[{strength, gained, forgotten, validation}]`, `best` (the strength the run recommends), `headline`,
        `probe` and `collection` (images measured on).

    Raises:
        UserError: no such run, or its collection is gone.
    """
    run = Runs(home).open(run_id)
    settings = run.settings
    cache = home / "cache" / "scan.sqlite"
    yield Phase(name="scan", title=_("Reading the collection"))
    collection = yield from scan(run.folder, settings.data, control, cache)
    parts = split(collection, settings.data, settings.train.seed)
    # The probe's own table decides its captions, whatever this collection's settings say.
    general = yield from scan(probe or paths.probe_collection(), DataSettings(), control, cache)
    yield Phase(name="load", title=_("Opening the model"))
    opened = open_run(run, models)
    clip, adapter = opened.clip, opened.adapter
    store = Store(home / "cache" / "features.sqlite", int(settings.hardware.cache_gb * 1e9))
    try:
        yield Phase(name="encode", title=_("Preparing the images"))
        own = Pictures(
            collection.root, collection.items, clip.image_size, settings.data, settings.train.seed, store
        )
        other = Pictures(
            general.root, general.items, clip.image_size, settings.data, settings.train.seed, store
        )
        measured = yield from _board(own, parts.test or parts.validation, parts.groups, control)
        chosen_on = yield from _board(own, parts.validation, parts.groups, control)
        everything = tuple(range(len(general.items)))
        forgotten = yield from _board(other, everything, everything, control)
        yield Phase(name="evaluate", title=_("Measuring every strength"))
        wanted = sorted({0.0, *strengths})
        points = []
        for done, strength in enumerate(wanted, 1):
            adapter.set_strength(strength)
            point = {
                "strength": strength,
                "gained": (yield from _value(clip, own, measured, f"{measured.headline}/R@1", control)),
                "forgotten": (yield from _value(clip, other, forgotten, "text_to_image/R@1", control)),
                "validation": (yield from _value(clip, own, chosen_on, select_by(chosen_on), control)),
            }
            points.append(point)
            yield Strength(strength=strength, score=point["validation"])
            yield Progress(done=done, total=len(wanted))
    finally:
        store.close()
        adapters.detach(clip)
    return {
        "run": run.id,
        "points": points,
        "best": opened.recommended,
        "headline": f"{measured.headline}/R@1",
        "collection": len(measured.indices),
        "probe": len(forgotten.indices),
    }


def _board(
    pictures: Pictures, indices: Sequence[int], groups: Sequence[int], control: Control
) -> Work[Board]:
    bad = set((yield from pictures.prepare(indices, control)))
    return boards.board(pictures.items, [i for i in indices if i not in bad], groups)


def _value(clip: Clip, pictures: Pictures, board: Board, name: str, control: Control) -> Work[float]:
    values = board.values(*(yield from embed(clip, pictures, board, control)))
    return verdict.averages({name: values[name]})[name]
