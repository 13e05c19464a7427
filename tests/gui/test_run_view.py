"""A run of ten hours on the sheet: 50,000 events, drawn within a tick."""

from __future__ import annotations

import gc
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from clip_atelier.engine.core import Check, Event, Finished, FoldStep, Notice, Phase, Progress, Started, Step
from clip_atelier.gui.app_model import AppModel
from clip_atelier.gui.pages.training.run_view import RunView
from clip_atelier.gui.run_progress import RunRecord

HEADLINE = "text_to_image/R@1"


def long_run(steps: int) -> list[Event]:
    events: list[Event] = [
        Phase(name="train", title="Training"),
        Started(
            run="r", steps=steps, start_step=0, trainable_parameters=1, device="cpu", precision="fp32",
            primary_metric=HEADLINE, select_by="text_to_image/mAP",
        ),
    ]  # fmt: skip
    for n in range(1, steps + 1):
        loss = None if n == 7 else 3.0 / n**0.1
        events.append(Step(step=n, epoch=n / 100, loss=loss, learning_rate=1e-4, images_per_second=100.0))
        if n % 500 == 0:
            events.append(Check(step=n, epoch=n / 100, metrics={HEADLINE: n / steps}, loss=2.0, best=True))
    return events


@pytest.mark.fault(40)
def test_each_tick_of_a_long_replay_is_short(app_model: AppModel, qtbot: QtBot) -> None:
    view = RunView(app_model)
    qtbot.addWidget(view)
    view.show()
    record, events, slowest = RunRecord(), long_run(50_000), 0.0
    for start in range(0, len(events), 5000):
        began = time.process_time()
        record.feed(events[start : start + 5000])
        view.draw(record, Path(), "working")
        slowest = max(slowest, time.process_time() - began)
    assert slowest < 0.5  # of this process's own time; about 0.05 on an idle machine
    assert view.figures["step"].number.text() == "50,000 / 50,000"


@pytest.mark.fault(40)
def test_the_memory_of_a_replay_is_bounded() -> None:
    """Of each step three numbers stay, of what is told again and again the first or the last of it."""
    steps, record = 20_000, RunRecord()

    def told() -> Iterator[Event]:
        yield from long_run(0)
        for n in range(1, steps + 1):
            yield Step(step=n, epoch=n / 100, loss=1.0, learning_rate=1e-4, images_per_second=100.0)
            yield Progress(done=n, total=steps, item=f"drawing {n}.png")
            yield Notice(text=f"The loss has gone up at step {n}; it may come down again by itself.")
            yield Check(step=n - n % 5000, epoch=n / 100, metrics={HEADLINE: n / steps}, loss=2.0, best=True)

    tracemalloc.start()
    try:
        record.feed(told())
        gc.collect()
        held, _peak = tracemalloc.get_traced_memory()
        assert len(record.steps) == steps
        assert held < 32 * steps + 200_000
        del record
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] < 100_000
    finally:
        tracemalloc.stop()


def test_it_says_how_the_run_stands(app_model: AppModel, qtbot: QtBot) -> None:
    view = RunView(app_model)
    qtbot.addWidget(view)
    record = RunRecord()
    view.draw(record, Path(), "starting")
    assert view.phase.text() == "Getting ready…"
    record.feed(long_run(20))
    view.draw(record, Path(), "working")
    assert view.phase.text() == "Training"
    # It began while the window was in the other language.
    record.feed([Phase(name="load", title="모델 여는 중")])
    view.draw(record, Path(), "working")
    assert view.phase.text() == "Opening the model"
    record.feed([Phase(name="train", title="학습")])
    view.draw(record, Path(), "paused")
    assert view.phase.text().startswith("Paused")
    view.draw(record, Path(), "")
    assert view.phase.text().startswith("Interrupted")
    record.feed([Finished(status="failed", message="The disk is full.", hint="Make room.")])
    view.draw(record, Path(), "")
    assert view.phase.text().startswith("The training failed")
    assert view.notes.text() == "The disk is full. Make room."


def test_values_are_read_off_under_the_pointer(app_model: AppModel, qtbot: QtBot) -> None:
    view = RunView(app_model)
    qtbot.addWidget(view)
    record = RunRecord()
    record.feed(long_run(1000))
    view.draw(record, Path(), "")
    view.curves.loss.pointed.emit(400.2)
    assert view.curves.loss_note.text() == f"step 401: {record.losses[400]:.3f}"
    view.curves.recall.pointed.emit(620.0)
    assert view.curves.recall_note.text() == "step 500: 0.500"
    view.curves.loss.pointed.emit(None)
    assert view.curves.loss_note.text() == ""


def test_curves_of_a_live_run_follow_once_a_second_and_its_numbers_at_once(
    app_model: AppModel, qtbot: QtBot
) -> None:
    view = RunView(app_model)
    qtbot.addWidget(view)
    view.show()
    record, events = RunRecord(), long_run(300)

    def drawn() -> int:
        return len(view.curves.loss._curves["raw"][0].getOriginalDataset()[0])

    record.feed(events[:102])
    view.draw(record, Path(), "working")
    assert drawn() == 100
    record.feed(events[102:202])
    view.draw(record, Path(), "working")
    assert view.figures["step"].number.text().startswith("200 ")
    assert drawn() == 100
    qtbot.waitUntil(lambda: drawn() == 200, timeout=10_000)
    record.feed(events[202:])
    view.draw(record, Path(), "")
    assert drawn() == 300, "an ended run is drawn whole"


def test_the_answers_of_a_run_by_folds_are_seen_whole_in_any_window(
    app_model: AppModel, qtbot: QtBot
) -> None:
    view = RunView(app_model)
    qtbot.addWidget(view)
    record = RunRecord()
    record.feed([*long_run(20), FoldStep(fold=1, folds=5, step=1, steps=20, loss=1.0)])
    sheet = QWidget()
    qtbot.addWidget(sheet)
    view.setParent(sheet)
    sheet.show()
    view.show()
    view.draw(record, Path(), "")
    seen = []
    for height in (900, 520, 480, 360, 900):  # of windows of 1080, 720, 680 and 540
        view.setGeometry(0, 0, 1020, height)
        QApplication.processEvents()
        assert view.rect().contains(view.tabs.geometry()), height
        seen.append((view.tabs.height(), view.curves.isVisible()))
        if view.curves.isVisible():
            assert view.curves.height() >= view.curves.minimumSizeHint().height()
            assert not view.curves.geometry().intersects(view.tabs.geometry())
    assert seen[0] == seen[-1]
    assert seen[0][0] > seen[1][0]
    assert [on for _height, on in seen] == [True, True, seen[2][1], False, True]
