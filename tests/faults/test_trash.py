"""Faults 41, 42 and 52: deleting names one thing, can be undone, and a kill leaves nothing half deleted."""

from __future__ import annotations

import errno
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clip_atelier.engine.core import UserError, WorkError
from clip_atelier.engine.experiments import forget
from clip_atelier.engine.models import Models
from clip_atelier.engine.runs import RunFolder, Runs
from clip_atelier.engine.settings import Settings
from clip_atelier.engine.storage import Trash
from clip_atelier.engine.storage import trash as trash_module

Call = Callable[..., Any]


def a_run(home: Path, name: str = "") -> RunFolder:
    run = Runs(home).create(name, Settings(), home)
    (run.path / "adapter").mkdir()
    (run.path / "adapter" / "weights").write_bytes(b"x" * 1000)
    return run


def content(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


# Names are names


@pytest.mark.fault(41)
@pytest.mark.parametrize("name", ["", " ", "..", ".", "/", "nothing", "./", "../runs", "*"])
def test_what_is_no_name_deletes_nothing(home: Path, call: Call, name: str) -> None:
    first, second = a_run(home), a_run(home, "x")
    error = call("runs", "delete", name, code=2)["error"]
    assert error["setting"] == "run"
    assert [run.id for run in Runs(home).list()] == sorted([first.id, second.id])
    assert Trash(home).entries() == []


@pytest.mark.fault(42)
def test_a_path_outside_the_home_deletes_neither_that_nor_the_homes_run_of_the_same_name(
    home: Path, call: Call, tmp_path: Path
) -> None:
    run = a_run(home)
    outside = tmp_path / "backup" / run.id
    shutil.copytree(run.path, outside)
    error = call("runs", "delete", outside, code=2)["error"]
    assert "not in the home folder" in error["message"]
    assert (outside / "run.json").exists()
    assert [r.id for r in Runs(home).list()] == [run.id]


def test_a_run_that_is_a_link_is_unlinked_and_what_it_leads_to_stays(
    home: Path, call: Call, tmp_path: Path
) -> None:
    run = a_run(home)
    elsewhere = tmp_path / "drive" / run.id
    elsewhere.parent.mkdir()
    run.path.rename(elsewhere)
    run.path.symlink_to(elsewhere, target_is_directory=True)
    before = content(elsewhere)
    call("runs", "delete", run.id)
    assert Runs(home).list() == []
    assert content(elsewhere) == before
    call("trash", "empty")
    assert content(elsewhere) == before


@pytest.mark.fault(41)
@pytest.mark.parametrize("name", ["", ".", "..", "starter", "../runs", "none", ".hidden", "/tmp"])
def test_only_added_models_are_removed_and_by_their_names(
    home: Path, call: Call, tiny_clip: Path, name: str
) -> None:
    Models(home).add(tiny_clip)
    (home / "models" / ".hidden").mkdir()
    call("models", "remove", name, code=2)
    assert len(call("models")) == 2
    assert (home / "models" / ".hidden").is_dir()


def test_an_empty_name_is_no_model(home: Path, tiny_clip: Path) -> None:
    Models(home).add(tiny_clip)
    with pytest.raises(UserError, match="There is no model"):
        Models(home).resolve("")


@pytest.mark.fault(52)
def test_a_hidden_folder_is_no_run(home: Path) -> None:
    run = a_run(home)
    shutil.copytree(run.path, run.path.with_name(f".{run.id}.partial"))
    assert [r.id for r in Runs(home).list()] == [run.id]


# There and back


@pytest.mark.fault(42)
def test_a_run_goes_to_the_trash_and_comes_back_byte_for_byte(home: Path, call: Call) -> None:
    run = a_run(home)
    before = content(run.path)
    assert call("runs", "delete", run.id)["deleted"] == run.id
    assert call("runs") == []
    (listed,) = call("trash", "list")
    assert (listed["number"], listed["kind"], listed["name"]) == (1, "run", run.id)
    assert listed["size"] >= 1000
    assert call("trash", "restore", run.id)["path"] == str(run.path)
    assert content(run.path) == before
    assert call("trash") == []
    assert not any((home / "trash").glob("*0*"))


def test_a_model_a_table_and_a_draft_come_back_too(home: Path, call: Call, tiny_clip: Path) -> None:
    Models(home).add(tiny_clip)
    before = content(home / "models" / tiny_clip.name)
    call("models", "remove", tiny_clip.name)
    assert [m["name"] for m in call("models")] == ["starter"]
    call("trash", "restore", tiny_clip.name)
    assert content(home / "models" / tiny_clip.name) == before
    (home / "grids").mkdir()
    (home / "grids" / "one.json").write_text("{}")
    assert forget(home, "one").kind == "table"
    assert not (home / "grids" / "one.json").exists()
    call("trash", "restore", "one")
    assert (home / "grids" / "one.json").read_text() == "{}"
    for name in ("", "..", "../window", "none"):
        with pytest.raises(UserError):
            forget(home, name)


def test_what_is_there_again_is_not_overwritten(home: Path, call: Call) -> None:
    run = a_run(home)
    call("runs", "delete", run.id)
    run.path.mkdir()
    error = call("trash", "restore", run.id, code=2)["error"]
    assert "cannot go back" in error["message"]
    assert len(call("trash")) == 1
    assert call("trash", "restore", "nothing", code=2)["error"]["setting"] == "name"
    assert call("trash", "restore", "", code=2)["error"]["setting"] == "name"


def test_of_several_of_one_name_the_latest_comes_back_and_any_by_its_number(home: Path) -> None:
    trash = Trash(home)
    for text in ("first", "second"):
        (home / "grids").mkdir(parents=True, exist_ok=True)
        (home / "grids" / "one.json").write_text(text)
        forget(home, "one")
    assert trash.restore(trash.find("one")).read_text() == "second"
    forget(home, "one")
    first = next(entry for entry in trash.entries() if entry.number == 1)
    assert trash.restore(trash.find(str(first.number))).read_text() == "first"


def test_a_number_that_is_used_again_is_another_thing(home: Path) -> None:
    first = Runs(home).delete(a_run(home, "a").id)
    Trash(home).restore(first)
    second = Runs(home).delete(a_run(home, "b").id)
    assert second.number == first.number
    for act in (lambda: Trash(home).restore(first), lambda: Trash(home).empty([first])):
        with pytest.raises(UserError, match="nothing named"):
            act()
    assert (second.folder / "content" / "run.json").exists()


def test_emptying_takes_one_or_all(home: Path, call: Call) -> None:
    runs = [a_run(home, str(n)) for n in range(3)]
    for run in runs:
        call("runs", "delete", run.id)
    assert call("trash", "empty", runs[0].id)["deleted"] == 1
    assert {entry["name"] for entry in call("trash")} == {runs[1].id, runs[2].id}
    assert call("trash", "empty")["deleted"] == 2
    assert [p.name for p in (home / "trash").iterdir()] == [".lock"]


def test_a_run_in_work_is_not_deleted(home: Path, call: Call) -> None:
    run = a_run(home)
    with run.hold():
        call("runs", "delete", run.id, code=2)
    assert run.path.is_dir()


# How long it stays


def test_after_thirty_days_a_thing_goes(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    for age in (31, 29, 0):
        monkeypatch.setattr(trash_module.time, "time", lambda age=age: now - age * 86_400)
        Runs(home).delete(a_run(home, f"age {age}").id)
    monkeypatch.setattr(trash_module.time, "time", lambda: now)
    Trash(home).tidy()
    assert len(Trash(home).entries()) == 2


def test_beyond_its_size_the_oldest_go_and_the_last_one_stays(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trash_module, "MOST_BYTES", 10_000)
    sizes = (3_000, 3_000, 3_000, 3_000, 50_000)
    for number, size in enumerate(sizes, 1):
        run = a_run(home, str(number))
        (run.path / "adapter" / "weights").write_bytes(b"x" * size)
        Runs(home).delete(run.id)
        left = [entry.number for entry in Trash(home).entries()]
        assert left[0] == number
    assert left == [5]


@pytest.mark.fault(52)
def test_leftovers_of_runs_and_models_are_swept_but_not_what_is_being_added(home: Path) -> None:
    run = a_run(home)
    for name in ("runs/.a.gone", "runs/.old.partial", "runs/.new.partial", "models/.b.gone"):
        (home / name / "x").mkdir(parents=True)
    long_ago = time.time() - 2 * 86_400
    os.utime(home / "runs" / ".old.partial", (long_ago, long_ago))
    Trash(home).tidy()
    assert sorted(p.name for p in (home / "runs").iterdir()) == sorted([".new.partial", run.id])
    assert list((home / "models").iterdir()) == []


# Strangers and accidents


@pytest.mark.parametrize(
    "place", ["../outside", "/etc/passwd", "runs/../../x", "", "C:\\x", "runs\\..\\..\\x", "\\\\server\\x"]
)
def test_a_card_that_leads_out_of_the_home_restores_nothing(home: Path, place: str) -> None:
    entry = Runs(home).delete(a_run(home).id)
    about = entry.folder / "about.json"
    about.write_text(json.dumps({**json.loads(about.read_text()), "place": place}))
    with pytest.raises(UserError):
        Trash(home).restore(Trash(home).entries()[0])
    assert (entry.folder / "content" / "run.json").exists()


@pytest.mark.parametrize("card", [b"", b"[]", b"[" * 99_999, b'{"kind": 1}'])
def test_a_damaged_card_hides_only_its_own_thing_and_nothing_is_lost(home: Path, card: bytes) -> None:
    entry, other = Runs(home).delete(a_run(home).id), Runs(home).delete(a_run(home, "b").id)
    (entry.folder / "about.json").write_bytes(card)
    Trash(home).tidy()
    assert [e.number for e in Trash(home).entries()] == [other.number]
    assert (entry.folder / "content" / "run.json").exists()


def test_what_is_outside_the_home_is_never_moved(home: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("x")
    home.mkdir()
    for path in (tmp_path / "mine.txt", home, home / ".." / "mine.txt", home / "trash"):
        with pytest.raises(UserError, match="not inside"):
            Trash(home).put("run", "x", path)
    assert (tmp_path / "mine.txt").exists()


def test_another_drive_is_copied_whole_before_the_original_goes(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = a_run(home)
    before = content(run.path)
    rename = os.rename

    def across(source: Any, target: Any) -> None:
        if {Path(source).name, Path(target).name} == {run.id, "content"}:
            raise OSError(errno.EXDEV, "other drive")
        rename(source, target)

    monkeypatch.setattr(os, "rename", across)
    entry = Runs(home).delete(run.id)
    assert not run.path.exists()
    assert content(entry.folder / "content") == before
    Trash(home).restore(entry)
    assert content(run.path) == before
    assert Trash(home).entries() == []


@pytest.mark.fault(5)
@pytest.mark.parametrize("step", ["mkdir", "rename"])
def test_whichever_step_fails_the_run_is_in_its_place_or_in_the_trash(
    home: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    run = a_run(home)
    before = content(run.path)
    Trash(home).tidy()
    (home / "trash").mkdir()
    left = [0]
    owner: Any = Path if step == "mkdir" else os
    real = getattr(owner, step)

    def failing(*arguments: Any, **named: Any) -> Any:
        left[0] -= 1
        if left[0] == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(*arguments, **named)

    monkeypatch.setattr(owner, step, failing)
    deleted = False
    for number in range(1, 12):
        left[0] = number
        try:
            Runs(home).delete(run.id)
            deleted = True
        except WorkError:
            left[0] = 0
            if not run.path.exists():
                (entry,) = Trash(home).entries()
                Trash(home).restore(entry)
        left[0] = 0
        if deleted:
            break
        assert content(run.path) == before
    assert deleted
    assert number > 1
    assert content(Trash(home).entries()[0].folder / "content") == before


@pytest.mark.fault(52)
@pytest.mark.skipif(sys.platform == "win32", reason="kill -9")
def test_a_kill_while_deleting_and_restoring_loses_nothing(home: Path) -> None:
    run = a_run(home)
    for number in range(200):
        (run.path / f"part {number}").write_bytes(bytes(50))
    before = content(run.path)
    program = (
        "import sys; from pathlib import Path; from clip_atelier.engine.runs import Runs; from clip_atelier.engine.storage import Trash\n"
        "home = Path(sys.argv[1]); trash = Trash(home); Runs; print('ready', flush=True)\n"
        "while True:\n"
        "    for run in Runs(home).list(): Runs(home).delete(run.id)\n"
        "    for entry in trash.entries(): trash.restore(entry)\n"
    )
    chance = random.Random(1)
    for _round in range(8):
        child = subprocess.Popen(
            [sys.executable, "-c", program, str(home)], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(chance.uniform(0.001, 0.1))
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        child.stdout.close()
        trash = Trash(home)
        trash.tidy()
        in_trash, in_place = trash.entries(), Runs(home).list()
        assert len(in_trash) + len(in_place) == 1
        for entry in in_trash:
            trash.restore(entry)
        assert content(run.path) == before
    assert [p.name for p in (home / "trash").iterdir()] == [".lock"]
