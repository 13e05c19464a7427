"""A bounded store of computed blobs (pictures, features) on disk that survives restarts and crashes.

SQLite rather than files or a memory map: a full disk is an error here, never a SIGBUS, and a killed process leaves the
old state behind.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from clip_atelier.engine.core import WorkError, _
from clip_atelier.engine.storage.database import NewerDatabase, open_database, transaction

_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS blobs (key TEXT PRIMARY KEY, used REAL NOT NULL, size INTEGER NOT NULL, data BLOB NOT NULL)
    WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_use ON blobs (used, size);
"""


class BlobCache:
    """Bytes by key; when full, what was not used for longest goes first.

    One connection, usable from several threads one at a time (SQLite serialises).

    Args:
        file: Where it lives; created with its folder.
        limit: Most bytes of data it keeps. 0 keeps nothing.
    """

    def __init__(self, file: Path, limit: int) -> None:
        self.file = file
        self.limit = limit
        try:
            self._db = open_database(file, _SCHEMA, _VERSION, shared=True)
        except (OSError, sqlite3.Error, NewerDatabase) as error:
            raise self._failed(error) from error
        self._size = self._stored()

    @classmethod
    def of_features(cls, home: Path, gigabytes: float) -> BlobCache:
        """The home's store of pictures and features, which all work on images shares."""
        return cls(home / "cache" / "features.sqlite", int(gigabytes * 1e9))

    def _stored(self) -> int:
        return int(self._db.execute("SELECT coalesce(sum(size), 0) FROM blobs").fetchone()[0])

    def _failed(self, error: Exception) -> WorkError:
        return WorkError(
            _("The cache “{path}” cannot be used: {reason}.").format(path=self.file, reason=error),
            _("Free some disk space, or delete this file; it only holds what can be computed again."),
        )

    def get(self, keys: Sequence[str]) -> dict[str, bytes]:
        """What is there of `keys`."""
        found: dict[str, bytes] = {}
        try:
            for start in range(0, len(keys), 500):
                part = keys[start : start + 500]
                marks = ",".join("?" * len(part))
                found.update(self._db.execute(f"SELECT key, data FROM blobs WHERE key IN ({marks})", part))
        except sqlite3.Error as error:
            raise self._failed(error) from error
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
                self._db.executemany("UPDATE blobs SET used = ? WHERE key = ?", [(now, key) for key in here])
                found.update(here)
        except sqlite3.Error as error:
            raise self._failed(error) from error
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
                    "INSERT OR REPLACE INTO blobs VALUES (?, ?, ?, ?)",
                    [(key, now, len(data), data) for key, data in blobs.items()],
                )
        except sqlite3.Error as error:
            raise self._failed(error) from error
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
