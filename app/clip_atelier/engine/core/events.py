"""Events are the only way out of long work: frozen records of plain values, with one JSON form.

Scan, train, evaluate, index and project are generators of these records. A run's `events.jsonl` is a list of them, and
opening an old run replays them through the same code as a live one. A new event is one class here.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
import time
import zlib
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

from clip_atelier.engine.core.paths import shown

T = TypeVar("T")

_LONGEST = 16 << 20
"""Characters of a line of events; a longer one is none of ours."""


@dataclass(frozen=True, kw_only=True)
class Event:
    """Base of all events. `time` is in seconds since the epoch."""

    kind: ClassVar[str] = ""
    time: float = field(default_factory=time.time)


@dataclass(frozen=True, kw_only=True)
class Phase(Event):
    """A new piece of work begins: name is one of scan, load, encode, train, check, strength, evaluate, index, project."""

    kind: ClassVar[str] = "phase"
    name: str
    title: str = ""  # already in the user's language


@dataclass(frozen=True, kw_only=True)
class Progress(Event):
    """`done` of `total` within the current phase; `seconds_left` is None while unknown."""

    kind: ClassVar[str] = "progress"
    done: int
    total: int
    seconds_left: float | None = None
    item: str = ""


@dataclass(frozen=True, kw_only=True)
class ProblemFound(Event):
    """One file that is left out, with the reason in words."""

    kind: ClassVar[str] = "problem"
    path: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Scanned(Event):
    """The collection as read, in numbers."""

    kind: ClassVar[str] = "scanned"
    images: int
    captions: int
    labels: int
    pairs: int
    caption_source: str
    problems: int


@dataclass(frozen=True, kw_only=True)
class Started(Event):
    """Training is about to take its first (or next) step."""

    kind: ClassVar[str] = "started"
    run: str
    steps: int
    start_step: int
    trainable_parameters: int
    device: str
    precision: str
    primary_metric: str  # the metric shown beside the loss, e.g. "sketch_to_artwork/R@1"
    select_by: str  # the metric that chooses the best checkpoint


@dataclass(frozen=True, kw_only=True)
class Step(Event):
    """One optimiser step. `loss` is None where it was not finite."""

    kind: ClassVar[str] = "step"
    step: int
    epoch: float
    loss: float | None
    learning_rate: float
    images_per_second: float
    seconds_left: float | None = None
    memory: int = 0  # bytes in use, process or device


@dataclass(frozen=True, kw_only=True)
class FoldStep(Event):
    """Optimiser steps of one fold: an update that only measures, and is not kept. `fold` counts from 1.

    `loss` is the mean since the event before, None where it was not finite.
    """

    kind: ClassVar[str] = "fold_step"
    fold: int
    folds: int
    step: int
    steps: int
    loss: float | None


@dataclass(frozen=True, kw_only=True)
class Check(Event):
    """Retrieval and loss on the validation split after `step`; step 0 is the untouched base."""

    kind: ClassVar[str] = "check"
    step: int
    epoch: float
    metrics: Mapping[str, float]
    loss: float | None = None
    best: bool = False
    checks_without_gain: int = 0


@dataclass(frozen=True, kw_only=True)
class Ranking(Event):
    """A pinned query's first results after `step`: the living strip."""

    kind: ClassVar[str] = "ranking"
    step: int
    query: str
    query_path: str = ""
    paths: tuple[str, ...] = ()
    relevant: tuple[bool, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Saved(Event):
    """A checkpoint is complete on disk."""

    kind: ClassVar[str] = "saved"
    step: int
    path: str
    best: bool = False


@dataclass(frozen=True, kw_only=True)
class Strength(Event):
    """Validation score of the update scaled by `strength`; 0 is the base."""

    kind: ClassVar[str] = "strength"
    strength: float
    score: float
    chosen: bool = False


@dataclass(frozen=True, kw_only=True)
class Cell(Event):
    """A cell of a grid changed. `number` counts runs from 1; `status` is one of running, done, failed."""

    kind: ClassVar[str] = "cell"
    number: int
    total: int
    title: str  # its varied settings in words
    status: str
    run: str = ""
    message: str = ""  # why it failed
    seconds_left: float | None = None  # for the whole grid


@dataclass(frozen=True, kw_only=True)
class PartMeasured(Event):
    """What one part does for one question on drawings that it has not learned from: a cell of a table that fills.

    `value`, `low` and `high` are the gain in mAP with its 95 % interval; `kept` is known in the end, and False before.
    """

    kind: ClassVar[str] = "part"
    name: str
    question: str
    value: float
    low: float
    high: float
    kept: bool = False


@dataclass(frozen=True, kw_only=True)
class Preview(Event):
    """The result as far as it is known, to be looked at until the finished one comes: a record or its JSON document."""

    kind: ClassVar[str] = "preview"
    result: Any


@dataclass(frozen=True, kw_only=True)
class Notice(Event):
    """Something worth telling that is neither progress nor failure; in the user's language."""

    kind: ClassVar[str] = "notice"
    text: str


@dataclass(frozen=True, kw_only=True)
class Finished(Event):
    """Work ended. `status` is one of done, stopped, failed. `result` is the JSON document of the command."""

    kind: ClassVar[str] = "finished"
    status: str
    message: str = ""
    hint: str = ""
    result: Mapping[str, Any] = field(default_factory=dict)


EVENTS: Mapping[str, type[Event]] = {
    cls.kind: cls
    for cls in (
        Phase, Progress, ProblemFound, Scanned, Started, Step, Check, Ranking, Saved, Strength, Cell,
        PartMeasured, FoldStep, Preview, Notice, Finished,
    )
}  # fmt: skip

Work = Generator[Event, None, T]
"""Long work: yields events, returns its result (the generator's return value)."""


def plain(value: Any) -> Any:
    """`value` as what JSON can carry: non-finite floats become None, tuples lists, lone surrogates visible escapes."""
    if isinstance(value, bool | int) or value is None:
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        return shown(value)
    if isinstance(value, Mapping):
        return {plain(str(k)): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(v) for v in value]
    if hasattr(value, "as_json"):  # a record
        return plain(value.as_json())
    if hasattr(value, "item"):  # a numpy scalar
        return plain(value.item())
    raise TypeError(f"{type(value).__name__} does not belong in an event")


def to_json(event: Event) -> dict[str, Any]:
    """The event as a JSON-able dict with its `kind`."""
    fields = {f.name: plain(getattr(event, f.name)) for f in dataclasses.fields(event)}
    return {"kind": event.kind, **fields}


#: Fields as earlier versions wrote them: (kind, old name) -> name.
_FORMER_NAMES: Mapping[tuple[str, str], str] = {("started", "headline"): "primary_metric"}


def from_json(record: Mapping[str, Any]) -> Event:
    """The event of a dict made by `to_json`.

    Raises:
        ValueError: unknown kind, or fields missing.
    """
    cls = EVENTS.get(str(record.get("kind")))
    if cls is None:
        raise ValueError(f"unknown event kind {record.get('kind')!r}")
    names = {f.name for f in dataclasses.fields(cls)}
    record = {_FORMER_NAMES.get((cls.kind, k), k): v for k, v in record.items()}
    values: dict[str, Any] = {
        k: tuple(v) if isinstance(v, list) else v for k, v in record.items() if k in names
    }
    try:
        return cls(**values)
    except TypeError as error:
        raise ValueError(f"incomplete {cls.kind} event: {error}") from error


_CHECKED = re.compile(r', "crc": "([0-9a-f]{8})"\}\Z')


def to_line(event: Event) -> str:
    """The event as a line of `events.jsonl`, with a checksum of the line at its end."""
    text = json.dumps(to_json(event), ensure_ascii=False, allow_nan=False)
    return f'{text[:-1]}, "crc": "{zlib.crc32(text.encode()):08x}"}}'


def from_line(line: str) -> Event:
    """The event of a line; lines that were written without a checksum are read too.

    Raises:
        ValueError: it is no event, or not as it was written.
    """
    line = line.strip()
    found = _CHECKED.search(line)
    if found is not None and zlib.crc32(f"{line[: found.start()]}}}".encode()) != int(found[1], 16):
        raise ValueError("not as it was written")
    if len(line) > _LONGEST:
        raise ValueError("too long")
    try:
        record = json.loads(line)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(record, dict):
        raise ValueError("no object")
    return from_json(record)


def mapped(work: Work[T], change: Callable[[Event], Event | None]) -> Work[T]:
    """The same work with each event changed before it is handed on, or kept back where `change` gives None."""
    try:
        while True:
            try:
                event = next(work)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            changed = change(event)
            if changed is not None:
                yield changed
    finally:
        work.close()


def drive(work: Work[T], on_event: Callable[[Event], object] | None = None) -> T:
    """Runs long work to its end, handing each event on, and returns its result."""
    while True:
        try:
            event = next(work)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        if on_event is not None:
            on_event(event)
