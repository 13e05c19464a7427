"""Faults of the home: kills at saves, operations that fail, permissions, clocks."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import random
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from clip_atelier.engine import settings
from clip_atelier.engine.core import Control, UserError, WorkError, drive, read_document, write_document
from clip_atelier.engine.models import Models
from clip_atelier.engine.runs import Runs, RunSummary, checkpoints
from clip_atelier.engine.runs.checkpoints import State
from clip_atelier.engine.training import Plan, train
from clip_atelier.engine.upkeep import verify

Quick = Callable[..., dict[str, Any]]
TENSORS = {"a": torch.arange(2000.0)}

_SAVES_CHECKPOINTS = """
import sys, torch
from pathlib import Path
from clip_atelier.engine.runs import checkpoints
tensors = {"a": torch.arange(200_000.0)}
for step in range(1, 100_000):
    checkpoints.save(Path(sys.argv[1]), checkpoints.State(step=step), tensors, tensors)
    print(step, flush=True)
"""

_SAVES_SETTINGS = """
import sys
from pathlib import Path
from clip_atelier.gui.state import WindowState
from PySide6.QtCore import QCoreApplication
application = QCoreApplication([])
state = WindowState(Path(sys.argv[1]))
for number in range(1, 100_000):
    state.set("folder", f"/drawings/{number}")
    state.set_value("train.epochs", number % 90 + 1)
    state.save()
    print(number, flush=True)
"""


def killed(script: str, *arguments: object, rounds: int, seed: int, check: Callable[[int], None]) -> None:
    """Runs a script that tells each save, kills it after some of them and some microseconds, and looks."""
    chance = random.Random(seed)
    for _round in range(rounds):
        child = subprocess.Popen(
            [sys.executable, "-c", script, *map(str, arguments)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        assert child.stdout is not None
        last = 0
        for _save in range(chance.randrange(1, 6)):
            last = int(child.stdout.readline())
        for _wait in range(chance.randrange(0, 40_000)):  # somewhere within the next save
            pass
        child.send_signal(signal.SIGKILL)
        rest, _err = child.communicate()
        check(max([last, *map(int, rest.split())]))


@pytest.mark.fault(2)
def test_killed_at_checkpoint_writes_no_torn_one_is_offered(tmp_path: Path) -> None:
    folder = tmp_path / "run" / "checkpoints"
    folder.parent.mkdir()

    def look(last: int) -> None:
        found, problems = checkpoints.newest(folder)
        assert problems == []
        assert found is not None
        assert found.state.step >= last
        assert len(checkpoints.steps(folder)) <= 4

    killed(_SAVES_CHECKPOINTS, folder, rounds=6, seed=2, check=look)


@pytest.mark.fault(2)
def test_a_checkpoint_half_removed_by_a_kill_is_not_offered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def one_file(path: Path, **_options: object) -> None:
        for file in sorted(path.glob("*"))[:1]:  # as far as it came
            file.unlink()

    folder = tmp_path / "run" / "checkpoints"
    folder.parent.mkdir()
    monkeypatch.setattr(checkpoints.shutil, "rmtree", one_file)
    for step in range(1, 5):
        checkpoints.save(folder, State(step=step), TENSORS, TENSORS)
    assert [checkpoints.read(folder, step).state.step for step in checkpoints.steps(folder)] == [3, 4]


@pytest.mark.fault(3)
def test_killed_at_settings_saves_they_are_the_old_or_the_new_ones(home: Path) -> None:
    from clip_atelier.gui.state import WindowState

    def look(last: int) -> None:
        state = WindowState(home)
        number = int(state.folder.rpartition("/")[2])
        assert number >= last
        assert state.value("train.epochs") == number % 90 + 1

    home.mkdir()
    killed(_SAVES_SETTINGS, home, rounds=5, seed=3, check=look)


@pytest.mark.fault(3, 49)
def test_damaged_settings_come_from_their_copy(home: Path) -> None:
    from clip_atelier.gui.state import WindowState

    state = WindowState(home)
    state.set("folder", "/drawings")
    state.save()
    content = (home / "window.json").read_bytes()
    for damage in (b"", b"{", content[:-20], content.replace(b"/drawings", b"/drawinks"), b"[" * 100_000):
        (home / "window.json").write_bytes(damage)
        assert WindowState(home).folder == "/drawings"


class Failing:
    """The Nth of the operations that a save is made of fails as on a full disk."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
        self.left = number
        for name in ("fsync", "replace", "rename", "mkdir", "open"):
            monkeypatch.setattr(os, name, self._failing(getattr(os, name)))

    def _failing(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            if real.__name__ != "open" or (len(arguments) > 1 and arguments[1] & os.O_CREAT):
                self.left -= 1
                if self.left == 0:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(arguments[0]))
            return real(*arguments, **options)

        return call


def numbers() -> Iterator[int]:
    yield from range(1, 60)


@pytest.mark.fault(5)
def test_whichever_operation_of_a_save_fails_the_old_state_is_whole(tmp_path: Path) -> None:
    target, folder = tmp_path / "state.json", tmp_path / "run" / "checkpoints"
    folder.parent.mkdir()
    write_document(target, RunSummary(run="old"), copy=True)
    checkpoints.save(folder, State(step=5), TENSORS, TENSORS)
    for save in (
        lambda: write_document(target, RunSummary(run="new"), copy=True),
        lambda: checkpoints.save(folder, State(step=10), TENSORS, TENSORS),
    ):
        for number in numbers():
            with pytest.MonkeyPatch.context() as patch:
                failing = Failing(patch, number)
                with contextlib.suppress(WorkError):
                    save()
            assert read_document(target, RunSummary).run in ("old", "new")
            found, problems = checkpoints.newest(folder)
            assert found is not None
            assert found.state.step in (5, 10)
            assert problems == []
            if failing.left > 0:
                break
        else:
            raise AssertionError("it never came to its end")


@pytest.mark.fault(5, 6)
@pytest.mark.parametrize("number", [1, 2, 3, 5, 8, 13, 21, 34])
def test_whichever_operation_of_a_run_fails_the_home_is_whole(
    home: Path, tiny_pairs: Path, quick: Quick, number: int
) -> None:
    models = Models(home)
    drive(train(Plan(tiny_pairs, settings.build(quick(train__epochs=1)), home), models, Control()))
    first = Runs(home).list()[0]
    before = first.result
    with pytest.MonkeyPatch.context() as patch:
        Failing(patch, number)
        with contextlib.suppress(WorkError, OSError):
            drive(train(Plan(tiny_pairs, settings.build(quick(train__epochs=1)), home), models, Control()))
    assert Runs(home).open(first.id).result == before
    assert all(run.summary().status != "damaged" for run in Runs(home).list())
    assert drive(verify(home, Control())).findings == ()


@pytest.mark.fault(46)
def test_with_the_clock_set_back_the_latest_run_is_the_one_made_last(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs, chosen = Runs(home), settings.build({})
    real = time.strftime
    first = runs.create("first", chosen, home)
    yesterday = time.localtime(time.time() - 86_400)
    monkeypatch.setattr(time, "strftime", lambda form, *when: real(form, *(when or (yesterday,))))
    second = runs.create("second", chosen, home)
    third = runs.create("a third", chosen, home)
    assert [run.id for run in runs.list()] == [first.id, second.id, third.id]
    assert runs.open("latest").id == third.id


@pytest.mark.fault(52)
def test_what_a_killed_process_left_half_copied_is_not_listed(home: Path, tiny_clip: Path) -> None:
    models, runs = Models(home), Runs(home)
    run = runs.create("", settings.build({}), home)
    run.path.rename(run.path.with_name(f".{run.id}.partial"))
    half = home / "models" / ".tiny-clip.partial"
    half.mkdir(parents=True)
    (half / "config.json").write_bytes((tiny_clip / "config.json").read_bytes())
    assert runs.list() == []
    assert "tiny-clip" not in {info.name for info in models.list()}
    assert models.add(tiny_clip).name == "tiny-clip"
    assert not half.exists()


@pytest.mark.fault(56)
@pytest.mark.skipif(os.name != "posix", reason="Windows keeps a user's folders from others by itself")
def test_nobody_else_reads_the_home(home: Path, tiny_pairs: Path) -> None:
    (home / "log").mkdir(parents=True)
    (home / "log" / "window.log").write_text("from before")
    for path, mode in ((home, 0o755), (home / "log", 0o755), (home / "log" / "window.log", 0o644)):
        path.chmod(mode)
    subprocess.run(
        [sys.executable, "-m", "clip_atelier", "scan", str(tiny_pairs), "--home", str(home), "--json"],
        capture_output=True, check=True, umask=0o022,
    )  # fmt: skip
    assert (home / "cache" / "scan.sqlite").is_file()
    for path in [home, *home.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


@pytest.mark.fault(56)
@pytest.mark.skipif(os.name != "posix", reason="Windows keeps a user's folders from others by itself")
def test_what_is_written_for_others_is_for_others(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from clip_atelier.engine.core import paths, write_whole
home, out = Path(sys.argv[1]) / "home", Path(sys.argv[1]) / "table.csv"
paths.keep_private(home)
write_whole(home / "one.json", b"{}")
write_whole(out, b"", "Choose another place.")
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, umask=0o022)
    assert stat.S_IMODE((tmp_path / "home" / "one.json").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "table.csv").stat().st_mode) == 0o644


@pytest.mark.fault(57)
def test_after_ctrl_c_there_are_seconds_for_the_comparison_and_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from clip_atelier.cli import signals

    assert signals.PATIENCE < 5
    monkeypatch.setattr(signals, "PATIENCE", 0.05)
    control = Control()
    with signals.stopping(control):
        os.kill(os.getpid(), signal.SIGINT)
        assert control.stopping
        assert control._leaving.wait(10)


@pytest.mark.fault(54)
@pytest.mark.parametrize(
    "template",
    ["{label:>999999999}", "{label.__class__}", "{label!r}", "{other}", "{0}", "a {label} {", "none"],
)
def test_a_template_knows_the_label_and_nothing_else(template: str) -> None:
    with pytest.raises(UserError):
        settings.build({"data.template": template})


@pytest.mark.fault(54)
def test_a_label_with_braces_is_a_label(tmp_path: Path) -> None:
    from PIL import Image

    from clip_atelier.engine.data import scan

    for label in ("{label}", "{0.__class__}"):
        (tmp_path / label).mkdir()
        Image.effect_noise((40, 40), 40 + len(label)).save(tmp_path / label / "a.png")
    chosen = settings.build({"data.template": "a drawing of {label}"})
    found = drive(scan(tmp_path, chosen.data, Control()))
    assert {c for item in found.items for c in item.captions} == {
        "a drawing of {label}", "a drawing of {0. class }",
    }  # fmt: skip


@pytest.mark.fault(10, 49)
def test_a_run_without_its_files_is_told_and_the_list_goes_on(home: Path) -> None:
    runs = Runs(home)
    run = runs.create("", settings.build({}), home)
    (run.path / "run.json").write_text(json.dumps({"schema": 1, "settings": {"train.epochs": "many"}}))
    other = runs.create("", settings.build({}), home)
    assert {one.id for one in runs.list()} == {run.id, other.id}
    with pytest.raises(UserError, match="epochs"):
        run.settings  # noqa: B018
