"""A home with one flipped byte in each kind of file: `verify` names it, `repair` mends it or sets it aside."""

from __future__ import annotations

import shutil
import sqlite3
import struct
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from clip_atelier.engine import settings
from clip_atelier.engine.analysis import Subject, measured
from clip_atelier.engine.core import Control, UserError, drive, sealed, write_document
from clip_atelier.engine.data import caption_drafts, save_captions
from clip_atelier.engine.evaluation import GainedForgotten, StrengthReading, SweepPoint
from clip_atelier.engine.experiments import QueuedTraining, StoredGrid, TrainingQueue, write_queue
from clip_atelier.engine.models import Models, adapters
from clip_atelier.engine.parts import PLAIN, FittedParts, PictureHead, Threshold
from clip_atelier.engine.runs import Runs, relabel, run_packs
from clip_atelier.engine.search import KeptSearch, KeptSearches, ModelRef, parse_query, search, write_searches
from clip_atelier.engine.training import Plan, train
from clip_atelier.engine.upkeep import repair, verify, verify_packs

Quick = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, tiny_clip: Path) -> Path:
    """A home with one of every kind of file, each written by the engine."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("drawings")
    for index in range(24):
        image = Image.effect_noise((40, 40), 30 + index).convert("RGB")
        image.paste(("red", "blue", "green")[index % 3], (index % 8, 4, 30, 36))
        image.save(folder / f"{index}.png")
        (folder / f"{index}.txt").write_text(f"a drawing of number {index}")
    home = tmp_path_factory.mktemp("home")
    values = {
        "model.name": str(tiny_clip), "train.epochs": 1, "train.batch_size": 8, "train.checks": 1,
        "train.learning_rate": 1e-3, "hardware.device": "cpu", "hardware.threads": 1, "data.validation": 0.25,
        "data.test": 0.25, "evaluation.folds": 0, "evaluation.parts": False, "train.steps": 0,
        "train.preservation": 0.0, "train.choose_strength": False,
    }  # fmt: skip
    models = Models(home)
    result = drive(train(Plan(folder, settings.build(values), home), models, Control()))
    run = Runs(home).open(result.run)
    head = PictureHead(np.eye(3, 24), np.eye(3, 24))
    FittedParts(0.0, {}, {}, {PLAIN: head}, Threshold(None, 0), frozenset()).save(run.path)
    drive(search(folder, parse_query("red"), ModelRef(run=run.id), models, Control(), top=3))
    models.add(tiny_clip)
    grid = StoredGrid(folder=str(folder), vary={"lora.r": (4, 8)}, entries=())
    write_document(home / "grids" / "0123456789ab.json", grid, copy=True)
    waiting = QueuedTraining(id="1", folder=str(folder), settings=values)
    write_queue(home, TrainingQueue(entries=(waiting,)))
    write_searches(home, KeptSearches().saving(KeptSearch(words="red"), "mine"))
    point = SweepPoint(strength=1.0, held_out=StrengthReading(strength=1.0))
    sweep = GainedForgotten(run=run.id, points=(point,), best=1.0, primary_metric="a/R@1", elsewhere="b")
    measured.keep(home, Subject("dial", run.id), sweep)
    for name in ("window.json", ".window.json"):
        (home / name).write_bytes(sealed('{\n "language": "en",\n "theme": "light"\n}'))
    relabel(run.path, note="ink")
    run_packs.make(run, home / "packs" / "one.cliprun")
    caption_drafts.write_draft(
        home, folder, {"1.png": caption_drafts.DraftEdit(path="1.png", captions=("a",), before=("b",))}
    )
    for text in ("one", "two"):
        save_captions(folder, {"0.png": [text]}, home)
    Runs(home).delete(Runs(home).create("deleted", settings.Settings(), folder).id)
    return home


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "home"))


def flip(path: Path) -> None:
    """One byte in the middle, of what says that it is whole: a digit of an event, or a time in a zip file, still reads."""
    data = bytearray(path.read_bytes())
    place = len(data) // 2
    if path.suffix == ".jsonl":
        place = data.index(b"\n", place) - 1
    elif path.suffix == ".npz":
        with zipfile.ZipFile(path) as archive:
            member = archive.infolist()[0]
        name, extra = struct.unpack_from("<HH", data, member.header_offset + 26)
        place = member.header_offset + 30 + name + extra + member.compress_size // 2
    data[place] ^= 1
    path.write_bytes(data)


def flip_blob(path: Path, table: str, column: str) -> None:
    """One byte of a stored value, as it lies in the file."""
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        value = max((row[0] for row in database.execute(f"SELECT {column} FROM {table}")), key=len)
    data = bytearray(path.read_bytes())
    place = data.find(value[:64])
    assert place > 0
    data[place + 20] ^= 1
    path.write_bytes(data)


def files(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


#: Pattern -> what becomes of it, and which of its places is flipped.
FILES = {
    "window.json": "mended", "grids/*.json": "mended", "queue.json": "mended", "searches.json": "mended", "runs/*/run.json": "mended", "runs/*/evaluation.json": "mended",
    "runs/*/events.jsonl": "mended", "runs/*/adapter/adapter_model.safetensors": "mended",
    "runs/*/adapter/adapter_config.json": "mended", "runs/*/checkpoints/*/adapter.safetensors": "set aside",
    "runs/*/checkpoints/*/optimizer.safetensors": "set aside", "runs/*/checkpoints/*/state.json": "set aside",
    "runs/*/checkpoints/*/manifest.json": "set aside", "runs/*/values.npz": "set aside",
    "runs/*/parts.json": "set aside", "runs/*/label.json": "set aside", "runs/*/parts.safetensors": "set aside", "models/*/model.safetensors": "set aside",
    "models/*/config.json": "set aside", "models/*/tokenizer.json": "set aside",
    "cache/measured/*.json": "set aside", "packs/one.cliprun": "set aside", "drafts/captions/*.json": "mended",
    "backups/captions/*/*.csv": "set aside", "trash/*/about.json": "set aside",
}  # fmt: skip


def test_a_home_as_it_was_written_has_no_findings(copy: Path) -> None:
    before = files(copy)
    found = drive(verify(copy, Control()))
    assert found.findings == ()
    assert found.checked >= 16
    after = files(copy)
    assert {k: v for k, v in after.items() if not k.endswith(("-shm", "-wal", ".lock"))} == {
        k: v for k, v in before.items() if not k.endswith(("-shm", "-wal", ".lock"))
    }
    assert drive(repair(copy, Control())).folder == ""


@pytest.mark.fault(64)
@pytest.mark.parametrize("pattern", FILES)
def test_one_flipped_byte_is_found_by_name_and_repaired(copy: Path, pattern: str) -> None:
    path = sorted(copy.glob(pattern))[-1]
    flip(path)
    damaged = path.read_bytes()
    count = len(files(copy))
    found = drive(verify(copy, Control()))
    name = path.relative_to(copy).as_posix()
    assert len(found.findings) == 1
    assert name.startswith(found.findings[0].path)
    assert found.findings[0].reason
    assert found.findings[0].remedy
    done = drive(repair(copy, Control()))
    assert [len(done.mended), len(done.set_aside), len(done.left)] == (
        [1, 0, 0] if FILES[pattern] == "mended" else [0, 1, 0]
    )
    assert drive(verify(copy, Control())).findings == ()
    assert len(files(copy)) >= count
    assert (Path(done.folder) / name).read_bytes() == damaged
    assert drive(repair(copy, Control())).folder == ""


@pytest.mark.fault(64)
@pytest.mark.parametrize(
    ("file", "table", "column"),
    [("cache/features.sqlite", "blobs", "data"), ("index/index.sqlite", "embedding", "vector"),
     ("cache/scan.sqlite", "readings", "path")],
)  # fmt: skip
def test_one_flipped_byte_in_a_database(copy: Path, file: str, table: str, column: str) -> None:
    flip_blob(copy / file, table, column)
    found = drive(verify(copy, Control()))
    assert [one.path for one in found.findings] == [file]
    done = drive(repair(copy, Control()))
    assert [one.path for one in done.set_aside] == [file]
    assert (Path(done.folder) / file).is_file()
    assert not (copy / file).exists()
    assert drive(verify(copy, Control())).findings == ()


@pytest.mark.fault(48)
def test_a_database_whose_tables_a_kill_kept_from_being_made_is_no_damage(tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    for name in ("scan", "features", "texts"):
        with closing(sqlite3.connect(tmp_path / "cache" / f"{name}.sqlite")) as database:
            database.execute("PRAGMA journal_mode = WAL")
    assert drive(verify(tmp_path, Control())).findings == ()


@pytest.mark.fault(48)
def test_what_a_kill_left_half_written_in_a_database_is_rolled_back_and_no_damage(tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    with closing(sqlite3.connect(tmp_path / "texts.sqlite", isolation_level=None)) as database:
        database.execute("PRAGMA cache_size = 1")  # so that it writes before it commits
        database.execute("BEGIN IMMEDIATE")
        database.execute("CREATE TABLE half (content BLOB)")
        database.executemany("INSERT INTO half VALUES (?)", [(b"x" * 4000,)] * 50)
        for name in ("texts.sqlite", "texts.sqlite-journal"):
            shutil.copyfile(tmp_path / name, tmp_path / "cache" / name)
    assert drive(verify(tmp_path, Control())).findings == ()


@pytest.mark.fault(64)
def test_what_is_mended_is_what_it_was(copy: Path) -> None:
    run = Runs(copy).list()[0]
    record, result, count = run.record, run.result, len(list(run.events()))
    adapter = adapters.read(run.path / "adapter")
    for name in ("run.json", "evaluation.json", "adapter/adapter_model.safetensors"):
        flip(run.path / name)
    lines = (run.path / "events.jsonl").read_bytes().splitlines(keepends=True)
    lines[2] = lines[2][:-30] + b"\xff" + lines[2][-29:]
    (run.path / "events.jsonl").write_bytes(b"".join(lines))
    done = drive(repair(copy, Control()))
    assert len(done.mended) == 4
    assert run.record == record
    assert run.result == result
    assert len(list(run.events())) == count - 1
    again = adapters.read(run.path / "adapter")
    assert again.keys() == adapter.keys()
    assert all(torch.equal(again[name], adapter[name]) for name in adapter)


def test_a_run_whose_record_is_gone_stays_together(copy: Path) -> None:
    run = Runs(copy).list()[0]
    for name in ("run.json", ".run.json"):
        (run.path / name).write_text("[" * 100_000)
    count = len(files(run.path))
    done = drive(repair(copy, Control()))
    assert [one.path for one in done.set_aside] == [f"runs/{run.id}/run.json"]
    assert len(files(Path(done.folder) / "runs" / run.id)) == count
    assert Runs(copy).list() == []


def test_a_run_in_work_is_left_alone(copy: Path) -> None:
    run = Runs(copy).list()[0]
    flip(run.path / "evaluation.json")
    with run.hold():
        found = drive(verify(copy, Control()))
        assert found.in_work == (run.id,)
        assert found.findings == ()
        assert drive(repair(copy, Control())).folder == ""


def test_a_window_that_is_open_keeps_repair_out(copy: Path) -> None:
    import filelock

    with filelock.FileLock(copy / "window.lock"), pytest.raises(UserError, match="is open on"):
        drive(repair(copy, Control()))


def test_a_pack_is_checked_wherever_it_lies(copy: Path) -> None:
    path = copy / "packs" / "one.cliprun"
    assert drive(verify_packs([path], Control())).findings == ()
    flip(path)
    (found,) = drive(verify_packs([path], Control())).findings
    assert "one.cliprun" in found.path
    assert "checkpoints" in found.reason or ".safetensors" in found.reason or ".json" in found.reason


def test_half_a_line_at_the_end_is_no_damage(copy: Path) -> None:
    run = Runs(copy).list()[0]
    with (run.path / "events.jsonl").open("ab") as stream:
        stream.write(b'{"kind": "step", "ste')
    assert drive(verify(copy, Control())).findings == ()
