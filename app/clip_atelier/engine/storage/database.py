"""How an SQLite file of ours is opened and written: one set of habits for every store."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class NewerDatabase(Exception):  # noqa: N818 - says what it is
    """The file was made by a newer version of the program."""


def open_database(
    file: Path,
    tables: str,
    version: int,
    *,
    before: str = "",
    page_size: int = 4096,
    wait: float = 5.0,
    shared: bool = False,
) -> sqlite3.Connection:
    """A connection in which every statement outside `transaction` stands for itself.

    Args:
        file: Made with its folder where it is missing.
        tables: Statements that make what is missing; run when the file is older than `version`.
        version: Of the tables; kept in the file.
        before: Statements that take an older version's tables away first.
        page_size: In bytes; takes effect in a new file.
        wait: Seconds to wait for another process's write.
        shared: Whether several threads use the connection, one at a time.

    Raises:
        NewerDatabase: a newer version made it.
        sqlite3.Error: it is damaged, locked, or cannot be written.
        OSError: its folder cannot be made.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    database = sqlite3.connect(file, timeout=wait, isolation_level=None, check_same_thread=not shared)
    try:
        found = int(database.execute("PRAGMA user_version").fetchone()[0])
        if found > version:
            raise NewerDatabase
        database.execute(f"PRAGMA page_size = {page_size}")
        database.execute("PRAGMA journal_mode = WAL")
        # A power cut may cost the last seconds of what can be computed again, never the file.
        database.execute("PRAGMA synchronous = NORMAL")
        database.execute("PRAGMA foreign_keys = ON")
        if found < version:
            database.executescript(
                f"BEGIN IMMEDIATE; {before} {tables} PRAGMA user_version = {version}; COMMIT;"
            )
    except BaseException:
        database.close()
        raise
    return database


@contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[None]:
    """All statements of the block take effect, or none."""
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise
