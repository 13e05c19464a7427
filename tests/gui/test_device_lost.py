"""A run whose device was lost, as after a sleep, in a window that is opened afterwards."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hands import LONG
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from clip_atelier.engine import settings
from clip_atelier.engine.core import Control, WorkError, drive
from clip_atelier.engine.models import Models
from clip_atelier.engine.runs import Runs, checkpoints
from clip_atelier.engine.training import Plan, train
from clip_atelier.engine.training.steps import TrainStep
from clip_atelier.gui.main_window import MainWindow


@pytest.mark.fault(62)
def test_a_run_whose_device_was_lost_is_offered_and_goes_on(
    open_window: Callable[..., MainWindow], quick: Callable[..., dict[str, Any]], home: Path, tiny_pairs: Path,
    qtbot: QtBot, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    real = TrainStep.step

    def lost(self: TrainStep, step: int, batch: Any) -> torch.Tensor:
        if step == 6:
            raise RuntimeError("CUDA error: unspecified launch failure")
        return real(self, step, batch)

    values = quick(train__epochs=4, train__checks=4, train__patience=0, train__choose_strength=False)
    monkeypatch.setattr(TrainStep, "step", lost)
    with pytest.raises(WorkError, match="unspecified launch failure"):
        drive(train(Plan(tiny_pairs, settings.build(values), home), Models(home), Control()))
    monkeypatch.setattr(TrainStep, "step", real)
    (run,) = Runs(home).list()
    kept = checkpoints.steps(run.path / "checkpoints")[-1]

    draft = {"hardware.own_process": False}
    window = open_window(language="en", theme="light", draft=draft, folder=str(tiny_pairs), page="training")
    training: Any = window.page("training")
    failed = "The training failed"
    qtbot.waitUntil(lambda: training.view.phase.text().startswith(failed), timeout=LONG)
    assert training.resume.isVisible()
    qtbot.mouseClick(training.resume, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: training.live.finished is not None and not training.training, timeout=LONG)
    assert training.live.finished.status == "done"
    assert any(f"Going on from step {kept} " in note for note in training.live.notes)
    assert [one.id for one in Runs(home).list()] == [run.id]
    qtbot.waitUntil(
        lambda: not training.resume.isVisible(), timeout=LONG
    )  # once the list of runs was read anew
