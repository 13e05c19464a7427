"""How an SQLite file of ours is opened and written: one set of habits for every store."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path


class NewerDatabase(Exception):  # noqa: N818 - says what it is
    """The file was made by a newer version of the program."""


def open_database(
    file: Path,
    tables: str,
    version: int,
    *,
    before: str = "",
    since: int | None = None,
    added: Mapping[str, str] | None = None,
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
        since: The oldest version whose tables are kept all the same; `version` where left out.
        added: Table -> a column that tables of older versions lack and are given.
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
            lacking = " ".join(
                f"ALTER TABLE {table} ADD COLUMN {column};"
                for table, column in (added or {}).items()
                if (known := {row[1] for row in database.execute(f"PRAGMA table_info({table})")})
                and column.partition(" ")[0] not in known
            )
            if since is not None and found >= since:
                before = ""
            elif before:
                lacking = ""  # those tables are made anew
            database.executescript(
                f"BEGIN IMMEDIATE; {before} {lacking} {tables} PRAGMA user_version = {version}; COMMIT;"
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


def checksum(*values: object) -> int:
    """A row's checksum, CRC-32 over the values that it is to guard, in order."""
    found = 0
    for value in values:
        data = value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogateescape")
        found = zlib.crc32(data, found)
    return found


def is_damage(error: Exception) -> bool:
    """Whether an error says that a file is not a whole database, rather than locked or without room."""
    code = getattr(error, "sqlite_errorcode", None)
    return isinstance(error, sqlite3.DatabaseError) and (
        code is None or code & 0xFF in (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
    )


def set_aside(file: Path, word: str = "damaged") -> Path:
    """Moves a database out of the way, in the place of one that was moved before; a new one can then be made.

    Args:
        file: What is moved.
        word: The suffix that it is given.

    Raises:
        OSError: it cannot be moved.
    """
    aside = file.with_suffix(f".{word}")
    file.replace(aside)
    for rest in ("-wal", "-shm"):
        file.with_name(file.name + rest).unlink(missing_ok=True)
    return aside


def fault_of(file: Path, table: str, columns: str) -> str:
    """What is wrong with a database, "" where nothing is.

    Args:
        file: What is looked at; nothing is written to it, but what a kill left half written is rolled back, as by
            whoever opens it next.
        table: Whose rows carry the `checksum` of `columns` in a column `crc`.
        columns: Names with commas between.
    """
    try:
        try:
            return _fault_in(file, "ro", table, columns)
        except sqlite3.OperationalError as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_READONLY:
                return _fault_in(file, "rw", table, columns)
            log = file.with_name(f"{file.name}-wal")
            if is_damage(error) or (log.exists() and log.stat().st_size):
                raise
            # A full disk has no room for what even readers share beside the file: that is no damage of the file.
            return _fault_in(file, "ro&immutable=1", table, columns)
    except sqlite3.Error as error:
        return str(error)


def _fault_in(file: Path, mode: str, table: str, columns: str) -> str:
    with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode={mode}", uri=True, timeout=5)) as database:
        told = str(database.execute("PRAGMA integrity_check(1)").fetchone()[0])
        if told != "ok":
            return told
        if database.execute("SELECT 1 FROM sqlite_master").fetchone() is None:
            return ""  # as a kill leaves it before its tables are made; whoever opens it makes them
        database.create_function("checksum", -1, checksum, deterministic=True)
        wrong = database.execute(
            f"SELECT count(*) FROM {table} WHERE crc IS NOT NULL AND crc IS NOT checksum({columns})"
        ).fetchone()[0]
        return f"{table}: {wrong}" if wrong else ""
