"""Long measurements of a run or a folder: made on request, and each kept below HOME until the next one."""

from __future__ import annotations

import logging
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import Field, SerializeAsAny

from clip_atelier.engine.analysis.projection.map_records import FolderMap, MapPoint
from clip_atelier.engine.analysis.subject import Subject
from clip_atelier.engine.core import (
    Control,
    DamagedFile,
    Event,
    Preview,
    Record,
    Work,
    WorkError,
    mapped,
    read_document,
    write_document,
)
from clip_atelier.engine.evaluation import GainedForgotten, StrengthReading, WordChanges
from clip_atelier.engine.models import Models
from clip_atelier.engine.search import ModelRef

log = logging.getLogger(__name__)

_VERSION = 4

R = TypeVar("R", bound=Record)


class Measured(Record, Generic[R]):
    """A result with the time it was made at, in seconds since the epoch."""

    version: int = Field(default=_VERSION, ge=_VERSION, le=_VERSION)
    measured_at: float = 0.0
    result: SerializeAsAny[R]


class StrengthReadings(Record):
    """Single strengths that were measured one by one."""

    readings: tuple[StrengthReading, ...] = ()


def last(
    home: Path, subject: Subject
) -> Measured[GainedForgotten] | Measured[WordChanges] | Measured[FolderMap] | None:
    """The last result of a subject; None if there is none."""
    if subject.kind == "dial":
        return _read(subject.file(home), Measured[GainedForgotten])
    if subject.kind == "words":
        return _read(subject.file(home), Measured[WordChanges])
    return _read(subject.file(home), Measured[FolderMap])


def last_readings(home: Path, subject: Subject) -> list[StrengthReading]:
    """What was measured of single strengths before, by the whole sweep too."""
    sweep = _read(replace(subject, kind="dial").file(home), Measured[GainedForgotten])
    single = _read(subject.file(home), Measured[StrengthReadings])
    found = [point.held_out for point in sweep.result.points] if sweep else []
    return [*found, *(single.result.readings if single else ())]


def keep(home: Path, subject: Subject, result: R) -> Measured[R]:
    """Keeps a result; one that cannot be written is only not kept."""
    document = Measured[R](measured_at=time.time(), result=result)
    try:
        write_document(subject.file(home), document)
    except WorkError as error:
        log.warning("a measurement could not be kept: %s", error)
    return document


def keep_reading(home: Path, subject: Subject, reading: StrengthReading) -> None:
    """Keeps one strength beside the others that were measured one by one."""
    kept = _read(subject.file(home), Measured[StrengthReadings])
    others = [one for one in (kept.result.readings if kept else ()) if one.strength != reading.strength]
    keep(home, subject, StrengthReadings(readings=(*others, reading)))


def map_with_ranks(
    folder: Path, model_ref: ModelRef, models: Models, control: Control, perplexity: float
) -> Work[FolderMap]:
    """The map of a folder with each image's caption and rank; arguments and errors as for `map_folder`."""
    from clip_atelier.engine.analysis.projection.folder_map import map_folder
    from clip_atelier.engine.analysis.ranks import own_ranks

    def placed(event: Event) -> Event:
        if isinstance(event, Preview):
            return replace(event, result=event.result.model_copy(update={"folder": str(folder)}))
        return event

    work = map_folder(folder, model_ref, models, control, perplexity=perplexity)
    found = yield from mapped(work, placed)
    ranks = yield from own_ranks(folder, model_ref, models, control)

    def told(point: MapPoint) -> MapPoint:
        rank = ranks.get(point.path)
        return point if rank is None else point.model_copy(update=asdict(rank))

    return found.model_copy(update={"points": tuple(map(told, found.points)), "folder": str(folder)})


_KINDS: dict[str, type[Measured[Any]]] = {
    "dial": Measured[GainedForgotten],
    "words": Measured[WordChanges],
    "map": Measured[FolderMap],
    "strengths": Measured[StrengthReadings],
}


def check_kept(file: Path) -> None:
    """Reads a kept result as the kind that its name says, to see whether it can be read.

    Raises:
        DamagedFile: it cannot be understood.
        OSError: it cannot be read.
    """
    kind = _KINDS.get(file.name.partition("-")[0])
    if kind is not None:
        read_document(file, kind)


def _read(file: Path, kind: type[Measured[R]]) -> Measured[R] | None:
    try:
        return read_document(file, kind)
    except FileNotFoundError:
        return None
    except (OSError, DamagedFile) as error:
        log.warning("a kept measurement could not be read: %s", error)
        return None
