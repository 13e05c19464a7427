"""A folder becomes a collection: every image decoded once, every fault named, nothing assumed."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Set
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from clip_atelier.engine.core import (
    Control,
    Countdown,
    Phase,
    ProblemFound,
    Progress,
    Scanned,
    UserError,
    Work,
    _,
    launch,
    no_folder,
    shown,
)
from clip_atelier.engine.data import (
    caption_tables,
    captions,
    eagle,
    image_gate,
    other_tables,
    sheets,
    trainers,
    vectors,
)
from clip_atelier.engine.data.caption_tables import CaptionRow
from clip_atelier.engine.data.caption_text import CaptionReader
from clip_atelier.engine.data.duplicates import near_duplicates
from clip_atelier.engine.data.further_folders import located, not_there
from clip_atelier.engine.data.image_facts import Fitting, ImageFacts, read
from clip_atelier.engine.data.names import Lookup, nfc
from clip_atelier.engine.data.pairs import OwnFolder, find_pairs, like_named
from clip_atelier.engine.data.records import Collection, Item, Problem, SplitName
from clip_atelier.engine.data.scan_cache import Gone, ScanCache
from clip_atelier.engine.data.walk import Found, walk
from clip_atelier.engine.settings import DataSettings

AHEAD: Final = 32
"""Files that may be decoded before their turn, at least two to a core: bounds memory, and how long a stop takes."""
EVERY: Final = 0.1
"""Seconds between two progress events."""
_LOOK: Final = 0.25


Read = tuple[ImageFacts, NDArray[np.uint8] | None]
Taking = Callable[[str, ImageFacts, NDArray[np.uint8] | None], Work[None]]
"""What is done with a drawing as soon as it is read: its path, what was found out, its picture where it was decoded."""


def scan(
    folder: Path,
    data: DataSettings,
    control: Control,
    cache: Path | None = None,
    fitting: Fitting | None = None,
    duplicates: bool = True,
    taking: Taking | None = None,
) -> Work[Collection]:
    """Reads a folder of drawings.

    Args:
        folder: The collection.
        data: Where captions and pairs come from.
        control: May stop or pause the work between two files.
        cache: SQLite file that remembers unchanged images; made where missing, done without where it cannot be used.
        fitting: Takes pictures that had to be decoded; those that the cache remembers do not come by.
        duplicates: Whether near-duplicates are looked for, which of many drawings takes longer than all else.
        taking: What is done with each drawing as soon as it is read; those that need not be decoded come first.

    Returns:
        The collection, its items ordered by path.

    Raises:
        UserError: the folder is missing, is a file, or holds no readable image; a chosen source is not there.
        Stopped: a stop was asked for; what was read stays in the cache.
    """
    yield Phase(name="scan", title=_("Reading the collection"))
    check_folder(folder)
    found = walk(folder, control)
    for problem in found.problems:
        yield ProblemFound(path=problem.path, reason=problem.reason)
    problems = list(found.problems)
    left_out = trainers.without_masks(found.images)
    of_eagle = eagle.take(folder, found.images, found.side_files, problems)
    of_sheets = sheets.take(folder, found.side_files, problems)
    readings = yield from _readings(folder, found, problems, control, cache, fitting, taking)
    if not readings:
        raise _nothing(folder, found, problems)
    paths = sorted(readings)
    reported = len(problems)
    notes = _unreadable(found) + left_out + trainers.repeats(paths)
    reader = CaptionReader(data)
    entries = caption_tables.read_tables(folder, found.side_files, Lookup(found.images), problems, reader)
    for path, entry in other_tables.read(folder, found.side_files, found.images, problems, reader).items():
        entries[path] = caption_tables.merged(entries[path], entry) if path in entries else entry
    for path, told in of_eagle.items():
        entry = CaptionRow(captions=reader.captions(told))
        entries[path] = caption_tables.merged(entries[path], entry) if path in entries else entry
    entries = {path: entry for path, entry in entries.items() if path in readings}
    problems += _twins(paths)
    further = {one.name for one in found.further}
    own = OwnFolder(Path(os.path.abspath(folder)).name, further)
    places = find_pairs(paths, entries, data, notes, own)
    inside = {path: reading.told for path, reading in readings.items()}
    words = captions.find_words(
        folder,
        paths,
        found.side_files,
        entries,
        places,
        reader,
        problems,
        inside,
        of_sheets.folders | further,
    )
    items = []
    for path in paths:
        reading, place, said = readings[path], places.get(path), words[path]
        items.append(
            Item(
                path=path,
                digest=reading.digest,
                captions=said.captions,
                label=said.label,
                pair=place.pair if place else "",
                role=place.role if place else "",
                split=_split(path, entries, further),
                width=reading.width,
                height=reading.height,
                look=reading.look,
                sheet=of_sheets.of(path, reading.digest),
            )
        )
    alike = near_duplicates([readings[path] for path in paths], control) if duplicates else ()
    alike = tuple(group for group in alike if not _partners([items[i] for i in group]))
    torn = sum(len({items[i].split for i in group} - {"unused"}) > 1 for group in alike)
    if torn:
        notes.append(
            _("Near-duplicates that the “split” column puts into different parts: {count}.").format(
                count=torn
            )
        )
    for problem in problems[reported:]:
        yield ProblemFound(path=problem.path, reason=problem.reason)
    remarks = [*reader.remarks()]
    if (
        further
        and not places
        and not (data.sketches or data.artworks)
        and (alike_named := like_named(paths, own))
    ):
        remarks.append(alike_named)
    collection = Collection(
        root=folder,
        items=tuple(items),
        caption_source=captions.overall(words),
        problems=tuple(sorted(problems, key=lambda problem: problem.path)),
        duplicates=tuple(tuple(paths[i] for i in group) for group in alike),
        notes=tuple(notes),
        remarks=tuple(remarks),
        further=found.further,
        absent=found.absent,
    )
    yield Scanned(
        images=len(items),
        captions=collection.caption_count,
        labels=len(collection.labels),
        pairs=len(collection.pairs),
        caption_source=collection.caption_source,
        problems=len(problems),
    )
    return collection


def check_folder(folder: Path) -> None:
    """Raises a UserError where there is no such folder."""
    if not folder.exists():
        raise no_folder(folder)
    if not folder.is_dir():
        raise UserError(
            _("“{folder}” is a file, not a folder.").format(folder=shown(folder)),
            _("Choose the folder that holds the images."),
            "folder",
        )


def _readings(
    folder: Path,
    found: Found,
    problems: list[Problem],
    control: Control,
    cache: Path | None,
    fitting: Fitting | None,
    taking: Taking | None,
) -> Work[dict[str, ImageFacts]]:
    known = ScanCache(cache, folder)
    results: dict[str, ImageFacts] = {}
    total = len(found.images)
    shown_at = time.monotonic()
    try:
        fresh: list[str] = []
        for path, stamp in found.images.items():
            reading = known.get(path, stamp)
            if reading is None:
                fresh.append(path)
            else:
                results[path] = reading
        known.spare(found.absent)
        gone = known.gone()
        moved = {path: facts for path in fresh if (facts := gone.moved(path, found.images[path]))}
        for path, facts in moved.items():
            results[path] = facts
            known.put(path, found.images[path], facts)
        fresh = [path for path in fresh if path not in moved]
        if taking is not None:
            for path, facts in results.items():
                yield from taking(path, facts, None)
        reused, countdown = len(results), Countdown(len(fresh))
        for done, (path, future) in enumerate(decoded(folder, fresh, control, fitting, gone), start=1):
            try:
                results[path], picture = future.result()
                known.put(path, found.images[path], results[path])
                if fitting and picture is not None:
                    fitting.take(results[path].digest, picture)
            except image_gate.ImageProblem as problem:
                problems.append(Problem(path, problem.reason))
                yield ProblemFound(path=path, reason=problem.reason)
            else:
                if taking is not None:
                    yield from taking(path, results[path], picture)
            now = time.monotonic()
            if now - shown_at >= EVERY:
                shown_at = now
                yield Progress(done=reused + done, total=total, seconds_left=countdown.left(done), item=path)
        known.forget_gone()
        yield Progress(done=total, total=total, seconds_left=0.0)
    finally:
        known.close()
    return results


def decoded(
    folder: Path, paths: list[str], control: Control, fitting: Fitting | None, gone: Gone | None = None
) -> Iterator[tuple[str, Future[Read]]]:
    """Reads files in a few threads (Pillow decodes without the interpreter's lock), in order, not far ahead."""
    threads = launch.cores()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="scan")
    waiting: deque[tuple[str, Future[Read]]] = deque()
    coming = iter(paths)
    try:
        while True:
            control.boundary()
            while len(waiting) < max(AHEAD, 2 * threads) and (path := next(coming, None)) is not None:
                known = partial(gone.same, path) if gone is not None else None
                waiting.append((path, pool.submit(read, located(folder, path), fitting, known)))
            if not waiting:
                return
            path, future = waiting.popleft()
            while not wait((future,), _LOOK).done:  # a drawing may take long; a stop does not wait for it
                control.boundary()
            yield path, future
    except BaseException:
        vectors.interrupt()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _split(path: str, entries: Mapping[str, CaptionRow], further: Set[str]) -> SplitName:
    declared = entries[path].split if path in entries else ""
    # As in Hugging Face's image folder, top folders may be the parts of a split.
    first, slash, rest = path.partition("/")
    if first in further:  # below it, as below the collection's own folder
        first, slash, rest = rest.partition("/")
    return declared or (caption_tables.split_name(first) if slash else "")


def _partners(items: list[Item]) -> bool:
    """A sketch and its artwork may look alike; that makes them no duplicates."""
    pairs = {item.pair for item in items}  # a copy outside of the pair has none
    return "" not in pairs and len(pairs) == 1 and len({item.role for item in items}) == len(items)


def _twins(paths: list[str]) -> list[Problem]:
    """Names that look the same but are spelled in composed and in decomposed letters, as after copying from macOS."""
    found = []
    composed: dict[str, str] = {}
    for path in paths:
        first = composed.setdefault(nfc(path), path)
        if first != path:
            reason = _(
                "Another image has a name that looks the same; captions and pairs may be mixed up. Rename one."
            )
            found.append(Problem(path, reason))
    return found


def _unreadable(found: Found) -> list[str]:
    # The end of a name tells folders apart; the whole may be thousands of letters long.
    names = ", ".join(
        shown(path if len(path) < 60 else f"…{path[-60:]}") for path in sorted(found.unreadable)[:3]
    )
    if not names:
        return []
    if len(found.unreadable) == 1:
        return [_("1 folder could not be read: {names}").format(names=names)]
    return [_("{count} folders could not be read: {names}").format(count=len(found.unreadable), names=names)]


def _nothing(folder: Path, found: Found, problems: list[Problem]) -> UserError:
    if found.absent:
        places = ", ".join(shown(one.folder) for one in found.further if one.name in found.absent)
        hint = _(
            "Connect their drives, or say where they are now (`clip-atelier folders locate`). They were in: {places}"
        )
        return not_there(found.absent, hint.format(places=places))
    message = _("“{folder}” has no images that can be read.").format(folder=shown(folder))
    first = [f"{shown(problem.path)}: {problem.reason}" for problem in problems[:3]] + _unreadable(found)
    return UserError(
        " ".join([message, *first]),
        _(
            "Choose a folder with PNG, JPEG, WebP, AVIF, HEIC, TIFF, SVG, PSD, PDF, Procreate, Clip Studio, Krita or OpenRaster files."
        ),
        "folder",
    )
