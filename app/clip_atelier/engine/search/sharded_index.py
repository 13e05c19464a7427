"""Indexing a folder with several processes or machines: each embeds its shard of the drawings, and the shards are joined.

Shards meet in a folder (`shard_files`). A shard that is complete is not made again, one that was interrupted goes on after
its last whole batch. Joining puts all of it into the home's one ordinary index, as if this machine had embedded it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from clip_atelier.engine.core import (
    Control,
    Countdown,
    DamagedFile,
    Notice,
    Phase,
    ProblemFound,
    Progress,
    UserError,
    Work,
    WorkError,
    _,
    launch,
    shown,
)
from clip_atelier.engine.data import (
    ImageCache,
    Item,
    KnownDrawing,
    Part,
    PartReader,
    ScanProblem,
    Stamp,
    drawings_fingerprint,
    drawings_of,
    number_of,
    remembering,
    scan_cache_file,
)
from clip_atelier.engine.models import Models
from clip_atelier.engine.search import processes, shard_files
from clip_atelier.engine.search.embedding_store import EmbeddingStore, Space
from clip_atelier.engine.search.gallery import BATCH, by_strength, look, open_gallery, quiet, summary
from clip_atelier.engine.search.loaded_model import LoadedModel, load_model
from clip_atelier.engine.search.model_ref import ModelRef
from clip_atelier.engine.search.results import IndexSummary, ShardSummary
from clip_atelier.engine.search.shard_files import (
    FEATURES,
    Looked,
    ShardDone,
    ShardFolder,
    ShardPart,
    ShardPlan,
)
from clip_atelier.engine.storage import BlobCache


def place_in(home: Path, folder: Path) -> Path:
    """Where shards of a folder meet when they all have the same home."""
    name = hashlib.sha256(str(folder.resolve()).encode("utf-8", "surrogateescape")).hexdigest()[:16]
    return home / "index" / "shards" / name


def index_shard(
    folder: Path,
    model_ref: ModelRef,
    models: Models,
    control: Control,
    part: Part,
    place: Path | None = None,
    join: bool = True,
) -> Work[ShardSummary]:
    """Embeds one shard of a folder's drawings, only what changed; whoever completes the last one joins them all.

    Args:
        folder: The drawings.
        model_ref: With which model.
        models: Owner of loaded models; what it knows of unchanged drawings is in its home.
        control: Stop and pause; what was embedded stays.
        part: Which shard.
        place: The folder where the shards meet; below the home where left out, which then all processes share.
        join: Whether they are joined when this one is the last.

    Raises:
        UserError: no such folder, run or model; the shards there are of another number or model, or this one is at work.
        WorkError: a disk is full; what was embedded so far is kept.
    """
    yield Phase(name="load", title=_("Opening the model"))
    loaded = load_model(model_ref, models)
    began = time.monotonic()
    try:
        spaces = loaded.spaces(parts=True)
        plan = ShardPlan(spaces=tuple(space.key for space in spaces))
        where = place or place_in(models.home, folder)
        shard = ShardFolder(where, part)
        shard_files.must_agree(where, part.count, plan)
        with shard.held():
            yield Phase(name="scan", title=_("Reading the collection"))
            own = drawings_of(folder, part, control)
            done, embedded = shard.done(), 0
            if done is None or done.fingerprint != drawings_fingerprint(own):
                shard.reopen()
                shard.begin(plan)
                home = None if place else models.home
                embedded, problems = yield from _fill(folder, own, loaded, shard, home, control)
                done = ShardDone(
                    drawings=len(own),
                    parts=len(shard.files()),
                    fingerprint=drawings_fingerprint(own),
                    problems=tuple(problems),
                )
                shard.complete(done)
        joined = None
        left = _not_current(folder, where, part.count, control) if join else []
        if join and not left:
            with shard_files.held(where, "join") as first:
                if first:  # else another one that ended just now joins them
                    joined = yield from _join(
                        folder, loaded, model_ref, models.home, where, part.count, control
                    )
            if joined and not place:
                _tidy(where)
    finally:
        loaded.release()
    skipped = len(done.problems)
    return ShardSummary(
        folder=str(folder),
        shard=part.number,
        shards=part.count,
        place=str(where),
        images=len(own) - skipped,
        embedded=embedded,
        reused=len(own) - skipped - embedded,
        skipped=skipped,
        seconds=time.monotonic() - began,
        missing=tuple(left),
        joined=joined,
    )


def index_together(
    folder: Path, model_ref: ModelRef, models: Models, control: Control, place: Path | None = None
) -> Work[ShardSummary]:
    """What one of several processes does that a launcher started: its shard; the first joins them all at the end.

    Arguments as for `index_shard`.

    Raises:
        UserError: as there, or the processes are on several machines and `place` is left out.
        WorkError: another process ended before its shard was complete; what was embedded is kept.
    """
    if launch.size() > launch.processes_here() and place is None:
        raise UserError(
            _(
                "The processes are on several machines, which have no folder in common to put their shards in."
            ),
            _("Name a folder on a drive that all of them share, with --shards."),
            "shards",
        )
    part = Part(launch.rank() + 1, launch.size())
    with processes.together(control) as wait_for_all:
        found = yield from index_shard(folder, model_ref, models, control, part, place, join=False)
        yield Phase(name="wait", title=_("Waiting for the other processes"))
        wait_for_all()
    if not launch.leads():
        return found
    joined = yield from join_shards(folder, model_ref, models, control, place)
    return found.model_copy(update={"missing": (), "joined": joined})


def join_shards(
    folder: Path, model_ref: ModelRef, models: Models, control: Control, place: Path | None = None
) -> Work[IndexSummary]:
    """Puts the complete shards of a folder into the index of this home; arguments as for `index_shard`.

    Drawings that came since are embedded here.

    Raises:
        UserError: a shard is missing or not complete, or damaged; it is named.
    """
    yield Phase(name="load", title=_("Opening the model"))
    loaded = load_model(model_ref, models)
    try:
        where = place or place_in(models.home, folder)
        begun = shard_files.shards_in(where)
        if not begun:
            raise UserError(
                _("There are no shards in “{place}”.").format(place=shown(where)),
                _("Make them with “clip-atelier index FOLDER --shard 1/4” and so on, or check --shards."),
                "shards",
            )
        count = begun[0].part.count
        plan = ShardPlan(spaces=tuple(space.key for space in loaded.spaces(parts=True)))
        shard_files.must_agree(where, count, plan)
        if lost := shard_files.missing(begun, count):
            raise UserError(
                _("These of the {count} shards are missing or not complete: {shards}.").format(
                    count=count, shards=", ".join(map(str, lost))
                ),
                _("Run “clip-atelier index FOLDER --shard {shard}/{count}”, and so on for each.").format(
                    shard=lost[0], count=count
                ),
                "shard",
            )
        found = yield from _join(folder, loaded, model_ref, models.home, where, count, control)
        if not place:
            _tidy(where)
        return found
    finally:
        loaded.release()


def _not_current(folder: Path, place: Path, count: int, control: Control) -> list[int]:
    """Numbers of the shards that are not complete, or that new drawings have come to since."""
    completed = {n: ShardFolder(place, Part(n, count)).done() for n in range(1, count + 1)}
    left = [number for number, done in completed.items() if done is None]
    if left:
        return left
    own: dict[int, dict[str, Stamp]] = {number: {} for number in completed}
    for path, stamp in drawings_of(folder, Part(1, 1), control).items():
        own[number_of(path, count)][path] = stamp
    return [n for n, done in completed.items() if done and done.fingerprint != drawings_fingerprint(own[n])]


def _fill(
    folder: Path,
    own: dict[str, Stamp],
    loaded: LoadedModel,
    shard: ShardFolder,
    home: Path | None,
    control: Control,
) -> Work[tuple[int, list[ScanProblem]]]:
    """Embeds the drawings of a shard that are in none of its parts, nor in the index of `home` where that is given.

    Returns:
        How many were embedded, and which cannot be read.
    """
    yield Phase(name="index", title=_("Embedding shard {shard}").format(shard=shard.part))
    spaces = loaded.spaces(parts=True)
    there = yield from _there(shard, spaces)
    new = {path: stamp for path, stamp in own.items() if not (path in there and there[path].is_of(stamp))}
    count, problems = 0, list[ScanProblem]()
    countdown, done = Countdown(len(new)), 0
    data, frame = loaded.data, loaded.model.frame
    index, known = home / "index" / "index.sqlite" if home else None, set[str]()
    if index and index.is_file():
        with EmbeddingStore(index) as store:
            known = set.intersection(*(store.digests(space) for space in spaces))
    with (
        PartReader(folder, scan_cache_file(loaded.home), frame, data.image_fit) as reader,
        contextlib.closing(BlobCache.in_memory(FEATURES)) as shared,
    ):
        for batch in _batches(new):
            control.boundary()
            facts, unread = reader.read(batch, control)
            digests = {path: one.digest for path, one in facts.items()}
            unknown = set(digests.values()) - known
            items = {digest: Item(path, digest, ()) for path, digest in digests.items() if digest in unknown}
            pictures = ImageCache(folder, list(items.values()), frame, data, store=shared)
            for i, digest in enumerate(items):
                if digest in reader.pictures:
                    pictures.take(i, reader.pictures[digest])
            bad = set((yield from quiet(pictures.prepare(range(len(items)), control))))
            good = [i for i in range(len(items)) if i not in bad]
            lost = {pictures.items[i].digest for i in bad}
            for problem in unread:
                yield ProblemFound(path=problem.path, reason=problem.reason)
                problems.append(ScanProblem(path=problem.path, reason=problem.reason))
            for path in (path for path, digest in digests.items() if digest in lost):
                problems.append(ScanProblem(path=path, reason=_("It changed while it was read.")))
            if good:
                looked = Looked()
                for strength, some in by_strength(spaces).items():
                    yield from look(pictures, good, loaded, strength, some, looked, control)
                read = [
                    KnownDrawing.of(path, batch[path], one)
                    for path, one in facts.items()
                    if one.digest in unknown and one.digest not in lost
                ]
                shard.keep(
                    ShardPart(tuple(read), tuple(pictures.items[i].digest for i in good), looked.vectors)
                )
                count += len(read)
            done += len(batch)
            yield countdown.at(done, next(reversed(batch)))
    return count, problems


def _there(shard: ShardFolder, spaces: Sequence[Space]) -> Work[dict[str, KnownDrawing]]:
    """The drawings in the whole parts of a shard; a damaged part is taken away, and its drawings are embedded again."""
    found: dict[str, KnownDrawing] = {}
    for file in shard.files():
        try:
            part = shard_files.read_part(file)
            if set(part.vectors) != {space.key for space in spaces}:
                raise DamagedFile(file, "spaces")
        except DamagedFile as error:
            yield Notice(text=_("{problem} It is made anew.").format(problem=error.message))
            file.unlink(missing_ok=True)
            continue
        found |= {one.path: one for one in part.drawings}
    return found


def _batches(drawings: dict[str, Stamp]) -> Iterator[dict[str, Stamp]]:
    left = iter(drawings.items())
    while batch := dict(islice(left, BATCH)):
        yield batch


def _join(
    folder: Path,
    loaded: LoadedModel,
    model_ref: ModelRef,
    home: Path,
    place: Path,
    count: int,
    control: Control,
) -> Work[IndexSummary]:
    yield Phase(name="join", title=_("Joining the shards"))
    spaces = {space.key: space for space in loaded.spaces(parts=True)}
    all_there = drawings_of(folder, Part(1, 1), control)
    files = [
        (shard, file)
        for shard in shard_files.shards_in(place)
        if shard.part.count == count
        for file in shard.files()
    ]
    added = set[str]()
    with (
        EmbeddingStore(home / "index" / "index.sqlite") as store,
        remembering(scan_cache_file(home), folder, all_there) as remember,
    ):
        known = {key: store.digests(space) for key, space in spaces.items()}
        for done, (shard, file) in enumerate(files, 1):
            control.boundary()
            try:
                part = shard_files.read_part(file)
                if set(part.vectors) != set(spaces):
                    raise DamagedFile(file, "spaces")
            except (DamagedFile, OSError) as error:
                shard.reopen()
                raise WorkError(
                    _("Shard {shard} is damaged: {reason}").format(
                        shard=shard.part, reason=error.message if isinstance(error, DamagedFile) else error
                    ),
                    _("Run “clip-atelier index FOLDER --shard {shard}” again; what is whole is kept.").format(
                        shard=shard.part
                    ),
                ) from error
            for key, vectors in part.vectors.items():
                new = [i for i, digest in enumerate(part.digests) if digest not in known[key]]
                if new:
                    digests = [part.digests[i] for i in new]
                    store.add(spaces[key], digests, vectors[new])
                    known[key].update(digests)
                    added.update(digests)
            remember(part.drawings)
            yield Progress(done=done, total=len(files), item=file.name)
    gallery = yield from open_gallery(folder, loaded, home, control, parts=True)
    fresh = sum(item.digest in added for item in gallery.items)
    return summary(gallery, loaded, model_ref, fresh)


def _tidy(place: Path) -> None:
    """Takes away shards that are in the index now, but for one that somebody works on again."""
    for shard in shard_files.shards_in(place):
        with shard_files.held(place, shard.folder.name) as got:
            if got:
                with contextlib.suppress(OSError):
                    shard.remove()
    with contextlib.suppress(OSError):
        os.rmdir(place)
