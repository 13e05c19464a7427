"""Each question has its own verdict, and one thing is said of what is kept."""

from __future__ import annotations

import pytest
from PySide6.QtWidgets import QLabel
from pytestqt.qtbot import QtBot

from clip_atelier.engine.core import Check, Finished, Started
from clip_atelier.engine.runs import TrainResult
from clip_atelier.gui.app_model import AppModel
from clip_atelier.gui.pages.training.curves import Curves
from clip_atelier.gui.parts.question_lines import verdicts
from clip_atelier.gui.parts.result import Result
from clip_atelier.gui.run_progress import RunRecord

WORDS, PICTURES, SKETCHES = "text_to_image", "image_to_text", "sketch_to_artwork"


def _best(curves: Curves) -> list[tuple[float, float]]:
    x, y = curves.recall._dots["best"][0].getData()
    return list(zip(x.tolist(), y.tolist(), strict=True))


def result(*changes: tuple[str, float, float, float], count: int = 200, **more: object) -> TrainResult:
    """A run with one part kept aside: a question, the difference of its R@1 and its interval."""
    return TrainResult.model_validate(
        {
            "base": {f"{task}/R@1": 0.2 for task, *_rest in changes},
            "adapted": {f"{task}/R@1": 0.2 + value for task, value, *_rest in changes},
            "difference": {
                f"{task}/R@1": {"value": value, "low": low, "high": high}
                for task, value, low, high in changes
            },
            "queries": {task: count for task, *_rest in changes},
            "primary_metric": f"{changes[0][0]}/R@1",
            "verdict": "gain" if changes[0][2] > 0 else "no measurable difference",
            "measured_on": "test",
            "strength": 1.0,
            "best_step": 40,
            **more,
        }
    )


@pytest.fixture
def sheet(qtbot: QtBot) -> Result:
    made = Result()
    qtbot.addWidget(made)
    made.show()
    return made


def test_a_gain_that_another_question_pays_for_is_not_called_a_success(sheet: Result) -> None:
    sheet.show_result(result((SKETCHES, 0.2, 0.1, 0.3), (WORDS, -0.03, -0.05, -0.01)))
    assert sheet.verdict.text() == "Helped: Sketch → artwork. Made worse: Words → image."
    assert sheet.verdict.property("role") == "heading"
    shown = [label.text() for label in sheet.questions.findChildren(QLabel)]
    assert {"helped", "made it worse"} <= set(shown)


def test_a_gain_beside_the_question_trained_for_is_not_hidden(sheet: Result) -> None:
    found = result((WORDS, 0.001, -0.02, 0.02), (PICTURES, 0.045, 0.02, 0.07))
    sheet.show_result(found)
    assert verdicts(found) == {WORDS: "no measurable difference", PICTURES: "gain"}
    assert sheet.verdict.text() == "Helped: Image → words."
    assert sheet.verdict.property("role") == "heading-gain"


def test_where_nothing_differs_it_says_so_once(sheet: Result) -> None:
    sheet.show_result(result((WORDS, 0.001, -0.02, 0.02), (PICTURES, -0.01, -0.03, 0.01)))
    assert sheet.verdict.text() == "No difference found that chance could not explain."
    assert sheet.verdict.property("role") == "heading"


def test_few_drawings_are_counted_and_called_few(sheet: Result) -> None:
    sheet.show_result(result((WORDS, 0.6, -0.1, 0.9), count=5))
    shown = [label.text() for label in sheet.questions.findChildren(QLabel)]
    words = "Right at first place for 4 of 5 instead of 1. That is promising, but so few are not enough to be sure."
    assert words in shown
    sheet.show_result(
        result((WORDS, 0.6, 0.2, 0.9), count=5)
    )  # surer than chance: then it says so, and nothing against it
    shown = [label.text() for label in sheet.questions.findChildren(QLabel)]
    assert {"helped", "Right at first place for 4 of 5 instead of 1."} <= set(shown)


def test_a_verdict_says_which_measure_it_goes_by(sheet: Result) -> None:
    lower = {"value": -0.02, "low": -0.04, "high": -0.01}
    own = {"queries": 200, "difference": {"R@1": lower}, "verdict": "no measurable difference"}
    found = result((WORDS, -0.02, -0.04, -0.01), questions={WORDS: own})
    sheet.show_result(found)
    shown = {label.text(): label for label in sheet.questions.findChildren(QLabel)}
    assert shown["-0.020 (-0.040 … -0.010)"].property("role") == "loss"
    assert "no difference found" in shown
    assert shown["Verdict, by mAP"].toolTip()


@pytest.mark.parametrize("kept", [{"strength": 0.0}, {"best_step": 0}])
def test_where_the_untouched_model_is_kept_everything_says_so(
    sheet: Result, app_model: AppModel, qtbot: QtBot, kept: dict[str, object]
) -> None:
    found = result((WORDS, 0.0, 0.0, 0.0), **kept)
    sheet.show_result(found)
    assert "The untouched model is kept, because" in sheet.facts.text()
    assert "Best step" not in sheet.facts.text()
    record = RunRecord()
    record.feed(
        [
            Started(
                run="r", steps=100, start_step=0, trainable_parameters=1, device="cpu", precision="fp32",
                primary_metric=f"{WORDS}/R@1", select_by=f"{WORDS}/R@1",
            ),
            Check(step=0, epoch=0, metrics={f"{WORDS}/R@1": 0.2}),
            Check(step=50, epoch=1, metrics={f"{WORDS}/R@1": 0.25}, best=True),
        ]
    )  # fmt: skip
    curves = Curves(app_model.state)
    qtbot.addWidget(curves)
    curves.draw(record)
    assert _best(curves) == [(50.0, 0.25)]
    record.feed([Finished(status="done", result=found.as_json())])
    curves.draw(record)
    assert _best(curves) == [(0.0, 0.2)]


def test_where_everything_was_found_before_it_says_that_nothing_could_be_gained(sheet: Result) -> None:
    found = result((WORDS, 0.0, 0.0, 0.0), (PICTURES, 0.0, 0.0, 0.0))
    every = dict.fromkeys(found.base, 1.0)
    sheet.show_result(found.model_copy(update={"base": every, "adapted": every}))
    assert sheet.verdict.text().startswith("The untouched model already finds every one of these drawings.")
    shown = [label.text() for label in sheet.questions.findChildren(QLabel)]
    words = "Right at first place for all 200, without the adaptation too: nothing is left to gain here."
    assert shown.count(words) == 2
    # One question with room for more is an answer as any other, and so is a loss.
    sheet.show_result(found.model_copy(update={"adapted": every, "base": {**every, f"{WORDS}/R@1": 0.9}}))
    assert sheet.verdict.text() == "No difference found that chance could not explain."
    worse = result((WORDS, -0.1, -0.2, -0.01), (PICTURES, 0.0, 0.0, 0.0))
    sheet.show_result(worse.model_copy(update={"base": every, "adapted": {**every, f"{WORDS}/R@1": 0.9}}))
    assert sheet.verdict.text() == "Made worse: Words → image."
