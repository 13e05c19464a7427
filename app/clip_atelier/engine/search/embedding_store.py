"""The embedding store: one SQLite file that knows each image's embedding by its content.

An embedding is found again by the digest of the file's bytes and its *space*: the model, the way pictures are fitted
into the square, the number format, the update at its strength, and whether it is the mean of several views. So a moved or renamed image is never embedded twice,
and no embedding of one model is ever taken for another's. A batch is one transaction in a write-ahead log: after a crash or a full disk
everything up to the last whole batch is there.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from clip_atelier.engine.core import UserError, WorkError, _, shown
from clip_atelier.engine.storage import (
    NewerDatabase,
    checksum,
    fault_of,
    open_database,
    set_aside,
    transaction,
)

# Raised when the arithmetic that leads to an embedding changes; older embeddings are then no longer found.
_RECIPE: Final = 1
_SCHEMA: Final = 2
_STRENGTHS_KEPT: Final = 12  # of one run's update: dragging the dial must not fill the disk
_TABLES: Final = """
CREATE TABLE IF NOT EXISTS space (
    id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, family TEXT NOT NULL, dim INTEGER NOT NULL, used REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS embedding (
    id INTEGER PRIMARY KEY,
    space INTEGER NOT NULL REFERENCES space(id) ON DELETE CASCADE,
    digest BLOB NOT NULL,
    vector BLOB NOT NULL,
    crc INTEGER,
    UNIQUE (space, digest)
);
"""
_ADDED: Final = {"embedding": "crc INTEGER"}


@dataclass(frozen=True)
class Space:
    """What an embedding depends on besides the image.

    Attributes:
        model: fingerprint of the base model.
        fit: how pictures come into the square (`data.image_fit`).
        adapter: identifies the update's content; "" for the base.
        strength: what the update is multiplied by.
        precision: number format of the matrix products (`models.device.Device.precision`).
        views: whether an embedding is the mean of those of several views (`parts.with_views`).
    """

    model: str
    fit: str
    adapter: str = ""
    strength: float = 1.0
    precision: str = "fp32"
    views: bool = False

    @property
    def is_base(self) -> bool:
        """Whether this is the untouched model: no update, or one multiplied by 0."""
        return not self.adapter or round(self.strength, 3) == 0

    @property
    def family(self) -> str:
        """The space without its strength."""
        told = [str(_RECIPE), self.model, self.fit, self.precision, "" if self.is_base else self.adapter]
        return "|".join([*told, "views"] if self.views else told)

    @property
    def key(self) -> str:
        """The name of the space in the store; strengths nearer than 0.001 are the same."""
        return self.family if self.is_base else f"{self.family}|{self.strength:.3f}"


class EmbeddingStore:
    """The open file. Used by one thread; other processes may use it at the same time.

    Args:
        path: The file; made with its folder where missing. One that is no database is moved aside.

    Attributes:
        replaced: Where a damaged file was moved, if it was.

    Raises:
        WorkError: the file cannot be opened or written.
        UserError: it was made by a newer version.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.replaced: Path | None = None
        try:
            self._db = self._open()
        except OSError as error:
            raise self._failure(error) from error
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
                raise self._failure(error) from error
            self.replaced = set_aside(path)
            with self._failing():
                self._db = self._open()

    def _open(self) -> sqlite3.Connection:
        try:
            # Large pages: a vector of a few kilobytes lies in one, next to its neighbours.
            db = open_database(self.path, _TABLES, _SCHEMA, added=_ADDED, page_size=16384, wait=30)
        except NewerDatabase as error:
            raise UserError(
                _("“{path}” was made by a newer version of this program.").format(path=shown(self.path)),
                _("Update the program, or choose another home folder."),
            ) from error
        db.execute("CREATE TEMP TABLE wanted (id INTEGER PRIMARY KEY, place INTEGER NOT NULL)")
        return db

    def close(self) -> None:
        """Ends the use of the file."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def missing(self, space: Space, digests: Sequence[str]) -> list[int]:
        """Indices of the first image of each content that the store does not know yet."""
        known = self._known(space)
        found = []
        for i, digest in enumerate(digests):
            key = bytes.fromhex(digest)
            if key not in known:
                known[key] = -1
                found.append(i)
        return found

    def digests(self, space: Space) -> set[str]:
        """Every content that is known in a space."""
        return {key.hex() for key in self._known(space)}

    def add(self, space: Space, digests: Sequence[str], vectors: NDArray[np.float32]) -> None:
        """Stores a batch, whole or not at all.

        Args:
            space: what the vectors [n, dim] depend on.
            digests: [n] of the files' bytes, in hexadecimal.
            vectors: [n, dim].

        Raises:
            WorkError: the disk is full, or the file cannot be written; what was there stays.
        """
        rows = np.ascontiguousarray(vectors, "<f4")
        with self._failing(), transaction(self._db):
            self._db.execute(
                "INSERT INTO space (key, family, dim, used) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (key) DO UPDATE SET used = excluded.used",
                (space.key, space.family, rows.shape[1], time.time()),
            )
            (number,) = self._db.execute("SELECT id FROM space WHERE key = ?", (space.key,)).fetchone()
            self._db.executemany(
                "INSERT OR REPLACE INTO embedding (space, digest, vector, crc) VALUES (?, ?, ?, ?)",
                [
                    (number, key, row.tobytes(), checksum(key, row.tobytes()))
                    for key, row in zip(map(bytes.fromhex, digests), rows, strict=True)
                ],
            )

    def load(
        self, space: Space, digests: Sequence[str], dim: int, into: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]:
        """The vectors of those contents: [n, dim], written to `into` where it is given.

        Raises:
            KeyError: one is not in the store.
            WorkError: the file is damaged.
        """
        places: dict[int, list[int]] = {}  # id -> the images of that content; mostly one
        known = self._known(space)
        for place, digest in enumerate(digests):
            places.setdefault(known[bytes.fromhex(digest)], []).append(place)
        vectors = np.empty((len(digests), dim), "<f4") if into is None else into
        with self._failing():
            self._db.execute("DELETE FROM temp.wanted")
            self._db.executemany(
                "INSERT INTO temp.wanted VALUES (?, ?)", [(id, own[0]) for id, own in places.items()]
            )
            # In the order of ids, which is that of the file: 100,000 vectors are read in one sweep.
            rows = self._db.execute(
                "SELECT wanted.place, vector FROM temp.wanted"
                " CROSS JOIN embedding ON embedding.id = wanted.id ORDER BY wanted.id"
            )
            count = 0
            for place, blob in rows:
                vectors[place] = np.frombuffer(blob, "<f4")
                count += 1
        if count != len(places):
            raise KeyError("another process removed embeddings")
        for own in places.values():
            vectors[own[1:]] = vectors[own[0]]
        return vectors.astype(np.float32, copy=False)

    def knows_only_others(self, model: str) -> bool:
        """Whether there are embeddings, and none of a model, by its fingerprint."""
        with self._failing():
            rows = self._db.execute("SELECT key FROM space").fetchall()
        return bool(rows) and not any(model in key for (key,) in rows)

    def adopt(self, former: str, now: str) -> None:
        """Takes the embeddings of one fingerprint for those of another one: the same model, known in another way."""
        with self._failing(), transaction(self._db):
            self._db.execute(
                "UPDATE OR IGNORE space SET key = replace(key, ?1, ?2), family = replace(family, ?1, ?2)",
                (former, now),
            )

    def forget_strengths(self, space: Space) -> None:
        """Removes the embeddings of all but the latest strengths of this space's update."""
        with self._failing(), transaction(self._db):
            self._db.execute("UPDATE space SET used = ? WHERE key = ?", (time.time(), space.key))
            self._db.execute(
                "DELETE FROM space WHERE family = ? AND id NOT IN"
                " (SELECT id FROM space WHERE family = ? ORDER BY used DESC LIMIT ?)",
                (space.family, space.family, _STRENGTHS_KEPT),
            )

    def _known(self, space: Space) -> dict[bytes, int]:
        """Digest to id of everything stored in the space; read from the table's index alone."""
        with self._failing():
            return dict(
                self._db.execute(
                    "SELECT digest, embedding.id FROM embedding JOIN space ON space.id = space WHERE key = ?",
                    (space.key,),
                )
            )

    @staticmethod
    def fault_of(path: Path) -> str:
        """What is wrong with such a file, "" where nothing is."""
        return fault_of(path, "embedding", "digest, vector")

    @contextlib.contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise self._failure(error) from error

    def _failure(self, error: Exception) -> WorkError:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        path = shown(self.path)
        if code == sqlite3.SQLITE_FULL:
            return WorkError(
                _("The disk is full; “{path}” cannot grow.").format(path=path),
                _("Free some space and start again: what was indexed so far is kept."),
            )
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            return WorkError(
                _("The index “{path}” is damaged.").format(path=path),
                _("Delete this file and index again; your images and trainings are not affected."),
            )
        return WorkError(
            _("The index “{path}” cannot be used: {reason}.").format(path=path, reason=error),
            _("Check that the folder can be written and that the disk has space left."),
        )
