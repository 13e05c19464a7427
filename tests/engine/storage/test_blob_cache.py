"""The bounded store: keeps, forgets the oldest, survives, and says so when it cannot write."""

from __future__ import annotations

import os
import resource
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from clip_atelier.engine.core import WorkError
from clip_atelier.engine.storage import BlobCache


def test_it_survives_a_restart(tmp_path: Path) -> None:
    store = BlobCache(tmp_path / "cache" / "x.sqlite", 10_000)
    store.put({"a": b"1", "b": b"22"})
    store.close()
    again = BlobCache(tmp_path / "cache" / "x.sqlite", 10_000)
    assert again.get(["a", "b", "c"]) == {"a": b"1", "b": b"22"}
    again.close()


def test_it_stays_within_its_limit_and_forgets_what_was_not_used(tmp_path: Path) -> None:
    store = BlobCache(tmp_path / "x.sqlite", 1000)
    for n in range(9):
        store.put({f"k{n}": bytes(100)})
    assert store.known(["k0"]) == {"k0"}  # used just now
    store.put({"new": bytes(300)})
    left = store.get([f"k{n}" for n in range(9)] + ["new"])
    assert "new" in left
    assert "k0" in left
    assert "k1" not in left
    assert sum(map(len, left.values())) <= 1000
    store.put({"huge": bytes(2000)})
    assert store.get(["huge"]) == {}
    store.close()


def test_replacing_a_blob_counts_it_once(tmp_path: Path) -> None:
    store = BlobCache(tmp_path / "x.sqlite", 1000)
    for _ in range(50):
        store.put({"same": bytes(400), "other": bytes(400)})
    assert len(store.get(["same", "other"])) == 2
    store.close()


@pytest.mark.fault(7)
def test_a_full_disk_is_an_error_with_the_path_and_keeps_what_was_there(tmp_path: Path) -> None:
    file = tmp_path / "x.sqlite"
    store = BlobCache(file, 10**9)
    store.put({"old": b"kept"})
    store.close()
    child = os.fork()
    if child == 0:  # pragma: no cover - in the child
        code = 1
        try:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            full = BlobCache(file, 10**9)
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
            try:
                full.put({"new": os.urandom(1_000_000)})
            except WorkError as error:
                code = 0 if str(file) in error.message else 2
        finally:
            os._exit(code)
    _pid, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    again = BlobCache(file, 10**9)
    assert again.get(["old", "new"]) == {"old": b"kept"}
    again.close()


@pytest.mark.fault(48)
def test_a_file_that_is_no_database_is_named_set_aside_and_made_anew(tmp_path: Path) -> None:
    content = b"this is not a database, whatever its name says" * 100
    (tmp_path / "x.sqlite").write_bytes(content)
    store = BlobCache(tmp_path / "x.sqlite", 1000)
    assert "x.damaged" in store.notice
    store.put({"a": b"1"})
    assert store.get(["a"]) == {"a": b"1"}
    store.close()
    assert (tmp_path / "x.damaged").read_bytes() == content


def test_a_file_of_the_first_version_is_gone_on_with(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "x.sqlite", isolation_level=None)) as database:
        database.executescript(
            "CREATE TABLE blobs (key TEXT PRIMARY KEY, used REAL NOT NULL, size INTEGER NOT NULL, data BLOB NOT NULL)"
            " WITHOUT ROWID; INSERT INTO blobs VALUES ('a', 0, 1, x'31'); PRAGMA user_version = 1;"
        )
    store = BlobCache(tmp_path / "x.sqlite", 1000)
    store.put({"b": b"2"})
    assert store.get(["a", "b"]) == {"a": b"1", "b": b"2"}
    assert store.notice == ""
    store.close()
    assert BlobCache.fault_of(tmp_path / "x.sqlite") == ""


def test_a_blob_that_is_not_as_it_was_written_is_not_there(tmp_path: Path) -> None:
    store = BlobCache(tmp_path / "x.sqlite", 1000)
    store.put({"a": b"1", "b": b"2"})
    store._db.execute("UPDATE blobs SET data = x'33' WHERE key = 'a'")
    assert store.get(["a", "b"]) == {"b": b"2"}
    store.close()
    assert BlobCache.fault_of(tmp_path / "x.sqlite") == "blobs: 1"
