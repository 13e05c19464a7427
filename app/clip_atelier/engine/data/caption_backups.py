"""Every table of captions that was overwritten, dated, in the home: what is an artist's work is never gone at one stroke.

HOME/backups/captions/KEY/ holds the files as they were, named NUMBER-DATE-TIME-HASH-NAME; KEY stands for the folder. The number
tells their order, whatever the clock does; HASH begins the SHA-256 of the bytes. Where there was no table before, a file
ending in ".absent" says so.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import filelock
from pydantic import Field

from clip_atelier.engine.core import (
    Record,
    Text,
    UserError,
    WorkError,
    _,
    cannot_write,
    replacing,
    shown,
    write_document,
    write_whole,
)
from clip_atelier.engine.data import caption_tables, image_gate
from clip_atelier.engine.data.caption_text import CaptionReader
from clip_atelier.engine.data.further_folders import places_of
from clip_atelier.engine.data.names import Lookup
from clip_atelier.engine.data.records import Collection, Problem
from clip_atelier.engine.data.text_encoding import UnreadableText
from clip_atelier.engine.settings import DataSettings

LAST: Final = 10
"""So many backups of a folder are kept whatever their age."""
DAYS: Final = 31
"""Beside them the last of each day, for so many days."""
_NAME: Final = re.compile(r"(\d{6,})-(\d{8})-(\d{6})-([0-9a-f]{16})-(metadata\.(?:csv|jsonl))(\.absent)?")
_ABSENT: Final = ".absent"
_WAIT: Final = 10.0  # seconds for another window that saves in the same folder


class BackedUpFolder(Record):
    """Which folder the backups beside it are of."""

    schema_version: int = Field(default=1, alias="schema")
    folder: Text


@dataclass(frozen=True)
class Backup:
    """A table as it was.

    Attributes:
        number: Their order.
        name: The table's name in the folder.
        path: Where it is kept.
        absent: Whether there was no such table.
        day: When it was kept, YYYYMMDD, local time.
        clock: HHMMSS.
        folder: Where its table lies.
    """

    number: int
    name: str
    path: Path
    absent: bool
    day: str
    clock: str
    folder: Path

    @property
    def date(self) -> str:
        """As people read it: 2026-11-27 05:50:48."""
        d, c = self.day, self.clock
        return f"{d[:4]}-{d[4:6]}-{d[6:]} {c[:2]}:{c[2:4]}:{c[4:]}"

    def rows(self) -> int:
        """How many rows the table has; 0 where it cannot be read."""
        with contextlib.suppress(OSError, UnreadableText):
            content = self.path.read_bytes()
            return len(caption_tables.parsed(content, self.name)[0].rows) if content else 0
        return 0


def folder_key(root: Path) -> str:
    """A name for what the home keeps about a folder of drawings."""
    return hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:16]


def hint() -> str:
    """What to do where a table cannot be written."""
    return _("Free some space or change the folder's permissions; nothing was changed.")


class CaptionBackups:
    """The backups of one folder of drawings."""

    def __init__(self, home: Path, root: Path) -> None:
        self.root = root
        self.folder = home / "backups" / "captions" / folder_key(root)

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """Keeps other windows and commands from saving captions of this folder for the block.

        Raises:
            WorkError: another one has been at it for long, or the home cannot be written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with filelock.FileLock(self.folder / ".lock", timeout=_WAIT):
                yield
        except filelock.Timeout as error:
            raise WorkError(
                _("Another window is saving captions in “{folder}”.").format(folder=shown(self.root)),
                _("Try again in a moment; nothing was changed."),
            ) from error
        except OSError as error:
            raise cannot_write(self.folder, error) from error

    def list(self) -> list[Backup]:
        """What is kept, newest first."""
        found = []
        with contextlib.suppress(OSError):
            for path in self.folder.iterdir():
                match = _NAME.fullmatch(path.name)
                if match:
                    number, day, clock, _hash, name, absent = match.groups()
                    found.append(Backup(int(number), name, path, bool(absent), day, clock, self.root))
        return sorted(found, key=lambda backup: backup.number, reverse=True)

    def find(self, when: str = "") -> Backup:
        """The newest backup, or the newest of a day or time such as 2026-11-27 or "2026-11-27 05:50".

        Raises:
            UserError: there is none.
        """
        return self.fitting(self.list(), when)

    def fitting(self, kept: Sequence[Backup], when: str) -> Backup:
        """As `find`, among some that are sorted from the newest on."""
        wanted = re.sub(r"\D", "", when)
        fitting = [b for b in kept if (b.day + b.clock).startswith(wanted)] if wanted or not when else []
        if fitting:
            return fitting[0]
        if not kept:
            raise UserError(
                _("No captions of “{folder}” were overwritten so far.").format(folder=shown(self.root)),
                _("A backup is made whenever captions are saved."),
            )
        raise UserError(
            _("There is no backup of {date}.").format(date=when),
            _("Those at hand: {dates}.").format(dates=", ".join(backup.date for backup in kept)),
        )

    def keep(self, file: Path, when: str = "", *, anew: bool = False) -> Backup:
        """Keeps a table as it is now, before it is overwritten; call it while the folder is held.

        Args:
            file: The table.
            when: The time that it is kept under; several tables that are saved at once have one, and are restored at once.
            anew: Keep it once more even where the newest backup is the same.

        Raises:
            WorkError: the home cannot be written; the table must then not be overwritten.
        """
        kept = self.list()
        try:
            content = file.read_bytes() if file.exists() else None
        except OSError as error:
            raise WorkError(
                _("“{file}” cannot be read ({error}).").format(
                    file=shown(file), error=error.strerror or error
                ),
                hint(),
            ) from error
        newest = kept[0] if kept else None
        if newest and not anew and newest.name == file.name and _same(newest, content):
            return newest
        number = newest.number + 1 if newest else 1
        told = f"{number:06d}-{when or stamp()}-{_hash(content or b'')}-{file.name}"
        path = self.folder / (told if content is not None else told + _ABSENT)
        about = self.folder / "folder.json"
        if not about.exists():
            write_document(about, BackedUpFolder(folder=str(self.root)))
        write_whole(path, content or b"")
        kept = self.list()
        for old in _beyond(kept):
            with contextlib.suppress(OSError):
                old.path.unlink()
        return kept[0]

    def restore(self, backup: Backup) -> Path:
        """Puts a backup back in its place; what is there is kept first, so that this can be undone as well.

        Returns:
            The table; it is gone if there was none when the backup was made.

        Raises:
            WorkError: the backup cannot be read, or the table cannot be written; the old one is there then.
        """
        target = self.root / backup.name
        if not self.root.is_dir():
            raise WorkError(
                _("There is no folder “{folder}”.").format(folder=shown(self.root)),
                _("Connect its drive, or say where the folder is now; nothing was changed."),
            )
        with self.hold():
            try:
                content = backup.path.read_bytes()
                fault = backup_fault(backup.path)
            except OSError as error:
                fault = error.strerror or str(error)
            if fault:
                raise WorkError(
                    _("The backup of {date} cannot be read ({error}).").format(date=backup.date, error=fault),
                    _("Choose another one; nothing was changed."),
                )
            self.keep(target)
            self.put_back(backup, content)
        return target

    def put_back(self, backup: Backup, content: bytes | None = None) -> None:
        """Has a table as a backup has it, and keeps nothing; call it while the folder is held.

        Raises:
            WorkError: the table cannot be written.
        """
        target = self.root / backup.name
        try:
            if not backup.absent:
                write_table(target, backup.path.read_bytes() if content is None else content)
            else:
                target.unlink(missing_ok=True)
        except OSError as error:
            raise cannot_write(target, error, hint()) from error

    def captions(self, backup: Backup, collection: Collection) -> dict[str, tuple[str, ...]]:
        """What a backup says about the drawings of a collection; those that it does not name are left out."""
        if backup.absent:
            return {}
        problems: list[Problem] = []
        own = further_of(backup, collection)
        paths = Lookup(item.path for item in collection.items)
        reader = CaptionReader(DataSettings())
        name = f"{own}/{backup.name}" if own else backup.name
        entries = caption_tables.read_table(backup.path, name, paths, problems, reader)
        if own:
            entries = {path: entry for path, entry in entries.items() if path.startswith(f"{own}/")}
        return {path: tuple(entry.captions) for path, entry in entries.items() if entry.captions}


def further_of(backup: Backup, collection: Collection) -> str:
    """The further folder of a collection that a backup's table lies in, "" for the collection's own."""
    return next((one.name for one in collection.further if one.path == backup.folder), "")


def backups_of(home: Path, root: Path) -> list[Backup]:
    """What is kept of a collection's folders, newest first."""
    folders = [root, *(one.path for one in places_of(root).further.values())]
    kept = [backup for folder in folders for backup in CaptionBackups(home, folder).list()]
    return sorted(kept, key=lambda backup: (backup.day, backup.clock, backup.number), reverse=True)


def saved_with(backup: Backup, kept: Iterable[Backup]) -> list[Backup]:
    """A backup, and those of other folders that were made as the same save began."""
    found = {backup.folder: backup}
    for other in kept:
        if (other.day, other.clock) == (backup.day, backup.clock):
            found.setdefault(other.folder, other)
    return list(found.values())


def write_table(target: Path, content: bytes) -> None:
    """Replaces a table, whole or not at all; a link stays one, permissions stay as they are.

    Raises:
        WorkError: it cannot be written; the old one is there.
    """
    real = target.resolve()
    with replacing(real, hint()) as partial:
        partial.write_bytes(content)
        if real.exists():
            shutil.copymode(real, partial)


def read_back(file: Path) -> bytes:
    """A table's bytes.

    Raises:
        WorkError: it cannot be read.
    """
    try:
        return caption_tables.content_of(file, caption_tables.MAX_BYTES)
    except image_gate.ImageProblem as problem:
        raise cannot_change(file, problem.reason) from problem


def cannot_change(file: Path, reason: str) -> WorkError:
    """The error for a table that cannot be changed without losing something."""
    return WorkError(
        _("“{file}” cannot be changed: {reason}").format(file=shown(file), reason=reason),
        _("Fix or remove it first; nothing was changed."),
    )


def backup_fault(path: Path) -> str:
    """What is wrong with a backup's file, "" if nothing.

    Raises:
        OSError: it cannot be read.
    """
    named = _NAME.fullmatch(path.name)
    return "" if named and named[4] == _hash(path.read_bytes()) else _("it is not as it was written.")


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def stamp() -> str:
    """Now, as backups are named."""
    return time.strftime("%Y%m%d-%H%M%S")


def _same(backup: Backup, content: bytes | None) -> bool:
    if backup.absent or content is None:
        return backup.absent and content is None
    with contextlib.suppress(OSError):
        return backup.path.read_bytes() == content
    return False


def _beyond(kept: list[Backup]) -> list[Backup]:
    """Those that need not be kept any longer, of backups that are sorted from the newest on."""
    days: set[str] = set()
    left = []
    first = (datetime.strptime(stamp()[:8], "%Y%m%d") - timedelta(days=DAYS)).strftime("%Y%m%d")
    for place, backup in enumerate(kept):
        of_day = backup.day not in days and backup.day >= first
        days.add(backup.day)
        if place >= LAST and not of_day:
            left.append(backup)
    return left
