from __future__ import annotations

from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QAbstractSpinBox, QComboBox
from pytestqt.qtbot import QtBot

from clip_atelier.engine import settings
from clip_atelier.engine.core import i18n
from clip_atelier.engine.settings import DECLARED, Declared
from clip_atelier.gui.form import Form, limits, make_input, shown_value
from clip_atelier.gui.state import WindowState
from clip_atelier.gui.theme import Theme
from clip_atelier.gui.widgets.inputs import Choice, Number
from clip_atelier.gui.widgets.text import Label


def other_value(declared: Declared) -> Any:
    """An allowed value that is not the default."""
    if declared.kind == "bool":
        return not declared.default
    if declared.kind == "choice":
        return next(v for v in reversed(declared.choices) if v != declared.default)
    if declared.kind == "choices":
        return tuple(declared.choices)[-2:]
    if declared.kind == "text":
        texts = {"data.template": "a sketch of {label}", "train.layers_to_transform": "0,2-3"}
        return texts.get(declared.name, "other")
    if declared.kind == "ints":
        return (1, 2)
    low = declared.minimum or 0
    high = low + 10 if declared.maximum is None else declared.maximum
    middle = (low + high) / 2
    return int(middle) if declared.kind == "int" else middle


@pytest.fixture
def form(qtbot: QtBot, state: WindowState) -> Form:
    made = Form(state)
    qtbot.addWidget(made)
    made.show()
    return made


@pytest.mark.parametrize("name", DECLARED)
def test_every_setting_goes_round(name: str, qtbot: QtBot) -> None:
    declared = DECLARED[name]
    control: Any = make_input(declared)
    qtbot.addWidget(control)
    for value in (declared.default, other_value(declared)):
        control.set_value(value)
        assert settings.build({name: control.value()}) == settings.build({name: value})


@pytest.mark.parametrize("name", DECLARED)
def test_every_field_explains_itself_and_reaches_the_draft(name: str, form: Form, state: WindowState) -> None:
    declared, row = DECLARED[name], form.rows[name]
    assert row.title.text() == declared.title
    assert row.summary.text() == declared.summary
    assert row.back.isHidden()
    value = other_value(declared)
    if value == state.baseline(name):  # the preset says so already
        value = declared.default
    row.input.set_value(value)
    row.input.edited.emit()
    assert settings.build({name: state.value(name)}) == settings.build({name: value})
    assert not row.back.isHidden()
    row.back.click()
    assert state.value(name) == state.baseline(name)
    assert row.back.isHidden()


def test_typing_by_keyboard_and_what_is_wrong_stands_beside_the_field(form: Form, qtbot: QtBot) -> None:
    row = form.rows["lora.r"]
    with qtbot.waitExposed(form):
        pass
    row.control.setFocus()
    row.control.selectAll()
    qtbot.keyClicks(row.control, "0")
    assert "at least 1" in row.problem.text()
    assert not row.problem.isHidden()
    assert row.control.property("wrong") is True
    row.control.selectAll()
    qtbot.keyClicks(row.control, "sixteen")
    assert row.problem.text() == "must be a whole number"
    row.control.selectAll()
    qtbot.keyClicks(row.control, "16")
    assert row.problem.isHidden()
    assert not form.problems()


def test_a_problem_of_two_settings_together_stands_at_their_group(form: Form, state: WindowState) -> None:
    state.set_value("train.pair_weight", 0)
    state.set_value("train.text_weight", 0)
    assert "cannot both be 0" in form.sections["train"].problem.text()
    state.set_value("train.text_weight", 1)
    assert form.sections["train"].problem.text() == ""


def test_an_error_of_the_engine_is_shown_beside_its_setting_and_unfolds_it(form: Form) -> None:
    assert form.sections["train"].folded.isHidden()
    form.show_error("train.chunk_size", "The memory is not enough.")
    row = form.rows["train.chunk_size"]
    assert row.problem.text() == "The memory is not enough."
    assert not form.sections["train"].folded.isHidden()
    row.input.set_value(4)
    row.input.edited.emit()
    assert row.problem.text() == ""


def test_turning_to_a_field_asks_for_its_explanation(form: Form, qtbot: QtBot) -> None:
    asked: list[str] = []
    form.turned_to.connect(asked.append)
    qtbot.mouseClick(form.rows["lora.bias"], Qt.MouseButton.LeftButton)
    assert asked == ["lora.bias"]


def test_a_preset_fills_the_form(form: Form, state: WindowState) -> None:
    state.choose_preset("projection")
    assert form.rows["lora.lora_alpha"].input.value() == 32
    assert form.rows["lora.target_modules"].input.value() == ("visual_projection",)


def test_the_wheel_changes_nothing_in_passing(form: Form, qtbot: QtBot) -> None:
    from PySide6.QtCore import QPoint, QPointF
    from PySide6.QtGui import QWheelEvent
    from PySide6.QtWidgets import QApplication

    for row in form.rows.values():
        if isinstance(row.control, QAbstractSpinBox | QComboBox):
            before = row.input.value()
            turn = QWheelEvent(
                QPointF(5, 5), QPointF(5, 5), QPoint(0, 0), QPoint(0, 120), Qt.MouseButton.NoButton,
                Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
            )  # fmt: skip
            row.control.clearFocus()
            QApplication.sendEvent(row.control, turn)
            assert row.input.value() == before


@pytest.mark.parametrize(
    ("typed", "value"),
    [("3e-4", 3e-4), ("0.25", 0.25), ("0,25", 0.25), ("16", 16), ("\u22121", -1), ("", ""), ("1e", "1e"), ("nan", "nan")],
)  # fmt: skip
def test_numbers_as_people_write_them(typed: str, value: Any, qtbot: QtBot) -> None:
    number = Number()
    qtbot.addWidget(number)
    number.lineEdit().setText(typed)
    assert number.value() == value


def test_the_arrows_walk_sensibly_and_stop_at_the_range(qtbot: QtBot) -> None:
    rate = Number(minimum=0.0, maximum=1.0)
    qtbot.addWidget(rate)
    rate.set_value(3e-4)
    walked = []
    for _n in range(4):
        rate.stepBy(1)
        walked.append(rate.value())
    assert walked == [5e-4, 1e-3, 2e-3, 5e-3]
    share = Number(step=0.05, minimum=0, maximum=0.9)
    qtbot.addWidget(share)
    share.set_value(0.85)
    share.stepBy(5)
    assert share.value() == 0.9
    assert Number(whole=True).value() == ""


def test_the_form_speaks_both_languages(form: Form) -> None:
    from clip_atelier.gui.widgets.text import retranslate

    i18n.set_language("ko")
    retranslate(form)
    for name, row in form.rows.items():
        assert row.title.text() == i18n._(DECLARED[name].title)
        assert row.summary.text() == i18n._(DECLARED[name].summary)
    assert all(isinstance(row.summary, Label) for row in form.rows.values())


def test_ranges_and_values_in_words() -> None:
    assert str(limits(DECLARED["lora.r"])) == "1 to 256"
    assert str(limits(DECLARED["train.learning_rate"])) == "above 0, up to 1"
    assert limits(DECLARED["lora.bias"]) is None
    assert shown_value(DECLARED["data.flip"], False) == "off"
    assert shown_value(DECLARED["lora.target_modules"], ("q_proj", "v_proj")) == "q_proj, v_proj"


@pytest.mark.parametrize("words", ["스케치 → 작품", "All folders", "projection · 2026-11-28 04:03 · done"])
def test_a_choice_shortens_its_words_only_where_they_do_not_fit(
    qtbot: QtBot, theme_of_tests: Theme, words: str
) -> None:
    choice = Choice({"x": words})
    qtbot.addWidget(choice)
    choice.resize(choice.sizeHint())
    assert choice.shown == words
    choice.resize(choice.sizeHint().width() - 20, choice.height())
    assert "…" in choice.shown
    assert choice.shown.endswith(words[-1])
