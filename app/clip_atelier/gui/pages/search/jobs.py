"""A search as the window asks it and as it is answered; the work itself is the engine's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, cast

from clip_atelier.engine import settings
from clip_atelier.engine.core import Control, Work, _, original
from clip_atelier.engine.data import located
from clip_atelier.engine.search import ModelRef, SearchHit
from clip_atelier.engine.settings import HardwareSettings
from clip_atelier.gui.jobs import at_once

if TYPE_CHECKING:
    from clip_atelier.engine.data import Item
    from clip_atelier.engine.search import Query, Search
    from clip_atelier.gui.workers import Tools


@dataclass(frozen=True)
class Wanted:
    """What is searched for, where, and with which model.

    Attributes:
        folder: The gallery.
        words: Words with their plus and minus; may be empty.
        without: Words of what is not wanted, divided by commas.
        pictures: Files of pictures; what is common to them is searched for.
        pixels: A picture without a file: width, height, RGBA bytes.
        run: A run's id; empty for the base model alone.
        strength: Strength of the update; None for the recommended one.
        values: The draft's settings: the model where no run is chosen, and the device.
        reading: Grows each time the folder was read anew, so that a changed folder is opened again.
        top: How many results.
        against: Another run's id, which takes the base's place in the comparison; empty for the base.
        below: Only results below this folder of the gallery; empty for all.
        label: Only results of this class; empty for all.
        since: Only results whose files were changed after this, in seconds since the epoch; 0 for all.
    """

    folder: Path
    words: str = ""
    without: str = ""
    pictures: tuple[Path, ...] = ()
    pixels: tuple[int, int, bytes] | None = None
    run: str = ""
    strength: float | None = None
    values: Mapping[str, Any] = field(default_factory=dict)
    reading: int = 0
    top: int = 60
    against: str = ""
    below: str = ""
    label: str = ""
    since: float = 0.0

    @property
    def narrowed(self) -> bool:
        """Whether some pictures are left out of the results."""
        return bool(self.below or self.label or self.since)

    def model_ref(self, run: str) -> ModelRef:
        """With which model, and where to compute; `run` is one of the two that are compared."""
        block = {k: v for k, v in self.values.items() if k.startswith("hardware.")}
        hardware = settings.build(block).hardware if not settings.check(block) else HardwareSettings()
        model = None if run else str(self.values.get("model.name") or "") or None
        strength = self.strength if run == self.run else None
        return ModelRef(run or None, strength, model, hardware)


@dataclass(frozen=True)
class Hit:
    """One result.

    Attributes:
        path: Below the gallery.
        score: Similarity.
        captions: Its own, if it has any.
        base_place: Of the adapted model's results: the place in the ranking beside it.
        fits: Of the adapted model's results: whether it fits the words, None where that cannot be told.
        learned: Whether the run learned from it.
    """

    path: str
    score: float
    captions: tuple[str, ...] = ()
    base_place: int | None = None
    fits: bool | None = None
    learned: bool = False


@dataclass(frozen=True)
class Found:
    """Both rankings; `adapted` is None without a run.

    Attributes:
        root: The gallery.
        gallery: How many pictures were ranked.
        base: By the untouched base, or by the run `against`.
        folders: Those below the gallery that pictures are in.
        labels: The classes of its pictures.
    """

    root: Path
    gallery: int
    base: tuple[Hit, ...]
    adapted: tuple[Hit, ...] | None
    strength: float | None
    remarks: tuple[str, ...] = ()
    strange_words: bool = False
    against: str = ""
    folders: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()


def find(wanted: Wanted, tools: Tools, control: Control) -> Work[Found]:
    """Searches; called on the compute lane. The gallery stays open for the next question."""
    query = _query(wanted)
    opened = yield from _opened("search", wanted, wanted.run, tools, control)
    other = None
    if wanted.run and wanted.against:
        other = yield from _opened("search against", wanted, wanted.against, tools, control)
    else:
        tools.kept.pop("search against", None)
    control.boundary()
    items = opened.gallery.items
    # Places among what is left, and in another run's ranking, are only known when all of it is ranked.
    answer = opened.find(query, len(items) if wanted.narrowed or other else wanted.top)
    beside = other.find(query, len(items)) if other else None
    kept = {item.path for item in items if _within(item, wanted, opened.gallery.root)}
    base = [hit for hit in (beside.adapted or () if beside else answer.base) if hit.path in kept]
    captions = {item.path: item.captions for item in items if item.captions}
    adapted = None
    if answer.adapted is not None:
        places = {hit.path: place for place, hit in enumerate(base, 1)}
        adapted = [
            replace(_hit(hit, captions), base_place=places[hit.path])
            if (wanted.narrowed or beside) and hit.path in places
            else _hit(hit, captions)
            for hit in answer.adapted
            if hit.path in kept
        ]
    return Found(
        root=opened.gallery.root,
        gallery=len(kept) if wanted.narrowed else answer.images,
        base=tuple(_hit(hit, captions) for hit in base[: wanted.top]),
        adapted=None if adapted is None else tuple(adapted[: wanted.top]),
        strength=answer.strength if wanted.run else None,
        remarks=answer.remarks,
        strange_words=answer.strange_words,
        against=wanted.against if beside else "",
        folders=tuple(
            sorted({str(one) for item in items for one in PurePosixPath(item.path).parents} - {"."})
        ),
        labels=tuple(sorted({item.label for item in items} - {""})),
    )


def _opened(kept_as: str, wanted: Wanted, run: str, tools: Tools, control: Control) -> Work[Search]:
    """The gallery as one model sees it; kept open for the next question."""
    from clip_atelier.engine.search import open_search

    model_ref = wanted.model_ref(run)
    key = (wanted.folder, model_ref, wanted.reading)
    kept = tools.kept.get(kept_as)
    if kept is None or kept[0] != key:
        tools.kept.pop(kept_as, None)
        opened = yield from open_search(wanted.folder, model_ref, tools.models, control)
        tools.kept[kept_as] = (key, opened)
    return cast("Search", tools.kept[kept_as][1])


def _within(item: Item, wanted: Wanted, root: Path) -> bool:
    below = not wanted.below or item.path.startswith(f"{wanted.below}/")
    if not below or wanted.label not in ("", item.label):
        return False
    return not wanted.since or _changed(located(root, item.path)) >= wanted.since


def _changed(file: Path) -> float:
    """When a file, or the document that a page is of, was changed; one that is gone was changed long ago."""
    try:
        return original(file).stat().st_mtime
    except OSError:
        return 0.0


def export(found: Found, out: Path, _tools: Tools, _control: Control) -> Work[None]:
    """Writes both rankings as one table (.csv, .md, .tex)."""
    from clip_atelier.engine.core import shown, tables

    header = [_("place"), _("base"), _("similarity")]
    rows: list[list[object]] = [
        [place, shown(hit.path), f"{hit.score:.6f}"] for place, hit in enumerate(found.base, 1)
    ]
    if found.adapted is not None:
        header += [_("adapted"), _("similarity"), _("place in the base"), _("fits"), _("learned from")]
        said = {True: _("yes"), False: _("no"), None: ""}
        for line, hit in zip(rows, found.adapted, strict=True):
            line += [shown(hit.path), f"{hit.score:.6f}", hit.base_place, said[hit.fits], said[hit.learned]]
    return at_once(lambda: tables.write(out, header, rows))


def _query(wanted: Wanted) -> Query:
    from PIL import Image

    from clip_atelier.engine.search import parse_query

    pictures: list[Path | Image.Image] = [*wanted.pictures]
    if wanted.pixels is not None:
        width, height, data = wanted.pixels
        pictures.append(Image.frombytes("RGBA", (width, height), data))
    return parse_query(wanted.words, pictures, wanted.without)


def _hit(hit: SearchHit, captions: Mapping[str, tuple[str, ...]]) -> Hit:
    return Hit(hit.path, hit.score, captions.get(hit.path, ()), hit.base_rank, hit.fits, bool(hit.learned))
