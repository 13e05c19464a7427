"""A bounded store of computed blobs (pictures, features) on disk that survives restarts and crashes.

SQLite rather than files or a memory map: a full disk is an error here, never a SIGBUS, and a killed process leaves the
old state behind.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from clip_atelier.engine.core import WorkError, _
from clip_atelier.engine.storage.database import (
    NewerDatabase,
    checksum,
    fault_of,
    is_damage,
    open_database,
    set_aside,
    transaction,
)

log = logging.getLogger(__name__)

_VERSION = 2
_SCHEMA = """
CREATE TABLE IF NOT EXISTS blobs (
    key TEXT PRIMARY KEY, used REAL NOT NULL, size INTEGER NOT NULL, data BLOB NOT NULL, crc INTEGER
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_use ON blobs (used, size);
"""
_ADDED = {"blobs": "crc INTEGER"}


class BlobCache:
    """Bytes by key; when full, what was not used for longest goes first.

    It is never in the way: a file that is damaged or of a newer version is set aside and made anew, and where it is
    locked or cannot be opened nothing is kept. One connection, usable from several threads one at a time (SQLite
    serialises).

    Args:
        file: Where it lives; created with its folder.
        limit: Most bytes of data it keeps. 0 keeps nothing.

    Attributes:
        notice: What was done about a file that could not be used, for people; "" where nothing was.
    """

    def __init__(self, file: Path, limit: int) -> None:
        self.file = file
        self.limit = limit
        self.notice = ""
        self._db = self._open()
        self._size = self._stored()

    @classmethod
    def of_features(cls, home: Path, gigabytes: float) -> BlobCache:
        """The home's store of pictures and features, which all work on images shares."""
        return cls(home / "cache" / "features.sqlite", int(gigabytes * 1e9))

    @classmethod
    def of_texts(cls, home: Path) -> BlobCache:
        """The home's store of what is known of models' text towers: small, and opened by every search."""
        return cls(home / "cache" / "texts.sqlite", 64 << 20)

    @classmethod
    def in_memory(cls, limit: int) -> BlobCache:
        """A store of at most so many bytes for one piece of work; nothing of it is written."""
        return cls(Path(":memory:"), limit)

    def _open(self) -> sqlite3.Connection:
        try:
            return self._opened()
        except (OSError, sqlite3.Error, NewerDatabase) as error:
            if not is_damage(error) and not isinstance(error, NewerDatabase):
                return self._without(error)
            word = "newer" if isinstance(error, NewerDatabase) else "damaged"
        try:
            aside = set_aside(self.file, word)
            self.notice = _(
                "The cache “{path}” could not be used; it was set aside and is made anew."
            ).format(path=aside)
            log.warning("%s", self.notice)
            return self._opened()
        except (OSError, sqlite3.Error) as second:
            return self._without(second)

    def _opened(self) -> sqlite3.Connection:
        database = open_database(self.file, _SCHEMA, _VERSION, added=_ADDED, shared=True)
        try:
            database.execute("SELECT key, used, size, crc FROM blobs ORDER BY used LIMIT 1").fetchone()
        except BaseException:
            database.close()
            raise
        return database

    def _without(self, error: Exception) -> sqlite3.Connection:
        """A cache that keeps nothing."""
        self.notice = _("The cache “{path}” cannot be used ({reason}); the work goes on without it.").format(
            path=self.file, reason=error
        )
        log.warning("%s", self.notice)
        self.limit = 0
        database = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        database.executescript(_SCHEMA)
        return database

    def _anew(self, error: sqlite3.Error) -> None:
        """After an error in use: goes on with a new file where this one is damaged, without it where it is locked.

        Raises:
            WorkError: the disk is full, or it is another error that people should know of.
        """
        if is_damage(error):
            self._db.close()
            with contextlib.suppress(OSError):
                set_aside(self.file)
            self._db = self._open()
            self._size = self._stored()
        elif getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            log.warning("%s: %s; nothing more is kept", self.file, error)
            self.limit = 0  # each further try would wait as long
        else:
            raise self._failed(error) from error

    def _stored(self) -> int:
        return int(self._db.execute("SELECT coalesce(sum(size), 0) FROM blobs").fetchone()[0])

    def _failed(self, error: Exception) -> WorkError:
        return WorkError(
            _("The cache “{path}” cannot be used: {reason}.").format(path=self.file, reason=error),
            _("Free some disk space, or delete this file; it only holds what can be computed again."),
        )

    def get(self, keys: Sequence[str]) -> dict[str, bytes]:
        """What is there of `keys`; a blob that is not as it was written counts as not there."""
        found: dict[str, bytes] = {}
        try:
            for start in range(0, len(keys), 500):
                part = keys[start : start + 500]
                marks = ",".join("?" * len(part))
                rows = self._db.execute(f"SELECT key, data, crc FROM blobs WHERE key IN ({marks})", part)
                found.update(
                    (key, data) for key, data, crc in rows if crc is None or crc == checksum(key, data)
                )
        except sqlite3.Error as error:
            self._anew(error)
        return found

    def known(self, keys: Sequence[str]) -> set[str]:
        """Which of `keys` are there; marks them as used now."""
        found: set[str] = set()
        now = time.time()
        try:
            for start in range(0, len(keys), 500):
                part = keys[start : start + 500]
                marks = ",".join("?" * len(part))
                here = [
                    row[0] for row in self._db.execute(f"SELECT key FROM blobs WHERE key IN ({marks})", part)
                ]
                found.update(here)
                if self.limit:
                    self._db.executemany(
                        "UPDATE blobs SET used = ? WHERE key = ?", [(now, key) for key in here]
                    )
        except sqlite3.Error as error:
            self._anew(error)
        return found

    def put(self, blobs: Mapping[str, bytes]) -> None:
        """Keeps `blobs`, all or none; makes room first.

        Raises:
            WorkError: the disk is full or the file cannot be written.
        """
        need = sum(map(len, blobs.values()))
        if need > self.limit:
            return
        now = time.time()
        try:
            self._make_room(need)
            with transaction(self._db):
                self._db.executemany(
                    "INSERT OR REPLACE INTO blobs (key, used, size, data, crc) VALUES (?, ?, ?, ?, ?)",
                    [(key, now, len(data), data, checksum(key, data)) for key, data in blobs.items()],
                )
        except sqlite3.Error as error:
            self._anew(error)
            return
        self._size += need

    def _make_room(self, need: int) -> None:
        if self._size + need <= self.limit:
            return
        # Replaced blobs were counted twice: count anew before anything goes.
        self._size = self._stored()
        if self._size + need <= self.limit:
            return
        # A tenth at a time, so that a full cache does not evict at every batch.
        surplus = self._size + need - int(self.limit * 0.9)
        gone: list[tuple[str]] = []
        rows: Iterable[tuple[str, int]] = self._db.execute("SELECT key, size FROM blobs ORDER BY used")
        for key, size in rows:
            if surplus <= 0:
                break
            gone.append((key,))
            surplus -= size
            self._size -= size
        self._db.executemany("DELETE FROM blobs WHERE key = ?", gone)

    def close(self) -> None:
        """Closes the file."""
        self._db.close()

    @staticmethod
    def fault_of(file: Path) -> str:
        """What is wrong with such a file, "" where nothing is."""
        return fault_of(file, "blobs", "key, data")
