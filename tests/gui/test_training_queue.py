"""Trainings that wait: queued while one goes on, put in order, kept over a stop, a failure and a restart."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hands import LONG
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from clip_atelier.engine import settings
from clip_atelier.engine.experiments import (
    QueuedTraining,
    TrainingQueue,
    queue_file,
    read_queue,
    write_queue,
)
from clip_atelier.engine.runs import Runs
from clip_atelier.gui.main_window import MainWindow

Quick = Callable[..., dict[str, object]]
LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def ready(open_window: Callable[..., MainWindow], quick: Quick, tiny_pairs: Path, qtbot: QtBot) -> MainWindow:
    window = open_window(
        language="en", theme="light", draft=quick(train__epochs=1, train__choose_strength=False),
        folder=str(tiny_pairs), page="training",
    )  # fmt: skip
    window.app_model.rescan()
    qtbot.waitUntil(lambda: window.app_model.split is not None, timeout=30_000)
    return window


def rank(home: Path) -> list[int]:
    return [run.settings.lora.r for run in Runs(home).list()]


def queued(page: Any) -> list[int]:
    return [entry.settings["lora.r"] for entry in page.waiting.shown]


def queue(window: MainWindow, page: Any, qtbot: QtBot, **values: object) -> None:
    for name, value in values.items():
        window.app_model.state.set_value(name.replace("__", "."), value)
    qtbot.mouseClick(page.another, LEFT)


def test_a_second_training_waits_in_an_order_that_can_be_changed_and_a_stop_pauses_the_queue(
    ready: MainWindow, home: Path, qtbot: QtBot
) -> None:
    state = ready.app_model.state
    page: Any = ready.page("training")
    state.set_value("train.epochs", 5000)
    state.set_value("train.patience", 0)
    state.set_value("lora.r", 2)
    assert page.queue.isHidden()
    qtbot.mouseClick(page.start, LEFT)
    assert page.another.isVisible()
    state.set_value("train.epochs", 1)
    queue(ready, page, qtbot, lora__r=3)
    # The other place that trains says what it will do, and does it.
    ready.show_page("settings")
    form: Any = ready.page("settings")
    qtbot.waitUntil(lambda: "queue" in form.train.text(), timeout=LONG)
    state.set_value("lora.r", 5)
    qtbot.waitUntil(form.train.isEnabled, timeout=5000)
    qtbot.mouseClick(form.train, LEFT)
    assert state.get("page") == "training"
    queue(ready, page, qtbot, lora__r=7)
    state.set_value("lora.r", 9)  # what waits does not follow the form
    assert queued(page) == [3, 5, 7]
    assert page.queue.words.text() == "Waiting trainings: 3"
    assert "by itself" in page.queue.why.full_text()
    assert not page.queue.rows[0].earlier.isEnabled()
    assert not page.queue.rows[2].later.isEnabled()
    qtbot.mouseClick(page.queue.rows[1].earlier, LEFT)
    assert queued(page) == [5, 3, 7]
    qtbot.mouseClick(page.queue.rows[2].remove, LEFT)
    assert queued(page) == [5, 3]
    qtbot.mouseClick(page.queue.back, LEFT)
    assert queued(page) == [5, 3, 7]
    qtbot.mouseClick(page.queue.rows[2].remove, LEFT)
    assert [e.settings["lora.r"] for e in read_queue(home).entries] == [5, 3]

    qtbot.waitUntil(lambda: page.live.last is not None, timeout=LONG)
    qtbot.mouseClick(page.stop, LEFT)
    qtbot.waitUntil(lambda: not page.training, timeout=LONG)
    assert "you stopped" in page.queue.why.full_text()
    assert queued(page) == [5, 3]
    assert rank(home) == [2]
    qtbot.mouseClick(page.queue.go, LEFT)
    assert page.training
    assert queued(page) == [3]
    qtbot.waitUntil(lambda: not page.training and len(rank(home)) == 3, timeout=LONG)
    assert rank(home) == [2, 5, 3]
    assert [run.status for run in Runs(home).list()] == ["stopped", "done", "done"]
    assert ready.trouble.isHidden()
    assert not queue_file(home).exists()


def test_one_that_cannot_start_stays_with_its_reason_and_the_others_are_trained(
    ready: MainWindow, home: Path, tmp_path: Path, qtbot: QtBot
) -> None:
    page: Any = ready.page("training")
    model = ready.app_model.state.value("model.name")
    (tmp_path / "no-model").mkdir()
    qtbot.waitUntil(page.start.isEnabled, timeout=5000)
    qtbot.mouseClick(page.start, LEFT)
    queue(ready, page, qtbot, lora__r=3, model__name=str(tmp_path / "no-model"))
    queue(ready, page, qtbot, lora__r=5, model__name=model)
    qtbot.waitUntil(lambda: not page.training and 5 in rank(home), timeout=LONG)
    assert queued(page) == [3]
    assert "no-model" in page.queue.rows[0].error.full_text()
    assert page.queue.go.text().strip() == "Try again"
    assert "no-model" in read_queue(home).entries[0].error
    qtbot.mouseClick(page.queue.go, LEFT)
    assert page.training
    qtbot.waitUntil(lambda: not page.training, timeout=LONG)
    assert queued(page) == [3]
    qtbot.mouseClick(page.queue.rows[0].remove, LEFT)
    assert not queue_file(home).exists()


def test_after_a_restart_what_waited_is_offered_and_not_begun(
    open_window: Callable[..., MainWindow], quick: Quick, home: Path, tiny_pairs: Path, qtbot: QtBot
) -> None:
    values = settings.flat(settings.build(quick(train__epochs=1, lora__r=3)))
    home.mkdir(parents=True, exist_ok=True)
    waiting = QueuedTraining(id="a", folder=str(tiny_pairs), name="night", settings=values)
    unknown = QueuedTraining(id="b", folder=str(tiny_pairs), settings={"lora.rank": "no such setting"})
    write_queue(home, TrainingQueue(entries=(unknown, waiting)))
    window = open_window(language="en", page="training")
    page: Any = window.page("training")
    assert len(page.queue.rows) == 2
    assert "before you say so" in page.queue.why.full_text()
    assert not page.training
    qtbot.mouseClick(page.queue.go, LEFT)
    qtbot.waitUntil(lambda: not page.training and rank(home) == [3], timeout=LONG)
    assert Runs(home).list()[0].summary().name == "night"
    assert "lora.rank" in page.queue.rows[0].error.full_text()


def test_closing_the_window_keeps_what_waits(ready: MainWindow, home: Path, qtbot: QtBot) -> None:
    page: Any = ready.page("training")
    ready.app_model.state.set_value("train.epochs", 5000)
    qtbot.waitUntil(page.start.isEnabled, timeout=5000)
    qtbot.mouseClick(page.start, LEFT)
    queue(ready, page, qtbot, lora__r=3)
    qtbot.waitUntil(lambda: page.live.started is not None, timeout=LONG)
    ready.close()
    qtbot.waitUntil(lambda: not ready.isVisible(), timeout=10_000)
    assert ready.app_model.lanes.close(60)
    assert [e.settings["lora.r"] for e in read_queue(home).entries] == [3]
    assert len(rank(home)) == 1


def test_a_damaged_queue_is_told_and_set_aside(
    open_window: Callable[..., MainWindow], home: Path, qtbot: QtBot
) -> None:
    home.mkdir(parents=True, exist_ok=True)
    queue_file(home).write_text('{"schema": 1, "entries": 7}', encoding="utf-8")
    window = open_window(language="en", page="training")
    page: Any = window.page("training")
    assert page.queue.isHidden()
    assert "entries" in window.trouble.message.text()
    assert (home / "queue.damaged").exists()
