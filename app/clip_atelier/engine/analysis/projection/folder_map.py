"""The map of a folder: its images' embeddings before and after an adaptation, as points, as a table, as a picture."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from clip_atelier.engine.analysis.groups import find_groups
from clip_atelier.engine.analysis.projection.drawing import draw
from clip_atelier.engine.analysis.projection.layouts import MapResult, tsne
from clip_atelier.engine.analysis.projection.map_records import FolderMap, MapPoint
from clip_atelier.engine.analysis.projection.map_words import reading
from clip_atelier.engine.core import (
    Control,
    Event,
    Notice,
    Phase,
    Preview,
    UserError,
    Work,
    _,
    csv_table,
    drive,
    mapped,
    shown,
    write_whole,
)
from clip_atelier.engine.data import Item, open_collection
from clip_atelier.engine.models import Models
from clip_atelier.engine.parts import PLAIN, questions
from clip_atelier.engine.runs import Runs
from clip_atelier.engine.search import Gallery, LoadedModel, ModelRef, load_model, open_gallery
from clip_atelier.engine.storage import BlobCache

MOST: Final = 50_000
"""Most points of a map; of a larger folder a random part is drawn."""
SUFFIXES: Final = (".csv", ".png")


def map_folder(
    folder: Path,
    model_ref: ModelRef,
    models: Models,
    control: Control,
    out: Path | None = None,
    perplexity: float = 30.0,
    seed: int = 0,
) -> Work[FolderMap]:
    """Maps every image of a folder, before and (with a run) after the adaptation, at any strength of it.

    The map before, its control, and strengths that were placed already are taken from the home's store. While a large
    map is drawn, `Preview` events hold a `FolderMap` of the base without scores.

    Where a run keeps parts, its map is of the embeddings that its search with words stands on. Learned words, the hub
    correction and the picture heads answer a question; they give no drawing another place.

    Args:
        folder: The images; embedded where the index does not know them yet.
        model_ref: With which model; without a run the base model's map alone.
        models: Owner of loaded models; runs, caches and the index live in its home.
        control: Stop and pause.
        out: A file to write: .csv or .png.
        perplexity: See `tsne`.
        seed: See `tsne`.

    Returns:
        Points and scores, what the scores say in sentences, and the file written.

    Raises:
        UserError: no such folder, run or model, too few images, or `out` has another suffix or no folder.
        WorkError: `out` cannot be written, or the disk is full.
    """
    if out is not None:
        _check(out)
    yield Phase(name="load", title=_("Opening the model"))
    home, run = models.home, model_ref.run
    opened = load_model(model_ref, models)
    try:
        gallery = yield from open_gallery(folder, opened, home, control, parts=run is not None)
    finally:
        opened.release()
    chosen = np.arange(len(gallery.items))
    if len(chosen) > MOST:
        chosen = np.sort(np.random.default_rng(seed).choice(len(chosen), MOST, replace=False))
        yield Notice(
            text=_("The map shows {count} of {total} images, drawn at random.").format(
                count=MOST, total=len(gallery.items)
            )
        )
    items = [gallery.items[i] for i in chosen]
    parts = _parts(folder, run, items, opened, control)
    after = _adapted(gallery, opened)[chosen] if run is not None else None
    document = FolderMap(
        folder=shown(folder), run=run, strength=opened.wanted, perplexity=perplexity, points=(), scores={}
    )

    def told(event: Event) -> Event:
        if isinstance(event, Preview):
            points = tuple(_points(event.result, items, parts))
            return replace(event, result=document.model_copy(update={"points": points}))
        return event

    store = BlobCache.of_features(home, opened.hardware.cache_gb)
    try:
        work = tsne(gallery.base[chosen], after, control, perplexity, seed, store)
        result = yield from mapped(work, told)
    finally:
        store.close()
    yield Phase(name="groups", title=_("Looking for groups"))
    groups = yield from find_groups(gallery.base[chosen] if after is None else after, items, control, seed)
    if out is not None:
        _write(out, result, items, parts)
    return document.model_copy(
        update={
            "points": tuple(
                point.model_copy(update={"group": int(group) if groups.names else None})
                for point, group in zip(_points(result, items, parts), groups.of, strict=True)
            ),
            "groups": groups.names,
            "alone": groups.alone,
            "twins": groups.twins,
            "scores": dict(result.scores),
            "reading": tuple(reading(result.scores)),
            "files": () if out is None else (shown(out),),
        }
    )


def _check(out: Path) -> None:
    if out.suffix.lower() not in SUFFIXES:
        raise UserError(
            _("A map is written as .csv (a table) or .png (a picture), not as “{name}”.").format(
                name=shown(out.name)
            ),
            _("Give the file one of these endings."),
            "out",
        )
    if not out.absolute().parent.is_dir():
        raise UserError(
            _("There is no folder “{folder}”.").format(folder=shown(out.absolute().parent)),
            _("Make it first, or choose another place."),
            "out",
        )


def _adapted(gallery: Gallery, opened: LoadedModel) -> NDArray[np.float32]:
    """[N, dim], the drawings as the run sees them when it is searched with words."""
    parts = opened.parts
    if parts is None or not opened.dial or questions.TEXT_TO_IMAGE not in parts.settings:
        return gallery.adapted
    variant = parts.setting(questions.TEXT_TO_IMAGE, opened.dial).variant
    if variant == PLAIN:
        return gallery.adapted  # what words need no update for, pictures that are alike may
    return gallery.seen[opened.space(variant).key]


def _parts(
    folder: Path, run: str | None, items: Sequence[Item], opened: LoadedModel, control: Control
) -> Mapping[str, str]:
    """Path to train, validation or test, where the folder is the run's own collection as it was.

    A run that was measured by folds has learned from every drawing of its collection in the end, so none of them is one
    that it is checked on. Where it says which files these were, they are known in any folder.
    """
    if run is None:
        return {}
    of = Runs(opened.home).open(run)
    by_folds = of.result is not None and of.result.measured_on == "folds"
    if by_folds and opened.parts is not None and opened.parts.learned_from:
        return {item.path: "train" for item in items if item.digest in opened.parts.learned_from}
    if of.folder.absolute() != folder.absolute():
        return {}
    try:
        found, parts = drive(open_collection(folder, of.settings.data, opened.home, control))
    except UserError:
        # The folder no longer is what the run was made from; its images are mapped all the same.
        return {}
    if by_folds:
        return dict.fromkeys((item.path for item in found.items), "train")
    named = {"train": parts.train, "validation": parts.validation, "test": parts.test}
    return {found.items[i].path: name for name, indices in named.items() for i in indices}


def _points(result: MapResult, items: Sequence[Item], parts: Mapping[str, str]) -> list[MapPoint]:
    moved = result.adapted is not None and result.motion is not None and result.control_motion is not None
    points = []
    for i, item in enumerate(items):
        after: dict[str, Any] = {}
        if moved:
            assert result.adapted is not None
            assert result.motion is not None
            assert result.control_motion is not None
            after = {
                "adapted": _place(result.adapted[i]),
                "motion": round(float(result.motion[i]), 5),
                "control_motion": round(float(result.control_motion[i]), 5),
            }
        points.append(
            MapPoint(
                path=item.path,
                label=item.label,
                split=parts.get(item.path, item.split),
                base=_place(result.base[i]),
                **after,
            )
        )
    return points


def _place(point: NDArray[np.float64]) -> tuple[float, float]:
    return round(float(point[0]), 4), round(float(point[1]), 4)


def _write(out: Path, result: MapResult, items: Sequence[Item], parts: Mapping[str, str]) -> None:
    if out.suffix.lower() == ".csv":
        content = _table(_points(result, items, parts)).encode("utf-8-sig")
    else:
        buffer = io.BytesIO()
        draw(result, [item.label for item in items]).save(buffer, "PNG")
        content = buffer.getvalue()
    write_whole(out, content, _("Free some space, or choose another place."))


def _table(points: Sequence[MapPoint]) -> str:
    header = [
        "path",
        "label",
        "split",
        "base_x",
        "base_y",
        "adapted_x",
        "adapted_y",
        "motion",
        "control_motion",
    ]
    return csv_table(
        header,
        [
            [
                shown(point.path),
                shown(point.label),
                point.split,
                *point.base,
                *(point.adapted or ("", "")),
                "" if point.motion is None else point.motion,
                "" if point.control_motion is None else point.control_motion,
            ]
            for point in points
        ],
    )
