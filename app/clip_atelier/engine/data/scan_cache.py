"""What earlier scans found out, so that an unchanged file is not decoded again. Losing it costs time only."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from clip_atelier.engine.core import document_of_page, original
from clip_atelier.engine.data.image_facts import ImageFacts
from clip_atelier.engine.storage import NewerDatabase, checksum, fault_of, open_database, transaction

_VERSION: Final = 5
_SINCE: Final = 4
"""Raise it when `read` finds out other things: entries of older versions are then forgotten."""
_FORGET: Final = "DROP TABLE IF EXISTS readings;"
_TABLE: Final = """
CREATE TABLE IF NOT EXISTS readings (
    path BLOB PRIMARY KEY, size INTEGER, mtime_ns INTEGER, ctime_ns INTEGER,
    digest TEXT, width INTEGER, height INTEGER, look INTEGER, sight BLOB,
    told TEXT, crc INTEGER, ino INTEGER
) WITHOUT ROWID
"""
_ADDED: Final = {"readings": "ino INTEGER"}
_GUARDED: Final = "path, size, mtime_ns, ctime_ns, digest, width, height, look, sight, told"
"""Columns that a row's checksum is of."""
_NOT_DAMAGE: Final = (
    "SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_READONLY", "SQLITE_FULL", "SQLITE_IOERR", "SQLITE_CANTOPEN", "SQLITE_PERM",
)  # fmt: skip
"""Failures after which the file is left as it is."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """By what a file is taken to be unchanged.

    Attributes:
        ino: The file's number on its drive, which it keeps where it or its folder is moved; 0 where it is not known.
    """

    size: int
    mtime_ns: int
    ctime_ns: int
    ino: int = field(default=0, compare=False)

    @classmethod
    def of(cls, status: os.stat_result) -> Stamp:
        """The stamp of a file with this status."""
        return cls(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)

    def is_moved(self, former: Stamp) -> bool:
        """Whether this is a file that had the other stamp at another place: the same one, not written to since."""
        return self == former and self.ino == former.ino != 0


class ScanCache:
    """Readings of the files below one folder, kept in an SQLite file; without a usable file it just forgets."""

    def __init__(self, file: Path | None, root: Path) -> None:
        self._root = os.fsencode(os.path.join(os.path.abspath(root), ""))
        self._new: list[tuple[object, ...]] = []
        self._known: dict[str, tuple[Stamp, ImageFacts]] = {}
        self._gone: set[str] = set()
        self._database = self._open(file) if file is not None else None

    def get(self, path: str, stamp: Stamp) -> ImageFacts | None:
        """The reading of the file at `path` (relative), if it has not changed since."""
        self._gone.discard(path)
        known = self._known.get(path)
        return known[1] if known is not None and known[0] == stamp else None

    def put(self, path: str, stamp: Stamp, reading: ImageFacts) -> None:
        """Remembers a reading; written in batches."""
        look = (
            reading.look - (1 << 64) if reading.look >> 63 else reading.look
        )  # SQLite's integers are signed
        row = (
            self._root + os.fsencode(path),
            *(stamp.size, stamp.mtime_ns, stamp.ctime_ns),
            *(reading.digest, reading.width, reading.height, look, reading.sight),
            json.dumps(reading.told),
        )
        # SQLite's integers are signed.
        ino = stamp.ino if stamp.ino < 1 << 63 else 0
        self._new.append((*row, checksum(*row), ino))
        if len(self._new) >= 256:
            self.save()

    def save(self) -> None:
        """Writes what is new. A disk that is full or a cache that is locked costs the entries, not the scan."""
        if self._database is not None and self._new:
            with contextlib.suppress(sqlite3.Error), transaction(self._database):
                self._database.executemany(
                    "REPLACE INTO readings VALUES (?,?,?,?,?,?,?,?,?,?,?,?)", self._new
                )
        self._new = []

    def gone(self) -> Gone:
        """What was known of files that nobody asked for since the cache was opened: they were removed, or are elsewhere now."""
        return Gone((path, *self._known[path]) for path in self._gone)

    def spare(self, folders: Iterable[str]) -> None:
        """Keeps what is known of files in further folders that are not there now: their drives come back."""
        names = frozenset(folders)
        if names:
            self._gone = {path for path in self._gone if path.partition("/")[0] not in names}

    def forget_gone(self) -> None:
        """Drops what was known of files that nobody asked for since the cache was opened."""
        if self._database is not None and self._gone:
            with contextlib.suppress(sqlite3.Error), transaction(self._database):
                gone = [(self._root + os.fsencode(path),) for path in self._gone]
                self._database.executemany("DELETE FROM readings WHERE path = ?", gone)

    def close(self) -> None:
        """Saves and closes."""
        self.save()
        if self._database is not None:
            self._database.close()
            self._database = None

    def _open(self, file: Path) -> sqlite3.Connection | None:
        for mended in (False, True):
            database: sqlite3.Connection | None = None
            try:
                database = open_database(
                    file, f"{_TABLE};", _VERSION, before=_FORGET, since=_SINCE, added=_ADDED, wait=1
                )
                self._load(database)
                return database
            except (sqlite3.Error, OSError, NewerDatabase) as error:
                if database is not None:
                    database.close()
                if mended or getattr(error, "sqlite_errorname", "").startswith(_NOT_DAMAGE):
                    break
            with contextlib.suppress(OSError):  # start anew, once
                file.unlink()
        return None

    def _load(self, database: sqlite3.Connection) -> None:
        beyond = self._root[:-1] + bytes([self._root[-1] + 1])
        rows = database.execute(
            f"SELECT {_GUARDED}, crc, ino FROM readings WHERE path > ? AND path < ?", (self._root, beyond)
        )
        cut = len(self._root)
        for (
            *row,
            crc,
            ino,
        ) in rows:  # not all at once: of a large folder they take as much again as what is kept
            path, size, mtime_ns, ctime_ns, digest, width, height, look, sight, told = row
            if crc != checksum(*row):
                continue
            reading = ImageFacts(digest, width, height, look % (1 << 64), sight, _told(told))
            self._known[os.fsdecode(path[cut:])] = Stamp(size, mtime_ns, ctime_ns, ino or 0), reading
        self._gone = set(self._known)


class Gone:
    """Readings of files that are at their places no more, by what tells them where they are now.

    Args:
        readings: Former path, stamp and reading of each.
    """

    def __init__(self, readings: Iterable[tuple[str, Stamp, ImageFacts]]) -> None:
        self._by_file: dict[int, tuple[str, Stamp, ImageFacts]] = {}
        self._by_digest: dict[tuple[str, str], ImageFacts] = {}
        for path, stamp, facts in readings:
            if not document_of_page(path):  # all pages of a document have its number
                self._by_file[stamp.ino] = path, stamp, facts
            self._by_digest[_suffix(path), facts.digest] = facts

    def moved(self, path: str, stamp: Stamp) -> ImageFacts | None:
        """The reading of a file that moved here with its folder, which changes nothing of the file itself."""
        former = self._by_file.get(stamp.ino)
        if former is None or not stamp.is_moved(former[1]) or document_of_page(path):
            return None
        return former[2] if os.path.basename(path) == os.path.basename(former[0]) else None

    def same(self, path: str, digest: str) -> ImageFacts | None:
        """The reading of a file of the same kind with the same bytes."""
        return self._by_digest.get((_suffix(path), digest))


def _suffix(path: str) -> str:
    return os.path.splitext(original(Path(path)))[1].lower()


def _told(text: str) -> tuple[str, ...]:
    return () if text == "[]" else tuple(json.loads(text))


def scan_cache_fault(file: Path) -> str:
    """What is wrong with such a file, "" where nothing is."""
    return fault_of(file, "readings", _GUARDED)
