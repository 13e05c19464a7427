"""The whole job by mouse and keyboard: drop a folder, choose a preset, train, search."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hands import LONG, drop
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QImage
from pytestqt.qtbot import QtBot

from clip_atelier.engine import settings
from clip_atelier.engine.runs import Runs
from clip_atelier.gui.main_window import MainWindow
from clip_atelier.gui.parts.pictures import TILE

Quick = Callable[..., dict[str, object]]
LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def ready(open_window: Callable[..., MainWindow], quick: Quick, tiny_pairs: Path, qtbot: QtBot) -> MainWindow:
    """A window with the tiny model chosen and the tiny pairs dropped on it."""
    window = open_window(language="en", theme="light", draft=quick(), page="collection")
    assert drop(window, tiny_pairs)
    qtbot.waitUntil(lambda: window.app_model.split is not None, timeout=30_000)
    return window


def page(window: MainWindow, name: str) -> Any:
    return window.page(name)


def finish(training: Any, qtbot: QtBot) -> None:
    qtbot.waitUntil(lambda: not training.training, timeout=LONG)


def test_from_a_dropped_folder_to_a_search(
    ready: MainWindow, home: Path, tiny_pairs: Path, qtbot: QtBot
) -> None:
    window = ready
    collection = page(window, "collection")
    assert collection.figures["images"].number.text() == "48"
    assert collection.figures["pairs"].number.text() == "24"
    qtbot.waitUntil(lambda: not window.app_model.lanes.pictures.busy, timeout=30_000)

    qtbot.mouseClick(collection.onward, LEFT)
    form = page(window, "settings")
    qtbot.mouseClick(form.presets["projection"], LEFT)
    assert window.app_model.state.get("preset") == "projection"
    # Marked with the click, not with the estimates that come a moment later.
    assert [name for name, card in form.presets.items() if card.property("chosen")] == ["projection"]
    rank = form.form.rows["lora.r"].control
    rank.setFocus()
    rank.selectAll()
    qtbot.keyClicks(rank, "4")
    epochs = form.form.rows["train.epochs"].control
    epochs.setFocus()
    epochs.selectAll()
    qtbot.keyClicks(epochs, "3")
    folds = form.form.rows["evaluation.folds"].control
    folds.setFocus()
    folds.selectAll()
    qtbot.keyClicks(folds, "0")
    qtbot.waitUntil(lambda: "/ 4 = 8" in form.readouts.values["scale"].text(), timeout=5000)
    assert form.readouts.values["trainable"].text() != "–"
    form.tabs.choose("code")
    assert "LoraConfig" in form.code.text.toPlainText()
    assert "r=4" in form.code.text.toPlainText()
    qtbot.waitUntil(form.train.isEnabled, timeout=5000)
    qtbot.mouseClick(form.train, LEFT)

    training = page(window, "training")
    assert window.pages.currentWidget() is training
    assert training.training
    finish(training, qtbot)
    assert window.trouble.isHidden(), window.trouble.message.text()
    record = training.shown
    assert record.started is not None
    assert record.started.primary_metric == "sketch_to_artwork/R@1"
    assert list(record.steps)[-1] == record.started.steps
    assert record.base is not None
    assert record.result.status == "done"
    assert training.tabs.current == "result"
    assert training.result.verdict.text()
    qtbot.waitUntil(lambda: len(window.app_model.runs) == 1, timeout=10_000)
    run = Runs(home).list()[0]
    assert run.settings.lora.r == 4
    assert run.settings.lora.target_modules == ("visual_projection",)
    assert run.status == "done"

    qtbot.waitUntil(training.search.isVisible, timeout=10_000)
    qtbot.mouseClick(training.search, LEFT)
    search = page(window, "search")
    assert search.runs.value() == run.id
    search.words.setFocus()
    qtbot.keyClicks(search.words, "red circle")
    qtbot.keyClick(search.words, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: search.found is not None, timeout=LONG)
    assert search.base.view.tiles.rowCount() == 48
    assert search.adapted.view.tiles.rowCount() == 48
    first = search.base.view.tiles.tile(0)
    assert first.badge == "1"
    assert first.path.is_file()

    # At strength 0 the adapted model is the base: the same ranking, nothing moved.
    search.strength.setValue(150)
    qtbot.waitUntil(lambda: search.found.strength == 1.5, timeout=LONG)
    before = search.found
    search.strength.setValue(0)
    qtbot.waitUntil(lambda: search.found is not before, timeout=LONG)
    assert [h.path for h in search.found.adapted] == [h.path for h in search.found.base]
    assert all(h.base_place == n for n, h in enumerate(search.found.adapted, 1))

    # By a dropped picture: everything like it, but not itself.
    before = search.found
    search.words.clear()
    assert drop(search, tiny_pairs / "artworks" / "red ring.png")
    qtbot.waitUntil(lambda: search.found is not before, timeout=LONG)
    assert "artworks/red ring.png" not in {h.path for h in search.found.base}
    assert len(search.found.base) == 47

    # By drawing.
    before = search.found
    qtbot.mouseClick(search.draw, LEFT)
    qtbot.mousePress(search.canvas, LEFT, pos=search.canvas.rect().center())
    qtbot.mouseMove(search.canvas, search.canvas.rect().topLeft())
    qtbot.mouseRelease(search.canvas, LEFT, pos=search.canvas.rect().topLeft())
    qtbot.waitUntil(lambda: search.found is not before and search.found is not None, timeout=LONG)
    assert len(search.found.base) == 48

    # More like this, by keyboard.
    before = search.found
    view = search.base.view
    view.setCurrentIndex(view.tiles.index(0))
    wanted = view.currentIndex().data(TILE).path
    qtbot.keyClick(view, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: search.found is not before, timeout=LONG)
    assert search.picture.path == wanted


def long_run(window: MainWindow) -> None:
    for name, value in (
        ("train.epochs", 5000),
        ("train.checks", 1000),
        ("train.patience", 0),
        ("lora.lora_dropout", 0.0),
    ):
        window.app_model.state.set_value(name, value)


def test_pause_go_on_evaluate_and_stop(ready: MainWindow, home: Path, qtbot: QtBot) -> None:
    window = ready
    long_run(window)
    window.show_page("training")
    training = page(window, "training")
    qtbot.waitUntil(training.start.isEnabled, timeout=5000)
    qtbot.mouseClick(training.start, LEFT)
    qtbot.waitUntil(lambda: training.live.last is not None, timeout=LONG)
    qtbot.mouseClick(training.pause, LEFT)
    assert training.pause.text().strip() == "Go on"
    held: list[int] = []

    def stands_still() -> bool:
        held.append(len(training.live.steps))
        return len(held) > 6 and len(set(held[-6:])) == 1

    qtbot.waitUntil(stands_still, timeout=20_000)
    qtbot.mouseClick(training.pause, LEFT)
    checks = len(training.live.checks)
    qtbot.waitUntil(lambda: len(training.live.steps) > held[-1], timeout=LONG)
    qtbot.mouseClick(training.evaluate, LEFT)
    qtbot.waitUntil(lambda: len(training.live.checks) > checks, timeout=LONG)
    qtbot.mouseClick(training.stop, LEFT)
    finish(training, qtbot)
    run = Runs(home).list()[0]
    assert run.status == "stopped"
    assert (run.path / "adapter" / "adapter_model.safetensors").is_file()
    qtbot.waitUntil(training.resume.isVisible, timeout=10_000)


def test_closing_while_it_trains_keeps_the_checkpoint_and_the_run_goes_on_later(
    ready: MainWindow, open_window: Callable[..., MainWindow], home: Path, qtbot: QtBot
) -> None:
    window = ready
    long_run(window)
    window.show_page("training")
    training = page(window, "training")
    qtbot.waitUntil(training.start.isEnabled, timeout=5000)
    qtbot.mouseClick(training.start, LEFT)
    qtbot.waitUntil(lambda: len(training.live.checks) >= 3, timeout=LONG)
    began = time.monotonic()
    window.close()
    qtbot.waitUntil(lambda: not window.isVisible(), timeout=10_000)
    assert time.monotonic() - began < 5
    assert window.app_model.lanes.close(60)
    run = Runs(home).list()[0]
    assert run.status in ("stopped", "interrupted")
    reached = max(int(p.name.rpartition("-")[2]) for p in (run.path / "checkpoints").iterdir() if p.is_dir())
    assert reached > 0

    again = open_window()
    assert again.app_model.state.get("page") == "training"
    training = page(again, "training")
    qtbot.waitUntil(lambda: training.shown.last is not None, timeout=30_000)
    qtbot.waitUntil(training.resume.isVisible, timeout=10_000)
    qtbot.mouseClick(training.resume, LEFT)
    qtbot.waitUntil(
        lambda: training.live.started is not None and training.live.started.start_step >= reached,
        timeout=LONG,
    )
    qtbot.waitUntil(lambda: training.live.last.step > training.live.started.start_step, timeout=LONG)
    qtbot.mouseClick(training.stop, LEFT)
    finish(training, qtbot)


def test_what_the_engine_refuses_is_told_and_the_window_stays(
    ready: MainWindow, qtbot: QtBot, tmp_path: Path
) -> None:
    window = ready
    empty = tmp_path / "no-model"
    empty.mkdir()
    window.app_model.state.set_value("model.name", str(empty))
    window.show_page("training")
    training = page(window, "training")
    qtbot.mouseClick(training.start, LEFT)
    finish(training, qtbot)
    assert "no-model" in window.trouble.message.text()
    assert not window.trouble.isHidden()


def test_a_run_can_be_taken_over_exported_and_deleted(
    ready: MainWindow, home: Path, tmp_path: Path, qtbot: QtBot
) -> None:
    window = ready
    window.app_model.state.set_value("lora.r", 3)
    window.show_page("training")
    training = page(window, "training")
    qtbot.waitUntil(training.start.isEnabled, timeout=5000)
    qtbot.mouseClick(training.start, LEFT)
    finish(training, qtbot)
    run = Runs(home).list()[0]
    qtbot.waitUntil(lambda: bool(window.app_model.runs and window.app_model.runs[0].result), timeout=10_000)

    window.app_model.state.set_value("lora.r", 12)
    training.menu.aboutToShow.emit()
    actions = [action.text() for action in training.menu.actions()]
    assert actions[0] == "Train again with these settings"
    training.menu.actions()[0].trigger()
    assert window.app_model.state.value("lora.r") == 3
    assert window.app_model.state.get("page") == "settings"

    # What an earlier run lets expect stands there in full.
    shown = page(window, "settings").readouts.values
    qtbot.waitUntil(lambda: "earlier trainings" in shown["time"].text(), timeout=10_000)
    window.resize(1280, 800)
    for value in shown.values():
        qtbot.waitUntil(lambda value=value: value.width() >= value.sizeHint().width(), timeout=5000)

    training.menu.export(run.id, "code", tmp_path / "run.py")
    qtbot.waitUntil(lambda: not window.news.isHidden(), timeout=LONG)
    assert str(tmp_path / "run.py") in window.news.hint.text()
    assert "r=3" in (tmp_path / "run.py").read_text()
    training.menu.export(run.id, "adapter", tmp_path / "run.py")  # taken
    qtbot.waitUntil(lambda: not window.trouble.isHidden(), timeout=LONG)
    assert "exists already" in window.trouble.message.text()

    # Its curves leave as a picture.
    window.show_page("training")
    qtbot.waitUntil(lambda: len(training.shown.losses) > 0 and not window.app_model.lanes.busy, timeout=LONG)
    window.news.hide()
    training.menu.export_curves(tmp_path / "curves.png")
    qtbot.waitUntil(lambda: not window.news.isHidden(), timeout=LONG)
    picture = QImage(str(tmp_path / "curves.png"))
    assert picture.width() > 2000
    accent = QColor(window.app_model.theme.tokens.accent).rgb()
    assert any(
        picture.pixel(x, y) == accent
        for x in range(0, picture.width(), 2)
        for y in range(0, picture.height(), 2)
    )

    training.menu.delete(run.id)
    qtbot.waitUntil(lambda: not window.app_model.runs and not window.app_model.lanes.busy, timeout=10_000)
    assert not run.path.exists()
    window.show_page("training")
    assert training.stack.currentIndex() == 0


def test_a_damaged_run_is_in_the_list_and_says_why(
    open_window: Callable[..., MainWindow], home: Path, tiny_pairs: Path, qtbot: QtBot
) -> None:
    whole, broken = (Runs(home).create(name, settings.Settings(), tiny_pairs) for name in ("whole", "broken"))
    (broken.path / "run.json").write_text('{"schema": 1, "folder": 7}', encoding="utf-8")
    window = open_window(language="en", run=broken.id, page="training")
    page = window.page("training")
    qtbot.waitUntil(lambda: len(window.app_model.runs) == 2, timeout=10_000)
    assert {run.run: run.status for run in window.app_model.runs} == {
        whole.id: "interrupted", broken.id: "damaged",
    }  # fmt: skip
    assert page.runs.value() == broken.id  # type: ignore[attr-defined]
    assert "damaged" in page.runs.currentText()  # type: ignore[attr-defined]
    assert page.plan.text().startswith("run.json: folder")  # type: ignore[attr-defined]
    assert not page.resume.isVisible()  # type: ignore[attr-defined]
