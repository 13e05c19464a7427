"""Finds the files of a collection: each once, whatever links there are; never blocks, never fails on one bad entry."""

from __future__ import annotations

import contextlib
import functools
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from clip_atelier.engine.core import N_, Control, _, page_name, shown
from clip_atelier.engine.data import documents, further_folders, image_gate, other_tables
from clip_atelier.engine.data.further_folders import FurtherFolder, Places, located, places_of
from clip_atelier.engine.data.names import folded
from clip_atelier.engine.data.records import Problem
from clip_atelier.engine.data.scan_cache import Stamp

UNREAD: Final = frozenset(
    (".eps", ".ps", ".ai", ".xcf", ".jxl", ".jp2", ".tga", ".exr", ".hdr",
     ".sai", ".sai2", ".mdp", ".afphoto", ".afdesign", ".dng", ".cr2", ".cr3", ".nef", ".arw")
)  # fmt: skip
"""Kinds of drawings that are named as not read, instead of being passed over in silence."""
_IGNORED: Final = frozenset(("__macosx", "@eadir", "thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin"))
_SIDE_FILES: Final = (
    frozenset((".txt", ".caption", ".xmp", ".csv", ".tsv", ".jsonl", ".json")) | other_tables.UNREAD
)


@dataclass
class Found:
    """The files below a folder, by their path relative to it."""

    images: dict[str, Stamp] = field(default_factory=dict)
    side_files: set[str] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    folders: dict[str, int] = field(default_factory=dict)
    """When the names in each folder changed last, in nanoseconds; "" is the folder itself."""
    further: tuple[FurtherFolder, ...] = ()
    absent: tuple[str, ...] = ()
    """Names of the further folders that are not there."""


@dataclass(frozen=True)
class FolderState:
    """What of a folder tells whether anything in it changed: images with size and times, and the names of other files."""

    images: dict[str, Stamp]
    side_files: frozenset[str]


def pages_of(file: Path) -> list[Path]:
    """A picture's path, those of the pages of a document that has several, or all that are below a folder."""
    if file.is_dir():
        return [located(file, path) for path in walk(file, Control()).images]
    count = documents.page_count(file) if file.suffix.lower() == ".pdf" else 1
    if count < 2:
        return [file]
    return [Path(page_name(str(file), number)) for number in range(1, min(count, documents.MAX_PAGES) + 1)]


def walk(root: Path, control: Control) -> Found:
    """Finds what is below `root` and its further folders. Hidden files and the leftovers of systems are ignored.

    Raises:
        Stopped: a stop was asked for.
    """
    places = places_of(root, now=True)
    found = Found(further=tuple(places.further.values()))
    if places.fault:
        reason = _("The list of further folders cannot be read: {reason} {hint}").format(
            reason=places.fault, hint=further_folders.damaged_hint()
        )
        found.problems.append(Problem(further_folders.FILE, reason))
    seen: set[tuple[int, int]] = set()
    links: list[str] = []
    tops = [root, *(one.path for one in found.further)]
    above = {(status.st_dev, status.st_ino) for top in tops for status in _stats_above(top)}
    _below(places, "", seen, links, found, control)
    for one in found.further:
        _further(places, one, seen, links, found, control)
    # Links last, so that a file is known by its own path and not by a link's.
    while links:
        path = links.pop(0)
        try:
            status = os.stat(places.file(path))
        except OSError:
            found.problems.append(Problem(path, _("The link leads nowhere.")))
            continue
        if (status.st_dev, status.st_ino) in seen:
            continue
        if stat.S_ISDIR(status.st_mode):
            if (status.st_dev, status.st_ino) in above:
                continue  # it would lead over everything beside the collection
            _below(places, path, seen, links, found, control)
        else:
            seen.add((status.st_dev, status.st_ino))
            _add(places, path, status, found)
    return found


def _stats_above(top: Path) -> Iterator[os.stat_result]:
    for folder in top.resolve().parents:
        with contextlib.suppress(OSError):  # of a further folder whose drive is gone
            yield os.stat(folder)


def _further(
    places: Places,
    one: FurtherFolder,
    seen: set[tuple[int, int]],
    links: list[str],
    found: Found,
    control: Control,
) -> None:
    """A further folder, as if it lay in the collection's own."""
    reason = ""
    if not one.there:
        found.absent = (*found.absent, one.name)
        reason = _(
            "This folder of the collection is not there: {folder}. Connect its drive, say where it is now, or take it out. "
            "Its captions are kept."
        )
    else:
        before = len(found.images), len(links)
        _below(places, one.name, seen, links, found, control)
        if (len(found.images), len(links)) == before:
            reason = _(
                "No drawing was found in this folder of the collection: {folder}. If its drive is not connected, connect it."
            )
    if reason:
        found.problems.append(Problem(one.name, reason.format(folder=shown(one.folder))))


def _below(
    places: Places, start: str, seen: set[tuple[int, int]], links: list[str], found: Found, control: Control
) -> None:
    hidden = {folded(name) for name in places.further}
    folders = [start]
    while folders:
        control.boundary()
        folder = folders.pop()
        try:
            status = os.stat(places.file(folder))
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            found.folders[folder] = status.st_mtime_ns
            for path, entry in _entries(places, folder):
                if not folder and hidden and folded(path) in hidden:
                    found.problems.append(Problem(path, _hidden()))
                elif entry.is_symlink():
                    links.append(path)
                elif entry.is_dir():
                    folders.append(path)
                else:
                    _file(places, path, seen, found)
        except OSError:
            found.unreadable.append(folder or ".")


def _hidden() -> str:
    return _(
        "A further folder of the collection is called like this, so what lies here is not read. Rename this one."
    )


def _file(places: Places, path: str, seen: set[tuple[int, int]], found: Found) -> None:
    try:
        status = os.stat(places.file(path))
    except OSError:
        return  # it went away since the folder was listed
    seen.add((status.st_dev, status.st_ino))
    _add(places, path, status, found)


def _entries(places: Places, folder: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
    with os.scandir(places.file(folder)) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if not entry.name.startswith(".") and entry.name.lower() not in _IGNORED:
                yield (f"{folder}/{entry.name}" if folder else entry.name), entry


_ODD: Final = (
    (stat.S_ISFIFO, N_("This is a pipe, not a file.")),
    (stat.S_ISSOCK, N_("This is a socket, not a file.")),
    (stat.S_ISCHR, N_("This is a device, not a file.")),
    (stat.S_ISBLK, N_("This is a device, not a file.")),
)


def _add(places: Places, path: str, status: os.stat_result, found: Found) -> None:
    suffix = os.path.splitext(path)[1].lower()
    if os.path.basename(path) == further_folders.FILE:
        return  # of the collection, or of a folder that is one by itself
    if suffix in _SIDE_FILES and stat.S_ISREG(status.st_mode):
        found.side_files.add(path)
        return
    for is_kind, reason in _ODD:
        if is_kind(status.st_mode):
            found.problems.append(Problem(path, _(reason)))
            return
    if suffix == ".pdf":
        _add_pages(places, path, Stamp.of(status), found)
    elif suffix in image_gate.SUFFIXES or (not suffix and _sniffed(places.file(path), Stamp.of(status))):
        found.images[path] = Stamp.of(status)
    elif suffix in UNREAD:
        reason = _("Files of the kind {suffix} are not read. Export the drawing as PNG.").format(
            suffix=suffix
        )
        found.problems.append(Problem(path, reason))


# A folder that is watched is walked again and again: no file is opened twice for the same content.
@functools.lru_cache(maxsize=4096)
def _page_count(file: str, _stamp: Stamp) -> int:
    return documents.page_count(Path(file))


@functools.lru_cache(maxsize=4096)
def _sniffed(file: str, _stamp: Stamp) -> bool:
    return image_gate.sniff(Path(file))


def _add_pages(places: Places, path: str, stamp: Stamp, found: Found) -> None:
    """Each page of a document is a drawing; a document of one page is one by its own name."""
    count = _page_count(places.file(path), stamp)
    if count < 2:
        found.images[path] = stamp
        return
    for number in range(1, min(count, documents.MAX_PAGES) + 1):
        found.images[page_name(path, number)] = stamp
    if count > documents.MAX_PAGES:
        reason = _(
            "The document has {count} pages; the first {most} are read. Divide it into several."
        ).format(count=count, most=documents.MAX_PAGES)
        found.problems.append(Problem(path, reason))
