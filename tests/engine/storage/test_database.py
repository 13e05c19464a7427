"""All stores open and write their files in one way."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from clip_atelier.engine.storage import NewerDatabase, open_database, transaction

TABLES = "CREATE TABLE IF NOT EXISTS t (a INTEGER);"


def test_tables_are_made_once_and_older_ones_replaced_where_asked(tmp_path: Path) -> None:
    file = tmp_path / "below" / "a.sqlite"
    first = open_database(file, TABLES, 1)
    first.execute("INSERT INTO t VALUES (1)")
    first.close()
    again = open_database(file, TABLES, 1)
    assert again.execute("SELECT a FROM t").fetchall() == [(1,)]
    again.close()
    newer = open_database(file, TABLES, 2, before="DROP TABLE t;")
    assert newer.execute("SELECT a FROM t").fetchall() == []
    newer.close()
    with pytest.raises(NewerDatabase):
        open_database(file, TABLES, 1)


def test_a_transaction_takes_effect_whole_or_not_at_all(tmp_path: Path) -> None:
    database = open_database(tmp_path / "a.sqlite", TABLES, 1)
    with transaction(database):
        database.execute("INSERT INTO t VALUES (1)")

    def fail() -> None:
        with transaction(database):
            database.execute("INSERT INTO t VALUES (2)")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert database.execute("SELECT a FROM t").fetchall() == [(1,)]
    database.close()


def test_what_is_no_database_is_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.sqlite").write_bytes(b"no database at all" * 100)
    with pytest.raises(sqlite3.DatabaseError):
        open_database(tmp_path / "a.sqlite", TABLES, 1)
