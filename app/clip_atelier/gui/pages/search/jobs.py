"""A search as the window asks it and as it is answered; the work itself is the engine's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clip_atelier.engine import settings
from clip_atelier.engine.core import Control, Work, _
from clip_atelier.engine.search import ModelRef, SearchHit
from clip_atelier.engine.settings import HardwareSettings
from clip_atelier.gui.jobs import at_once

if TYPE_CHECKING:
    from clip_atelier.engine.search import Query
    from clip_atelier.gui.workers import Tools


@dataclass(frozen=True)
class Wanted:
    """What is searched for, where, and with which model.

    Attributes:
        folder: The gallery.
        words: Words with their plus and minus; may be empty.
        picture: A picture's file.
        pixels: A picture without a file: width, height, RGBA bytes.
        run: A run's id; empty for the base model alone.
        strength: Strength of the update; None for the recommended one.
        values: The draft's settings: the model where no run is chosen, and the device.
        reading: Grows each time the folder was read anew, so that a changed folder is opened again.
        top: How many results.
    """

    folder: Path
    words: str = ""
    picture: Path | None = None
    pixels: tuple[int, int, bytes] | None = None
    run: str = ""
    strength: float | None = None
    values: Mapping[str, Any] = field(default_factory=dict)
    reading: int = 0
    top: int = 60

    @property
    def opened_as(self) -> tuple[object, ...]:
        """What an open gallery depends on."""
        return (self.folder, self.model_ref, self.reading)

    @property
    def model_ref(self) -> ModelRef:
        """With which model, and where to compute."""
        block = {k: v for k, v in self.values.items() if k.startswith("hardware.")}
        hardware = settings.build(block).hardware if not settings.check(block) else HardwareSettings()
        model = None if self.run else str(self.values.get("model.name") or "") or None
        return ModelRef(self.run or None, self.strength, model, hardware)


@dataclass(frozen=True)
class Hit:
    """One result.

    Attributes:
        path: Below the gallery.
        score: Similarity.
        title: Its first caption, if it has any.
        base_place: Of the adapted model's results: the place in the base's ranking.
        fits: Of the adapted model's results: whether it fits the words, None where that cannot be told.
        learned: Whether the run learned from it.
    """

    path: str
    score: float
    title: str = ""
    base_place: int | None = None
    fits: bool | None = None
    learned: bool = False


@dataclass(frozen=True)
class Found:
    """Both rankings; `adapted` is None without a run."""

    root: Path
    gallery: int
    base: tuple[Hit, ...]
    adapted: tuple[Hit, ...] | None
    strength: float | None


def find(wanted: Wanted, tools: Tools, control: Control) -> Work[Found]:
    """Searches; called on the compute lane. The gallery stays open for the next question."""
    from clip_atelier.engine.search import open_search

    query = _query(wanted)
    kept = tools.kept.get("search")
    if kept is None or kept[0] != wanted.opened_as:
        tools.kept.pop("search", None)
        opened = yield from open_search(wanted.folder, wanted.model_ref, tools.models, control)
        tools.kept["search"] = (wanted.opened_as, opened)
    opened = tools.kept["search"][1]
    control.boundary()
    answer = opened.find(query, wanted.top)
    titles = {item.path: item.captions[0] for item in opened.gallery.items if item.captions}
    adapted = answer.adapted
    return Found(
        root=opened.gallery.root,
        gallery=answer.images,
        base=tuple(_hit(entry, titles) for entry in answer.base),
        adapted=None if adapted is None else tuple(_hit(entry, titles) for entry in adapted),
        strength=answer.strength if wanted.run else None,
    )


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

    pictures: list[Path | Image.Image] = []
    if wanted.picture is not None:
        pictures.append(wanted.picture)
    if wanted.pixels is not None:
        width, height, data = wanted.pixels
        pictures.append(Image.frombytes("RGBA", (width, height), data))
    return parse_query(wanted.words, pictures)


def _hit(hit: SearchHit, titles: Mapping[str, str]) -> Hit:
    title = titles.get(hit.path, "")
    return Hit(hit.path, hit.score, title, hit.base_rank, hit.fits, bool(hit.learned))
