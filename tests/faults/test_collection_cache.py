"""Faults around the scan's cache: whatever happens to it, the scan gives the same collection."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from clip_atelier.engine.core import Control, drive
from clip_atelier.engine.data import Collection, image_gate, scan
from clip_atelier.engine.settings import DataSettings


def scanned(folder: Path, cache: Path | None) -> Collection:
    return drive(scan(folder, DataSettings(), Control(), cache))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Forty drawings."""
    target = tmp_path / "set"
    target.mkdir()
    for number in range(40):
        image = Image.new("L", (32, 32), 255)
        image.paste(0, (number % 8, number // 8, number % 8 + 20, number // 8 + 9))
        image.save(target / f"{number}.png")
    return target


@pytest.mark.fault(48)
@pytest.mark.parametrize(
    "content", [b"", b"not a database at all, but long enough to look at" * 50, b"SQLite format 3\0" * 9]
)
def test_a_damaged_cache_is_made_anew(folder: Path, tmp_path: Path, content: bytes) -> None:
    cache = tmp_path / "scan.sqlite"
    cache.write_bytes(content)
    assert scanned(folder, cache) == scanned(folder, None)
    assert sqlite3.connect(cache).execute("SELECT count(*) FROM readings").fetchone() == (40,)


def test_a_cache_damaged_in_the_middle(folder: Path, tmp_path: Path) -> None:
    cache = tmp_path / "scan.sqlite"
    expected = scanned(folder, cache)
    content = bytearray(cache.read_bytes())
    for place in range(4096, len(content) - 100, 300):
        content[place : place + 50] = b"\xff" * 50
    cache.write_bytes(content)
    assert scanned(folder, cache).fingerprint == expected.fingerprint
    assert sqlite3.connect(cache).execute("SELECT count(*) FROM readings").fetchone() == (40,)


def test_a_cache_of_another_version_is_forgotten(folder: Path, tmp_path: Path) -> None:
    cache = tmp_path / "scan.sqlite"
    with sqlite3.connect(cache) as database:
        database.execute("CREATE TABLE readings (other TEXT)")
        database.execute("PRAGMA user_version = 99")
    database.close()
    assert scanned(folder, cache) == scanned(folder, cache) == scanned(folder, None)


def test_a_cache_of_the_version_before_is_kept(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "scan.sqlite"
    expected = scanned(folder, cache)
    with sqlite3.connect(cache) as database:  # as it was before files were known by their number
        database.execute("ALTER TABLE readings DROP COLUMN ino")
        database.execute("PRAGMA user_version = 4")
    database.close()
    monkeypatch.setattr(image_gate, "decode", None)
    assert scanned(folder, cache) == expected


@pytest.mark.fault(48)
def test_a_locked_cache_is_done_without(folder: Path, tmp_path: Path) -> None:
    cache = tmp_path / "scan.sqlite"
    scanned(folder, cache)
    other = sqlite3.connect(cache, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    assert scanned(folder, cache) == scanned(folder, None)
    other.close()


@pytest.mark.parametrize("place", ["a folder", "below a file"])
def test_a_cache_that_cannot_be_made_is_done_without(folder: Path, tmp_path: Path, place: str) -> None:
    cache = tmp_path / "cache"
    if place == "a folder":
        cache.mkdir()
    else:
        cache.touch()
        cache = cache / "scan.sqlite"
    assert len(scanned(folder, cache).items) == 40


@pytest.mark.fault(7)
@pytest.mark.skipif(sys.platform == "win32", reason="resource limits")
@pytest.mark.parametrize("limit", [0, 4096, 20_000])
def test_a_full_disk_costs_the_cache_not_the_scan(folder: Path, tmp_path: Path, limit: int) -> None:
    import resource

    cache = tmp_path / "scan.sqlite"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        assert len(scanned(folder, cache).items) == 40
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert scanned(folder, cache) == scanned(folder, None)


def test_a_replaced_file_is_read_again_though_size_and_time_are_the_same(
    folder: Path, tmp_path: Path
) -> None:
    cache = tmp_path / "scan.sqlite"
    for name, box in (("0.png", (1, 1, 9, 9)), ("other.png", (9, 9, 17, 17))):
        image = Image.new("L", (32, 32), 255)
        image.paste(0, box)
        image.save(folder / name, compress_level=0)
    stamp = (folder / "0.png").stat()
    before = {item.path: item.digest for item in scanned(folder, cache).items}
    assert (folder / "other.png").stat().st_size == stamp.st_size
    os.replace(folder / "other.png", folder / "0.png")
    os.utime(folder / "0.png", ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    after = {item.path: item.digest for item in scanned(folder, cache).items}
    assert after["0.png"] == before["other.png"] != before["0.png"]


KILLED = """
import sys
from pathlib import Path
from clip_atelier.engine.data import scan
from clip_atelier.engine.core.control import Control
from clip_atelier.engine.core import drive
from clip_atelier.engine.settings import DataSettings
print("ready", flush=True)
while True:
    drive(scan(Path(sys.argv[1]), DataSettings(), Control(), Path(sys.argv[2])))
    Path(sys.argv[2]).unlink()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="kill -9")
def test_killed_while_scanning(folder: Path, tmp_path: Path) -> None:
    cache = tmp_path / "scan.sqlite"
    expected = scanned(folder, None)
    for round_ in range(6):
        command = [sys.executable, "-c", KILLED, str(folder), str(cache)]
        app = Path(__file__).parents[2] / "app"
        child = subprocess.Popen(command, cwd=app, stdout=subprocess.PIPE)
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(0.03 + 0.04 * round_)
        child.kill()
        child.wait()
        child.stdout.close()
        assert scanned(folder, cache) == expected


def test_the_second_scan_is_quick(tmp_path: Path) -> None:
    target = tmp_path / "set"
    target.mkdir()
    for number in range(30):
        image = Image.effect_noise((900, 900), 60)
        image.save(target / f"{number}.jpg" if number % 2 else target / f"{number}.png")
    cache = tmp_path / "scan.sqlite"
    seconds = []
    for _time in range(3):
        before = time.perf_counter()
        scanned(target, cache)
        seconds.append(time.perf_counter() - before)
    assert min(seconds[1:]) < seconds[0] / 20
