"""Where the shards of an index meet: one folder for each, which one process at a time writes and all may read.

PLACE/2-of-8/ holds plan.json (what the embeddings depend on), part-000001.safetensors and so on (a batch of drawings each:
what was found out about them, and their embeddings in each space), and done.json once it is complete. There is no database
in it and nothing is written twice, so that it may lie on a drive that several machines share. The locks lie beside.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import filelock
import numpy as np
import safetensors.numpy
from numpy.typing import NDArray
from pydantic import Field, ValidationError
from safetensors import SafetensorError

from clip_atelier.engine.core import (
    DamagedFile,
    Record,
    Text,
    UserError,
    _,
    cannot_write,
    read_document,
    shown,
    write_document,
    write_whole,
)
from clip_atelier.engine.data import KnownDrawing, Part, ScanProblem
from clip_atelier.engine.search.embedding_store import Space
from clip_atelier.engine.storage import sealed_tensors, tensors_fault

SCHEMA: Final = 1
_PLAN, _DONE = "plan.json", "done.json"
_NAME: Final = re.compile(r"(\d+)-of-(\d+)")
_ROWS: Final = "drawings"
FEATURES: Final = 128 << 20
"""Bytes of features that base and adapted model share while a batch is embedded."""


class ShardPlan(Record):
    """What the embeddings of a shard depend on; the same for all shards that are joined.

    Attributes:
        spaces: Keys of the spaces that the drawings are embedded in.
    """

    schema_version: int = Field(default=SCHEMA, alias="schema")
    spaces: tuple[Text, ...]


class ShardDone(Record):
    """That a shard is complete.

    Attributes:
        drawings: How many drawings it has, those that cannot be read among them.
        parts: How many files hold their embeddings.
        fingerprint: Of these drawings as they were then.
        problems: Those that cannot be read.
    """

    schema_version: int = Field(default=SCHEMA, alias="schema")
    drawings: int
    parts: int
    fingerprint: Text
    problems: tuple[ScanProblem, ...] = ()


@dataclass(frozen=True)
class ShardPart:
    """A batch of drawings of a shard.

    Attributes:
        drawings: What was found out about them.
        digests: [n] of their different contents.
        vectors: Key of a space -> [n, dim].
    """

    drawings: tuple[KnownDrawing, ...]
    digests: tuple[str, ...]
    vectors: Mapping[str, NDArray[np.float32]]


@dataclass
class Looked:
    """Embeddings of one batch, space by space; see `gallery.Keeper`."""

    vectors: dict[str, NDArray[np.float32]] = field(default_factory=dict)

    def add(self, space: Space, _digests: Sequence[str], vectors: NDArray[np.float32]) -> None:
        """Keeps the vectors [n, dim] of the batch in a space."""
        self.vectors[space.key] = vectors


class ShardFolder:
    """The folder of one shard."""

    def __init__(self, place: Path, part: Part) -> None:
        self.place = place
        self.part = part
        self.folder = place / f"{part.number}-of-{part.count}"

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Nobody else writes into the shard during the block.

        Raises:
            UserError: somebody does.
            WorkError: the place cannot be written.
        """
        with held(self.place, self.folder.name) as got:
            if not got:
                raise UserError(
                    _("Another process is at work on shard {shard} already.").format(shard=self.part),
                    _("Wait for it, or choose another shard."),
                    "shard",
                )
            yield

    def plan(self) -> ShardPlan | None:
        """What it was begun with; None where it was not, or where that cannot be read."""
        with contextlib.suppress(OSError, DamagedFile):
            return read_document(self.folder / _PLAN, ShardPlan)
        return None

    def begin(self, plan: ShardPlan) -> None:
        """Writes down what it is begun with."""
        write_document(self.folder / _PLAN, plan)

    def done(self) -> ShardDone | None:
        """How it was completed; None where it was not, or a part of it is gone."""
        with contextlib.suppress(OSError, DamagedFile):
            done = read_document(self.folder / _DONE, ShardDone)
            return done if len(self.files()) == done.parts else None
        return None

    def complete(self, done: ShardDone) -> None:
        """Marks it as complete."""
        write_document(self.folder / _DONE, done)

    def reopen(self) -> None:
        """It is no longer complete."""
        try:
            (self.folder / _DONE).unlink(missing_ok=True)
        except OSError as error:
            raise cannot_write(self.folder / _DONE, error, _elsewhere()) from error

    def files(self) -> list[Path]:
        """Its parts, in the order in which they were written."""
        return sorted(self.folder.glob("part-*.safetensors"))

    def keep(self, part: ShardPart) -> None:
        """Writes one more part, whole or not at all.

        Raises:
            WorkError: the place is full or cannot be written.
        """
        files = self.files()
        number = int(files[-1].stem.partition("-")[2]) + 1 if files else 1
        rows = [one.model_dump() for one in part.drawings]
        text = json.dumps({"digests": part.digests, "drawings": rows}).encode()
        tensors: dict[str, NDArray[np.generic]] = {_ROWS: np.frombuffer(text, np.uint8)}
        tensors |= {key: np.ascontiguousarray(v, np.float32) for key, v in part.vectors.items()}
        file = self.folder / f"part-{number:06d}.safetensors"
        write_whole(file, sealed_tensors(safetensors.numpy.save(tensors)), _elsewhere())

    def remove(self) -> None:
        """Takes away all that is in it.

        Raises:
            OSError: it cannot be taken away.
        """
        self.reopen()
        for file in (*self.files(), self.folder / _PLAN):
            file.unlink(missing_ok=True)
        self.folder.rmdir()


def read_part(file: Path) -> ShardPart:
    """A part as it was written.

    Raises:
        DamagedFile: it is not as it was written.
        OSError: it cannot be read.
    """
    if fault := tensors_fault(file):
        raise DamagedFile(file, fault)
    try:
        tensors = safetensors.numpy.load_file(file)
        told = json.loads(tensors.pop(_ROWS).tobytes())
        drawings = tuple(KnownDrawing.model_validate(row) for row in told["drawings"])
        digests = tuple(str(digest) for digest in told["digests"])
    except (KeyError, TypeError, ValueError, ValidationError, SafetensorError) as error:
        raise DamagedFile(file, str(error)) from error
    if any(rows.ndim != 2 or len(rows) != len(digests) for rows in tensors.values()):
        raise DamagedFile(file, "shape")
    return ShardPart(drawings, digests, tensors)


def shards_in(place: Path) -> list[ShardFolder]:
    """The shards that were begun in a place, by their numbers."""
    found = []
    if place.is_dir():
        for folder in place.iterdir():
            named = _NAME.fullmatch(folder.name)
            if named and folder.is_dir() and 1 <= int(named[1]) <= int(named[2]):
                found.append(ShardFolder(place, Part(int(named[1]), int(named[2]))))
    return sorted(found, key=lambda shard: shard.part.number)


def must_agree(place: Path, count: int, plan: ShardPlan) -> None:
    """Refuses shards that could not be joined.

    Raises:
        UserError: in this place another number of shards was begun, or with another model or number format.
    """
    for shard in shards_in(place):
        if shard.part.count != count:
            raise UserError(
                _("“{place}” holds shards of {there}, not of {wanted}.").format(
                    place=shown(place), there=shard.part.count, wanted=count
                ),
                _("Go on with {there}, or choose another folder with --shards.").format(
                    there=shard.part.count
                ),
                "shard",
            )
        begun = shard.plan()
        if begun is not None and begun.spaces != plan.spaces:
            raise UserError(
                _(
                    "Shard {shard} in “{place}” was made with another model, training, strength or number format."
                ).format(shard=shard.part, place=shown(place)),
                _(
                    "Give all shards the same --run, --strength, --model and --hardware.precision, or choose another "
                    "folder with --shards."
                ),
                "shards",
            )


@contextlib.contextmanager
def held(place: Path, name: str) -> Iterator[bool]:
    """Whether a lock of a place was free; it is held during the block.

    Raises:
        WorkError: the place cannot be written.
    """
    locks = place / "locks"
    try:
        locks.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(locks / f"{name}.lock", timeout=0)
        lock.acquire()
    except filelock.Timeout:
        yield False
        return
    except NotImplementedError:  # a shared drive without locks: who starts a shard twice does its work twice
        yield True
        return
    except OSError as error:
        raise cannot_write(place, error, _elsewhere()) from error
    try:
        yield True
    finally:
        lock.release()


def missing(parts: Sequence[ShardFolder], count: int) -> list[int]:
    """Numbers of the shards of `count` that are not complete."""
    complete = {shard.part.number for shard in parts if shard.done() is not None}
    return [number for number in range(1, count + 1) if number not in complete]


def _elsewhere() -> str:
    return _("Free some space there, or choose another folder with --shards.")
