"""What earlier scans found out, so that an unchanged file is not decoded again. Losing it costs time only."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from clip_atelier.engine.data.image_facts import ImageFacts
from clip_atelier.engine.storage import NewerDatabase, checksum, fault_of, open_database, transaction

_VERSION: Final = 4
"""Raise it when `read` finds out other things: old entries are then forgotten."""
_FORGET: Final = "DROP TABLE IF EXISTS readings;"
_TABLE: Final = """
CREATE TABLE IF NOT EXISTS readings (
    path BLOB PRIMARY KEY, size INTEGER, mtime_ns INTEGER, ctime_ns INTEGER,
    digest TEXT, width INTEGER, height INTEGER, look INTEGER, sight BLOB,
    told TEXT, crc INTEGER
) WITHOUT ROWID
"""
_NOT_DAMAGE: Final = (
    "SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_READONLY", "SQLITE_FULL", "SQLITE_IOERR", "SQLITE_CANTOPEN", "SQLITE_PERM",
)  # fmt: skip
"""Failures after which the file is left as it is."""


@dataclass(frozen=True)
class Stamp:
    """By what a file is taken to be unchanged."""

    size: int
    mtime_ns: int
    ctime_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> Stamp:
        """The stamp of a file with this status."""
        return cls(status.st_size, status.st_mtime_ns, status.st_ctime_ns)


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
        self._new.append((*row, checksum(*row)))
        if len(self._new) >= 256:
            self.save()

    def save(self) -> None:
        """Writes what is new. A disk that is full or a cache that is locked costs the entries, not the scan."""
        if self._database is not None and self._new:
            with contextlib.suppress(sqlite3.Error), transaction(self._database):
                self._database.executemany("REPLACE INTO readings VALUES (?,?,?,?,?,?,?,?,?,?,?)", self._new)
        self._new = []

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
                database = open_database(file, f"{_TABLE};", _VERSION, before=_FORGET, wait=1)
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
        rows = database.execute("SELECT * FROM readings WHERE path > ? AND path < ?", (self._root, beyond))
        cut = len(self._root)
        for *row, crc in rows.fetchall():
            path, size, mtime_ns, ctime_ns, digest, width, height, look, sight, told = row
            if crc != checksum(*row):
                continue
            reading = ImageFacts(digest, width, height, look % (1 << 64), sight, tuple(json.loads(told)))
            self._known[os.fsdecode(path[cut:])] = Stamp(size, mtime_ns, ctime_ns), reading
        self._gone = set(self._known)


def scan_cache_fault(file: Path) -> str:
    """What is wrong with such a file, "" where nothing is."""
    columns = "path, size, mtime_ns, ctime_ns, digest, width, height, look, sight, told"
    return fault_of(file, "readings", columns)
