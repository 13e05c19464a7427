"""The preset that tries everything: where it stands, the table that fills while it works, and what it came to."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from clip_atelier.engine import settings
from clip_atelier.engine.core import (
    Event,
    Finished,
    FoldStep,
    PartMeasured,
    Phase,
    Progress,
    Started,
    Step,
    from_json,
    i18n,
    to_json,
)
from clip_atelier.engine.parts import names
from clip_atelier.engine.runs import Runs, TrainResult
from clip_atelier.gui.app_model import AppModel
from clip_atelier.gui.main_window import MainWindow
from clip_atelier.gui.pages.training.run_view import RunView
from clip_atelier.gui.parts.result import Result
from clip_atelier.gui.run_progress import RunRecord
from clip_atelier.gui.state import WindowState
from clip_atelier.gui.widgets.text import Label

WORDS, PICTURES = "text_to_image", "sketch_to_artwork"


def part(name: str, question: str, value: float, *, kept: bool = False) -> PartMeasured:
    return PartMeasured(
        name=name, question=question, value=value, low=value - 0.03, high=value + 0.03, kept=kept
    )


def question(before: float, after: float, verdict: str) -> dict[str, Any]:
    change = {"value": after - before, "low": after - before - 0.02, "high": after - before + 0.02}
    return {
        "queries": 100, "gallery": 20, "verdict": verdict,
        "base": {"R@1": before, "mAP": before + 0.1}, "adapted": {"R@1": after, "mAP": after + 0.1},
        "difference": {"R@1": change, "mAP": change},
    }  # fmt: skip


QUESTIONS = {
    PICTURES: question(0.3, 0.3, "no measurable difference"), WORDS: question(0.2, 0.41, "gain"),
}  # fmt: skip
RESULT = {
    "run": "r", "status": "done", "measured_on": "folds", "folds": 5, "verdict": "gain",
    "primary_metric": f"{WORDS}/mAP", "questions": QUESTIONS, "queries": dict.fromkeys(QUESTIONS, 100),
    **{
        side: {f"{task}/{metric}": value for task, one in QUESTIONS.items() for metric, value in one[side].items()}
        for side in ("base", "adapted", "difference")
    },
    "chance": {f"{WORDS}/mAP": 0.0625},
    "summary": "Words → image: learned words. Training takes 120 instead of 200 steps.",
    "skipped": ["Training takes 120 instead of 200 steps."],
}  # fmt: skip


def texts(widget: Any) -> list[str]:
    """Every word on a widget that nobody has hidden; what was just added is shown a moment later."""
    told = Qt.WidgetAttribute.WA_WState_ExplicitShowHide
    return [
        label.text()
        for label in widget.findChildren(Label)
        if label.text() and not (label.isHidden() and label.testAttribute(told))
    ]


def test_the_window_starts_from_it_and_shows_it_first(window: MainWindow) -> None:
    state = window.app_model.state
    assert state.get("preset") == "auto"
    assert settings.build(state.values()) == settings.build({}, "auto")
    window.show_page("settings")
    page: Any = window.page("settings")
    cards = page.presets
    assert next(iter(cards)) == "auto"
    assert [name for name, card in cards.items() if card.property("chosen")] == ["auto"]
    others = [card for name, card in cards.items() if name != "auto"]
    assert all(cards["auto"].width() > 3 * other.width() for other in others)
    assert all(cards["auto"].geometry().bottom() < other.geometry().top() for other in others)
    assert page.explanation.title.text() == "Find what helps"


def test_who_chose_another_preset_before_keeps_it(home: Path) -> None:
    before = WindowState(home)
    before.choose_preset("attention")
    before.save()
    assert WindowState(home).get("preset") == "attention"


@pytest.fixture
def view(app_model: AppModel, qtbot: QtBot) -> RunView:
    made = RunView(app_model)
    qtbot.addWidget(made)
    made.resize(1000, 700)
    made.show()
    return made


def test_the_table_fills_as_parts_are_measured(view: RunView, qtbot: QtBot) -> None:
    record = RunRecord()
    record.feed([Phase(name="parts", title="Trying what needs no training")])
    view.draw(record, Path(), "working")
    assert "parts" not in view.tabs.names

    record.feed([part("learned_words", WORDS, 0.1)])
    view.draw(record, Path(), "working")
    assert view.tabs.current == "parts"
    assert view.curves.isHidden(), "there is nothing to draw yet"
    cells = view.parts.cells
    assert list(cells) == [(name, WORDS) for name in names.TITLES]
    assert cells["learned_words", WORDS].gain.text() == "+0.100"
    assert cells["learned_words", WORDS].interval.text() == "+0.070 … +0.130"
    assert cells["learned_words", WORDS].gain.property("role") == "turned"
    assert cells["lora", WORDS].gain.text() == "…"
    shown = texts(view.parts)
    assert {"Words → image", "Learned words", names.EXPLANATIONS["learned_words"]} <= set(shown)

    # Once all that needs no training is tried, only LoRA is still to come.
    record.feed([Phase(name="folds", title="Training"), Progress(done=1, total=5, seconds_left=90.0)])
    view.draw(record, Path(), "working")
    assert cells["picture_head", WORDS].gain.text() == "–"
    assert cells["lora", WORDS].gain.text() == "…"
    assert view.figures["left"].number.text() != "–"

    # Another question, and newer numbers of the first.
    record.feed([part("picture_head", PICTURES, 0.01), part("learned_words", WORDS, 0.2, kept=True)])
    view.draw(record, Path(), "working")
    cells = view.parts.cells
    assert {q for _name, q in cells} == {WORDS, PICTURES}
    assert cells["learned_words", WORDS].gain.text() == "+0.200"
    assert not cells["learned_words", WORDS].mark.isHidden()
    assert cells["picture_head", PICTURES].gain.property("role") == "muted", "its interval holds zero"
    assert cells["picture_head", PICTURES].mark.isHidden()

    # Each fold has a curve of its own; there are no checks to draw beside it.
    told = [FoldStep(fold=f, folds=5, step=n, steps=30, loss=1.0 / n) for f in (1, 2) for n in (10, 20, 30)]
    record.feed([Progress(done=130, total=500), *told[:-1]])
    view.draw(record, Path(), "working")
    assert not view.curves.isHidden()
    qtbot.waitUntil(view.curves.right.isHidden, timeout=10_000)  # the curves follow once a second
    assert "fold 2 of 5" in view.phase.text()
    assert view.figures["step"].number.text() == "20 / 30"
    assert view.figures["loss"].number.text() == "0.050"
    assert {n: list(fold.steps) for n, fold in record.folds.items()} == {1: [10, 20, 30], 2: [10, 20]}
    record.feed([told[3]])
    assert list(record.folds[2].steps) == [10], "a fold that was interrupted begins again"

    started = Started(
        run="r", steps=1, start_step=0, trainable_parameters=1, device="cpu", precision="fp32",
        primary_metric=f"{WORDS}/R@1", select_by=f"{WORDS}/mAP",
    )  # fmt: skip
    step = Step(step=1, epoch=1.0, loss=1.0, learning_rate=1e-3, images_per_second=1.0)
    record.feed([Phase(name="train", title="Training"), started, step])
    view.draw(record, Path(), "working")
    assert "on all drawings" in view.phase.text()
    assert view.figures["step"].number.text() == "1 / 1"
    record.feed([Finished(status="done", result=RESULT)])
    view.draw(record, Path(), "")
    assert cells["lora", WORDS].gain.text() == "–", "nothing more is to come"
    assert "100" in texts(view.result)
    assert "learned from all drawings" in view.phase.text()

    # The next run that is looked at tries nothing.
    view.draw(RunRecord(), Path(), "starting")
    assert "parts" not in view.tabs.names
    assert view.tabs.current != "parts"
    assert not view.curves.isHidden()


def test_an_old_run_shows_its_table_again(
    open_window: Callable[..., MainWindow], home: Path, tiny_pairs: Path, qtbot: QtBot
) -> None:
    run = Runs(home).create("old", settings.build({}, "auto"), tiny_pairs)
    events: list[Event] = [
        part("hub_correction", WORDS, 0.05, kept=True),
        Finished(status="done", result=RESULT),
    ]
    lines = [json.dumps(to_json(event)) for event in events]
    (run.path / "events.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert [type(from_json(to_json(event))) for event in events] == [PartMeasured, Finished]
    page: Any = open_window(language="en", run=run.id, page="training").page("training")
    qtbot.waitUntil(lambda: "parts" in page.tabs.names, timeout=30_000)
    assert not page.view.parts.cells["hub_correction", WORDS].mark.isHidden()
    assert page.tabs.current == "result"


def test_the_result_says_each_question_and_what_was_done(qtbot: QtBot) -> None:
    result = Result()
    qtbot.addWidget(result)
    result.show()
    result.show_result(TrainResult.model_validate(RESULT))
    shown = texts(result)
    assert result.measure.value() == "mAP"
    assert "Measured by 5 folds" in result.facts.text()
    assert result.summary.text() == RESULT["summary"]
    for words in (
        "Words → image", "100", "0.062", "0.300 → 0.510", "+0.210 (+0.190 … +0.230)", "helped",
        "Right at first place for 41 of 100 instead of 20.",
        "Sketch → artwork", "0.400 → 0.400", "no difference found", "Right at first place for 30 of 100, as before.",
    ):  # fmt: skip
        assert words in shown, words
    assert shown.index("Words → image") < shown.index("Sketch → artwork")
    result.measure.set_value("R@1")
    result.measure.edited.emit()
    assert "0.200 → 0.410" in texts(result)


def test_what_was_done_is_told_in_the_language_of_now(qtbot: QtBot) -> None:
    result = Result()
    qtbot.addWidget(result)
    gain = {"value": 0.2, "low": 0.1, "high": 0.3}
    parts = [
        {"name": "learned_words", "question": task, "gain": gain, "kept": task == WORDS} for task in QUESTIONS
    ]
    way = {
        "name": "nearest_drawings",
        "question": WORDS,
        "value": 0.6,
        "difference": {"value": -0.1, "low": -0.2, "high": -0.05},
    }
    run = TrainResult.model_validate({**RESULT, "parts": parts, "strength": 0.5, "trivial": [way]})
    result.show_result(run)
    assert result.summary.text() == (
        "Sketch → artwork: nothing helped on drawings that were not learned from, so the base is kept. "
        "Words → image: learned words (mAP 0.300 → 0.510, +0.190 to +0.230). The update is kept at 0.5 of its strength. "
        "Words → image: the captions of the nearest drawings alone would be better (mAP 0.600). "
        "Training takes 120 instead of 200 steps."
    )
    i18n.set_language("ko")
    try:
        result.retranslate()
        assert result.summary.text().startswith("스케치 → ")
        assert "nothing helped" not in result.summary.text()
        assert "0.300 → 0.510" in result.summary.text()
    finally:
        i18n.set_language("en")


def test_a_run_without_questions_says_the_same_of_each_task(qtbot: QtBot) -> None:
    result = Result()
    qtbot.addWidget(result)
    result.show()
    plain = {
        key: value for key, value in RESULT.items() if key not in ("questions", "folds", "summary", "skipped")
    }
    result.show_result(TrainResult.model_validate({**plain, "measured_on": "test"}))
    shown = texts(result)
    assert result.measure.value() == "R@1"
    assert {"Words → image", "0.200 → 0.410", "Right at first place for 41 of 100 instead of 20."} <= set(
        shown
    )
    assert "took no part in training" in result.facts.text()
    assert result.summary.isHidden()
