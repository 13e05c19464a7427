"""Embeddings of WebDataset shards: each becomes a file of its own in OUT, so that an interrupted one costs itself only.

OUT/NAME.parquet or OUT/NAME/ holds the embeddings of NAME.tar (`vector_files`), OUT/done/NAME.json that they are complete.
Several processes or machines may share the shards and write into one OUT.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from clip_atelier.engine.core import (
    Control,
    Countdown,
    DamagedFile,
    Phase,
    ProblemFound,
    Record,
    Text,
    UserError,
    Work,
    _,
    cannot_write,
    launch,
    read_document,
    shown,
    write_document,
)
from clip_atelier.engine.data import (
    ImageCache,
    Item,
    Part,
    Problem,
    ScanProblem,
    packed_drawings,
    packed_files,
)
from clip_atelier.engine.models import Models
from clip_atelier.engine.search import processes, shard_files, vector_files
from clip_atelier.engine.search.embedding_store import Space
from clip_atelier.engine.search.gallery import BATCH, by_strength, look
from clip_atelier.engine.search.loaded_model import LoadedModel, load_model
from clip_atelier.engine.search.model_ref import ModelRef
from clip_atelier.engine.storage import BlobCache

SCHEMA: Final = 1


class PackedDone(Record):
    """That the embeddings of a shard are complete.

    Attributes:
        size: Bytes of the shard, `mtime_ns` when it was changed last.
        spaces: Keys of the spaces that its drawings are embedded in.
    """

    schema_version: int = Field(default=SCHEMA, alias="schema")
    size: int
    mtime_ns: int
    spaces: tuple[Text, ...]
    drawings: int
    problems: tuple[ScanProblem, ...] = ()


class PackedSummary(Record):
    """What `index SHARDS --to OUT` did.

    Attributes:
        files: WebDataset shards that this process had to do.
        images: Drawings in them.
        embedded: Of them, embedded now.
        reused: Of them, those of shards that were complete already.
        skipped: Pictures that could not be read.
        missing: Names of shards of all processes that are not complete.
        problems: What could not be read, by shard and name.
    """

    schema_version: int = Field(default=SCHEMA, alias="schema")
    folder: Text
    out: Text
    shard: int
    shards: int
    files: int
    images: int
    embedded: int
    reused: int
    skipped: int
    seconds: float
    missing: tuple[Text, ...] = ()
    problems: tuple[ScanProblem, ...] = ()


def is_packed(source: Path, control: Control) -> bool:
    """Whether a path leads to WebDataset shards rather than to a folder of drawings.

    Raises:
        UserError: there is nothing there.
    """
    return bool(packed_files(source, control))


def embed_packed(
    source: Path, out: Path, model_ref: ModelRef, models: Models, control: Control, part: Part | None = None
) -> Work[PackedSummary]:
    """Embeds the drawings of WebDataset shards, each shard into a file of its own; complete ones are not made again.

    Args:
        source: A shard, or a folder of them.
        out: A folder; where its name ends in .parquet it gets Parquet files, else folders of .npy files.
        model_ref: With which model.
        models: Owner of loaded models.
        control: Stop and pause; the shard that was being read is begun anew.
        part: Which part of the shards; as a launcher says where left out, else all.

    Raises:
        UserError: no such run or model, or `out` holds something else.
        WorkError: Parquet cannot be written, or the disk is full.
    """
    if part is None and launch.size() > 1:
        with processes.together(control) as wait_for_all:
            own = Part(launch.rank() + 1, launch.size())
            yield from _embed(source, out, model_ref, models, control, own)
            yield Phase(name="wait", title=_("Waiting for the other processes"))
            wait_for_all()
        part = own
    # After others this finds all of them complete, and tells so.
    return (yield from _embed(source, out, model_ref, models, control, part or Part(1, 1)))


def _embed(
    source: Path, out: Path, model_ref: ModelRef, models: Models, control: Control, part: Part
) -> Work[PackedSummary]:
    vector_files.must_be_possible(out)
    files = packed_files(source, control)
    root = source if source.is_dir() else source.parent
    names = _names(root, files)
    _claim(out)
    yield Phase(name="load", title=_("Opening the model"))
    loaded = load_model(model_ref, models)
    began = time.monotonic()
    spaces = loaded.spaces(parts=False)
    keys = tuple(space.key for space in spaces)
    own = files[part.number - 1 :: part.count]
    embedded, reused = 0, 0
    problems: list[ScanProblem] = []
    try:
        yield Phase(name="index", title=_("Embedding the images"))
        countdown = Countdown(len(own))
        for number, file in enumerate(own, 1):
            control.boundary()
            done = _done(out, names[file], file, keys)
            if done is not None:
                reused += done.drawings
            else:
                with shard_files.held(out, names[file]) as free:
                    if free:
                        done = yield from _one(file, out, names[file], loaded, spaces, control)
                        embedded += done.drawings
            problems += done.problems if done else ()
            yield countdown.at(number, file.name)
    finally:
        loaded.release()
    missing = tuple(file.name for file in files if _done(out, names[file], file, keys) is None)
    return PackedSummary(
        folder=str(source),
        out=str(out),
        shard=part.number,
        shards=part.count,
        files=len(own),
        images=embedded + reused,
        embedded=embedded,
        reused=reused,
        skipped=len(problems),
        seconds=time.monotonic() - began,
        missing=missing,
        problems=tuple(problems),
    )


def _names(root: Path, files: Sequence[Path]) -> dict[Path, str]:
    """What the embeddings of each shard are called."""
    found: dict[str, Path] = {}
    for file in files:
        name = start = "-".join(file.relative_to(root).parts).partition(".tar")[0]
        number = 1
        while name in found:
            number += 1
            name = f"{start} {number}"
        found[name] = file
    return {file: name for name, file in found.items()}


def _claim(out: Path) -> None:
    if out.is_dir() and any(out.iterdir()) and not (out / "done").is_dir():
        raise UserError(
            _("“{folder}” is there already and holds something else.").format(folder=shown(out)),
            _("Choose a folder that is empty or not there yet; nothing is overwritten."),
            "to",
        )
    try:
        (out / "done").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(out, error, _elsewhere()) from error


def _target(out: Path, name: str) -> Path:
    parquet = out.suffix.lower() == vector_files.PARQUET
    return out / (f"{name}{vector_files.PARQUET}" if parquet else name)


def _done(out: Path, name: str, file: Path, keys: tuple[str, ...]) -> PackedDone | None:
    """How a shard was completed; None where it was not, has changed since, or was embedded otherwise."""
    try:
        done = read_document(out / "done" / f"{name}.json", PackedDone)
        status = file.stat()
    except (OSError, DamagedFile):
        return None
    same = (done.size, done.mtime_ns, done.spaces) == (status.st_size, status.st_mtime_ns, keys)
    return done if same and _target(out, name).exists() else None


def _one(
    file: Path, out: Path, name: str, loaded: LoadedModel, spaces: Sequence[Space], control: Control
) -> Work[PackedDone]:
    """Embeds one shard and writes its file."""
    status = file.stat()
    found: list[Problem] = []
    coming = packed_drawings(file, loaded.model.frame, loaded.data.image_fit, found, control)
    rows: list[dict[str, Any]] = []
    vectors: dict[str, list[NDArray[np.float32]]] = {space.key: [] for space in spaces}
    store = BlobCache.in_memory(shard_files.FEATURES)
    told = 0
    try:
        while batch := list(islice(coming, BATCH)):
            items = [Item(one.name, one.digest, ()) for one in batch]
            pictures = ImageCache(file, items, loaded.model.frame, loaded.data, store=store)
            for i, one in enumerate(batch):
                pictures.take(i, one.picture)
            looked = shard_files.Looked()
            for strength, some in by_strength(spaces).items():
                yield from look(pictures, range(len(batch)), loaded, strength, some, looked, control)
            for key, values in looked.vectors.items():
                vectors[key].append(values)
            rows += [vector_files.row(one.digest, f"{file.name}/{one.name}", one.captions) for one in batch]
            for problem in found[told:]:
                yield ProblemFound(path=problem.path, reason=problem.reason)
            told = len(found)
    finally:
        store.close()
    empty = np.zeros((0, loaded.dim), np.float32)
    whole = {key: np.concatenate(values) if values else empty for key, values in vectors.items()}
    sides = {"base": whole[loaded.base.key]}
    if loaded.run_folder is not None:
        sides["adapted"] = whole[loaded.adapted.key]
    _write(rows, sides, _target(out, name))
    done = PackedDone(
        size=status.st_size, mtime_ns=status.st_mtime_ns, spaces=tuple(vectors), drawings=len(rows),
        problems=tuple(ScanProblem(path=one.path, reason=one.reason) for one in found),
    )  # fmt: skip
    write_document(out / "done" / f"{name}.json", done)
    return done


def _write(rows: Sequence[dict[str, Any]], sides: dict[str, NDArray[np.float32]], target: Path) -> None:
    """Whole or not at all, in the place of what an earlier state of the shard gave."""
    partial = target.with_name(f".partial-{target.name}")
    try:
        _remove(partial)
        vector_files.write(rows, sides, partial)
        _remove(target)
        os.replace(partial, target)
    except OSError as error:
        _remove(partial)
        raise cannot_write(target, error, _elsewhere()) from error


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _elsewhere() -> str:
    return _("Free some space there, or choose another folder.")
