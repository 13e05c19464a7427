"""Several processes index one folder: each its shard, restartable, and together what one process alone makes of it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tiny
from clip_atelier.cli.main import main
from clip_atelier.engine.core import Control, UserError, WorkError, drive
from clip_atelier.engine.data import Part
from clip_atelier.engine.models import Models
from clip_atelier.engine.search import (
    Gallery,
    IndexSummary,
    ModelRef,
    ShardSummary,
    index_shard,
    index_together,
    join_shards,
    load_model,
    open_gallery,
    sharded_index,
)
from clip_atelier.engine.search.shard_files import read_part
from clip_atelier.engine.settings import HardwareSettings
from two_processes import LIMIT, environment, free_port

CPU = HardwareSettings(device="cpu", threads=1)
LIMITS = ("--hardware.device", "cpu", "--hardware.threads", "1")


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharded_index, "BATCH", 4)


@pytest.fixture(scope="module")
def drawings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 drawings, one of them twice and one that cannot be read."""
    folder = tiny.collection(tmp_path_factory.mktemp("sharded") / "shapes")
    shutil.copy(folder / "red-circle.png", folder / "once more.png")
    (folder / "broken.png").write_bytes(b"no picture")
    return folder


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, drawings: Path, tiny_clip: Path) -> Gallery:
    """What one process makes of them."""
    return gallery_of(drawings, tmp_path_factory.mktemp("alone"), tiny_clip)


@pytest.fixture
def folder(tmp_path: Path, drawings: Path) -> Path:
    """A copy with its times, as on another machine."""
    return Path(shutil.copytree(drawings, tmp_path / "copy"))


def gallery_of(folder: Path, home: Path, model: Path) -> Gallery:
    models = Models(home)
    loaded = load_model(ModelRef(model=str(model), hardware=CPU), models)
    return drive(open_gallery(folder, loaded, home, Control()))


def same(found: Gallery, wanted: Gallery) -> None:
    assert [item.path for item in found.items] == [item.path for item in wanted.items]
    assert [item.look for item in found.items] == [item.look for item in wanted.items]
    np.testing.assert_allclose(found.base, wanted.base, atol=1e-6)


def shard(
    folder: Path, home: Path, model: Path, number: int, count: int = 2, place: Path | None = None
) -> ShardSummary:
    ref = ModelRef(model=str(model), hardware=CPU)
    return drive(index_shard(folder, ref, Models(home), Control(), Part(number, count), place))


def join(folder: Path, home: Path, model: Path, place: Path | None = None) -> IndexSummary:
    return drive(
        join_shards(folder, ModelRef(model=str(model), hardware=CPU), Models(home), Control(), place)
    )


def program(code: str, *arguments: object, **told: str) -> subprocess.Popen[str]:
    start = (
        "import sys; from clip_atelier.cli.main import main; sys.argv[0] = 'clip-atelier'; sys.exit(main())"
    )
    return subprocess.Popen(
        [sys.executable, "-c", f"{code}\n{start}", *map(str, arguments), *LIMITS],
        env=os.environ | {"OMP_NUM_THREADS": "1"} | told, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_two_launched_processes_make_what_one_makes(
    home: Path, folder: Path, tiny_clip: Path, alone: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    other = program("", "index", folder, "--model", tiny_clip, "--home", home, **environment(1, port))
    try:
        for name, value in environment(0, port).items():
            monkeypatch.setenv(name, value)
        ref = ModelRef(model=str(tiny_clip), hardware=CPU)
        found = drive(index_together(folder, ref, Models(home), Control()))
        out, err = other.communicate(timeout=LIMIT)
    finally:
        other.kill()
    assert (other.returncode, out, err) == (0, "", "")
    assert found.joined is not None
    assert found.missing == ()
    assert 0 < found.embedded < 25, "each embedded its share"
    assert (found.joined.images, found.joined.embedded, found.joined.skipped) == (25, 25, 1)
    assert not list((home / "index" / "shards").rglob("*.safetensors")), "it is all in the index now"
    same(gallery_of(folder, home, tiny_clip), alone)


KILLED = """
import os, signal
from clip_atelier.engine.search import shard_files, sharded_index
sharded_index.BATCH = 4
keep, kept = shard_files.ShardFolder.keep, []
def then_die(self, part):
    keep(self, part)
    kept.append(part)
    if len(kept) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
shard_files.ShardFolder.keep = then_die
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no such kill here")
def test_a_killed_shard_goes_on_and_a_lost_one_is_named(
    tmp_path: Path, folder: Path, tiny_clip: Path, alone: Gallery
) -> None:
    place, here, there = tmp_path / "meet", tmp_path / "here", tmp_path / "there"
    killed = program(
        KILLED, "index", folder, "--model", tiny_clip, "--home", there, "--shard", "1/2", "--shards", place
    )
    _out, err = killed.communicate(timeout=LIMIT)
    assert killed.returncode == -signal.SIGKILL, err
    with pytest.raises(UserError, match="missing or not complete: 1, 2"):
        join(folder, here, tiny_clip, place)
    kept = sum(len(read_part(file).drawings) for file in (place / "1-of-2").glob("*.safetensors"))
    assert kept in (7, 8), "two batches of four, one of them perhaps with the file that cannot be read"
    first = shard(folder, there, tiny_clip, 1, place=place)
    assert (first.embedded + kept, first.reused) == (first.images, kept)
    assert first.missing == (2,)
    assert first.joined is None
    with pytest.raises(UserError, match="missing or not complete: 2") as lost:
        join(folder, here, tiny_clip, place)
    assert "--shard 2/2" in lost.value.hint
    # The last one is on another machine: its home gets the index, and any other home that joins.
    second = shard(folder, here, tiny_clip, 2, place=place)
    assert second.joined is not None
    assert second.joined.images == first.images + second.images == 25
    same(gallery_of(folder, here, tiny_clip), alone)
    assert join(folder, there, tiny_clip, place).embedded == 25
    # Neither reads a drawing again that the other has read.
    for name in ("red-circle.png", "blue-ring.png"):
        times = (folder / name).stat()
        (folder / name).write_bytes(b"x" * times.st_size)
        os.utime(folder / name, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert join(folder, tmp_path / "third", tiny_clip, place).images == 25


def test_a_complete_shard_is_not_made_again_and_new_drawings_move_nothing(
    tmp_path: Path, folder: Path, tiny_clip: Path, alone: Gallery
) -> None:
    place, home = tmp_path / "meet", tmp_path / "home"
    for number in (1, 2, 3):
        found = shard(folder, home, tiny_clip, number, 3, place)
    assert found.joined is not None
    files = {file: file.stat().st_mtime_ns for file in place.rglob("*.safetensors")}
    again = shard(folder, home, tiny_clip, 2, 3, place)
    assert again.embedded == 0
    assert again.joined is not None
    assert {file: file.stat().st_mtime_ns for file in place.rglob("*.safetensors")} == files
    tiny.draw("ring", "#888").convert("RGB").save(folder / "new.png")
    states = [shard(folder, home, tiny_clip, number, 3, place) for number in (1, 2, 3)]
    assert sum(state.embedded for state in states) == 1
    assert states[-1].joined is not None
    assert states[-1].joined.images == 26
    (folder / "new.png").unlink()
    same(gallery_of(folder, home, tiny_clip), alone)


def test_damage_is_named_and_mended_by_its_shard(tmp_path: Path, folder: Path, tiny_clip: Path) -> None:
    place, home = tmp_path / "meet", tmp_path / "home"
    shard(folder, home, tiny_clip, 1, place=place)
    hurt = sorted((place / "1-of-2").glob("part-*"))[0]
    content = bytearray(hurt.read_bytes())
    content[-3] ^= 1
    hurt.write_bytes(content)
    with pytest.raises(WorkError, match=r"Shard 1/2 is damaged.*part-000001"):
        shard(folder, home, tiny_clip, 2, place=place)
    with pytest.raises(UserError, match="missing or not complete: 1"):
        join(folder, home, tiny_clip, place)
    mended = shard(folder, home, tiny_clip, 1, place=place)
    assert mended.embedded in (3, 4), "the batch, perhaps with the file that cannot be read"
    assert mended.joined is not None
    assert mended.joined.images == 25
    sorted((place / "2-of-2").glob("part-*"))[-1].unlink()
    with pytest.raises(UserError, match="missing or not complete: 2"):
        join(folder, home, tiny_clip, place)


def test_shards_that_do_not_belong_together_are_refused(
    home: Path, tmp_path: Path, folder: Path, tiny_clip: Path
) -> None:
    shard(folder, home, tiny_clip, 1)
    with pytest.raises(UserError, match="holds shards of 2, not of 4"):
        shard(folder, home, tiny_clip, 1, 4)
    other = tiny.clip(tmp_path / "other-clip")
    (other / "config.json").write_text((other / "config.json").read_text().replace('"quick_gelu"', '"gelu"'))
    with pytest.raises(UserError, match="Shard 1/2 .* another model"):
        shard(folder, home, other, 2)
    with pytest.raises(UserError, match="There are no shards in"):
        join(folder, tmp_path / "empty", tiny_clip)


@pytest.mark.parametrize(
    "arguments",
    [("--shard", "3/2"), ("--shard", "two"), ("--shards", "somewhere"), ("--shard", "1/2", "--join")],
)
def test_what_makes_no_sense_is_said(
    arguments: tuple[str, ...], home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[Any]
) -> None:
    assert main(["index", str(tmp_path), *arguments, "--home", str(home)]) == 2
    assert "shard" in capsys.readouterr().err


def test_several_machines_need_a_place_in_common(
    home: Path, folder: Path, tiny_clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (environment(0, 1, size=4) | {"LOCAL_WORLD_SIZE": "2"}).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match="several machines") as refused:
        drive(index_together(folder, ModelRef(model=str(tiny_clip), hardware=CPU), Models(home), Control()))
    assert "--shards" in refused.value.hint


def test_every_drawing_is_in_one_part_and_pages_stay_together() -> None:
    names = [f"{i} 그림.png" for i in range(400)]
    parts = [Part(number, 7) for number in range(1, 8)]
    held: Iterator[int] = (sum(part.holds(name) for part in parts) for name in names)
    assert set(held) == {1}
    sizes = [sum(part.holds(name) for name in names) for part in parts]
    assert min(sizes) > 30, sizes
    book = [next(part for part in parts if part.holds(f"a/book.pdf/page {n:03}")) for n in range(1, 60)]
    assert len(set(book)) == 1
    # As macOS writes the same name.
    assert all(part.holds("각.png") == part.holds("\u1100\u1161\u11a8.png") for part in parts)
