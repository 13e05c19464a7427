"""A training in a process of its own: whatever becomes of that process, the window stays and the run goes on."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from hands import LONG
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from clip_atelier.engine.core import Control, drive
from clip_atelier.engine.models import Models
from clip_atelier.engine.runs import Runs, checkpoints
from clip_atelier.engine.training import Plan, resume, train
from clip_atelier.gui import jobs
from clip_atelier.gui.main_window import MainWindow

Quick = Callable[..., dict[str, Any]]
LEFT = Qt.MouseButton.LeftButton

# Python reads this module at the start of every process that finds it: here the trainer's alone.
SABOTAGE = """
import errno, os, pathlib
real, here = os.rename, pathlib.Path(__file__).parent

def rename(source, target):
    name = os.path.basename(target)
    if (here / f"full-{name}").exists():
        (here / f"full-{name}").unlink()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))
    if (here / f"kill-{name}").exists():
        (here / f"kill-{name}").unlink()
        os.kill(os.getpid(), 9)
    return real(source, target)

os.rename = rename
"""


def trainers() -> list[psutil.Process]:
    # A child of another kind that ended just now has no command line any more.
    children = [p for p in psutil.Process().children() if p.status() != psutil.STATUS_ZOMBIE]
    return [p for p in children if "--trainer" in p.cmdline()]


@pytest.mark.fault(1, 2, 6, 37, 38)
def test_a_training_in_a_process_of_its_own_survives_a_full_disk_its_death_and_its_silence(
    open_window: Callable[..., MainWindow], quick: Quick, home: Path, tiny_pairs: Path, tmp_path: Path,
    qtbot: QtBot, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    values = quick(train__epochs=8, train__checks=8, train__patience=0, train__choose_strength=False)
    values |= {"hardware.own_process": True, "lora.lora_dropout": 0.0}
    sabotage = tmp_path / "sabotage"
    sabotage.mkdir()
    (sabotage / "sitecustomize.py").write_text(SABOTAGE)
    before = os.environ.get("PYTHONPATH")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(sabotage), *([before] if before else [])]))
    monkeypatch.setattr(jobs, "_ROOM", 0)
    window = open_window(language="en", theme="light", draft=values, folder=str(tiny_pairs))
    window.app_model.rescan()
    window.app_model.lanes.ahead = True
    window.show_page("training")
    training: Any = window.page("training")
    qtbot.waitUntil(lambda: len(trainers()) == 1, timeout=LONG)
    (ready,) = trainers()
    qtbot.waitUntil(training.start.isEnabled, timeout=LONG)

    # One that hangs, here before it says a word, is ended in time.
    ready.suspend()
    qtbot.mouseClick(training.start, LEFT)
    lane = window.app_model.lanes.compute
    qtbot.waitUntil(lambda: lane.current is not None and lane.current.name == "train", timeout=LONG)
    began = time.monotonic()
    qtbot.mouseClick(training.stop, LEFT)
    qtbot.waitUntil(lambda: not training.training, timeout=LONG)
    assert time.monotonic() - began < 5.5
    assert not ready.is_running()
    assert "ended" in training.live.notes[-1]

    # It listens to the buttons; a pause before there is a process would hold back the process itself.
    qtbot.waitUntil(training.start.isEnabled, timeout=LONG)
    qtbot.mouseClick(training.start, LEFT)
    qtbot.waitUntil(lambda: len(trainers()) == 1, timeout=LONG)
    qtbot.mouseClick(training.pause, LEFT)
    held: list[int] = []

    def stands_still() -> bool:
        held.append(training.live.version)
        return len(held) > 6 and len(set(held[-6:])) == 1

    qtbot.waitUntil(stands_still, timeout=LONG)
    assert training.live.started is None
    # The disk is full at its first checkpoint, and there is room again at once; what goes on is killed while it saves.
    (sabotage / "full-00000003").touch()
    (sabotage / "kill-00000009").touch()
    qtbot.mouseClick(training.pause, LEFT)
    full = "cannot be written: No space left"
    qtbot.waitUntil(lambda: any(full in note for note in training.live.notes), timeout=LONG)
    assert training.training
    qtbot.waitUntil(lambda: not training.training, timeout=LONG)
    assert not trainers()
    assert window.trouble.message.text().startswith("The training process ended in the middle of its work")
    assert "Resume this training" in window.trouble.hint.text()
    (run,) = Runs(home).list()
    assert run.status == "interrupted"
    assert checkpoints.steps(run.path / "checkpoints") == [3, 6]

    # The window lives, and offers to go on.
    qtbot.waitUntil(training.resume.isVisible, timeout=LONG)
    assert training.view.phase.text().startswith("Interrupted")

    # The same bits come out as in a process where nothing went wrong.
    result = drive(resume(home, run.id, Models(home), Control()))
    straight = drive(train(Plan(tiny_pairs, run.settings, home), Models(home), Control()))
    assert result.steps == straight.steps == 24
    assert result.adapted == straight.adapted
    kept = [Path(r.path) / "checkpoints" / "00000024" for r in (result, straight)]
    for name in ("adapter.safetensors", "optimizer.safetensors"):
        assert (kept[0] / name).read_bytes() == (kept[1] / name).read_bytes()
