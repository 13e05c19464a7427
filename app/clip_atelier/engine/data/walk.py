"""Finds the files of a folder: each once, whatever links there are; never blocks, never fails on one bad entry."""

from __future__ import annotations

import functools
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from clip_atelier.engine.core import N_, Control, _, page_name
from clip_atelier.engine.data import documents, image_gate, other_tables
from clip_atelier.engine.data.records import Problem
from clip_atelier.engine.data.scan_cache import Stamp

UNREAD: Final = frozenset(
    (".eps", ".ps", ".ai", ".svg", ".svgz", ".xcf", ".jxl", ".jp2", ".tga", ".exr", ".hdr",
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


@dataclass(frozen=True)
class FolderState:
    """What of a folder tells whether anything in it changed: images with size and times, and the names of other files."""

    images: dict[str, Stamp]
    side_files: frozenset[str]


def pages_of(file: Path) -> list[Path]:
    """A picture's path, those of the pages of a document that has several, or all that are below a folder."""
    if file.is_dir():
        return [file / path for path in walk(file, Control()).images]
    count = documents.page_count(file) if file.suffix.lower() == ".pdf" else 1
    if count < 2:
        return [file]
    return [Path(page_name(str(file), number)) for number in range(1, min(count, documents.MAX_PAGES) + 1)]


def walk(root: Path, control: Control) -> Found:
    """Finds what is below `root`. Hidden files and the leftovers of operating systems are ignored.

    Raises:
        Stopped: a stop was asked for.
    """
    found = Found()
    seen: set[tuple[int, int]] = set()
    links: list[str] = []
    above = {(status.st_dev, status.st_ino) for status in map(os.stat, root.resolve().parents)}
    _below(root, "", seen, links, found, control)
    # Links last, so that a file is known by its own path and not by a link's.
    while links:
        path = links.pop(0)
        try:
            status = os.stat(root / path)
        except OSError:
            found.problems.append(Problem(path, _("The link leads nowhere.")))
            continue
        if (status.st_dev, status.st_ino) in seen:
            continue
        if stat.S_ISDIR(status.st_mode):
            if (status.st_dev, status.st_ino) in above:
                continue  # it would lead over everything beside the collection
            _below(root, path, seen, links, found, control)
        else:
            seen.add((status.st_dev, status.st_ino))
            _add(root, path, status, found)
    return found


def _below(
    root: Path, start: str, seen: set[tuple[int, int]], links: list[str], found: Found, control: Control
) -> None:
    folders = [start]
    while folders:
        control.boundary()
        folder = folders.pop()
        try:
            status = os.stat(_joined(root, folder))
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            found.folders[folder] = status.st_mtime_ns
            for path, entry in _entries(root, folder):
                if entry.is_symlink():
                    links.append(path)
                elif entry.is_dir():
                    folders.append(path)
                else:
                    _file(root, path, seen, found)
        except OSError:
            found.unreadable.append(folder or ".")


def _joined(root: Path, path: str) -> str:
    """The path as a string: of a hundred thousand files, making `Path`s takes longer than looking at them."""
    return os.path.join(root, path)


def _file(root: Path, path: str, seen: set[tuple[int, int]], found: Found) -> None:
    try:
        status = os.stat(_joined(root, path))
    except OSError:
        return  # it went away since the folder was listed
    seen.add((status.st_dev, status.st_ino))
    _add(root, path, status, found)


def _entries(root: Path, folder: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
    with os.scandir(_joined(root, folder)) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if not entry.name.startswith(".") and entry.name.lower() not in _IGNORED:
                yield (f"{folder}/{entry.name}" if folder else entry.name), entry


_ODD: Final = (
    (stat.S_ISFIFO, N_("This is a pipe, not a file.")),
    (stat.S_ISSOCK, N_("This is a socket, not a file.")),
    (stat.S_ISCHR, N_("This is a device, not a file.")),
    (stat.S_ISBLK, N_("This is a device, not a file.")),
)


def _add(root: Path, path: str, status: os.stat_result, found: Found) -> None:
    suffix = os.path.splitext(path)[1].lower()
    if suffix in _SIDE_FILES and stat.S_ISREG(status.st_mode):
        found.side_files.add(path)
        return
    for is_kind, reason in _ODD:
        if is_kind(status.st_mode):
            found.problems.append(Problem(path, _(reason)))
            return
    if suffix == ".pdf":
        _add_pages(root, path, Stamp.of(status), found)
    elif suffix in image_gate.SUFFIXES or (not suffix and _sniffed(_joined(root, path), Stamp.of(status))):
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


def _add_pages(root: Path, path: str, stamp: Stamp, found: Found) -> None:
    """Each page of a document is a drawing; a document of one page is one by its own name."""
    count = _page_count(_joined(root, path), stamp)
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
