"""The pictures of the Settings page follow the draft and change it; presets of one's own are kept, compared and let go."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QApplication, QInputDialog, QWidget
from pytestqt.qtbot import QtBot

from clip_atelier.engine import settings
from clip_atelier.engine.models import Models, shapes
from clip_atelier.gui import theme
from clip_atelier.gui.app_model import AppModel
from clip_atelier.gui.pages.settings.own_presets import PresetComparison
from clip_atelier.gui.pages.settings.page import SettingsPage
from clip_atelier.gui.pages.table.fill import FillPanel
from clip_atelier.gui.state import WindowState, own_preset

LEFT = Qt.MouseButton.LeftButton
Key = Qt.Key


@pytest.fixture
def page(app_model: AppModel, tiny_clip: Path, qtbot: QtBot) -> SettingsPage:
    app_model.state.choose_preset("attention")
    app_model.state.set_value("model.name", str(tiny_clip))
    page = SettingsPage(app_model)
    qtbot.addWidget(page)
    page.resize(1080, 740)
    page.show()
    page.tabs.choose("picture")
    return page


def painted(widget: QWidget, colour: str) -> int:
    """How many pixels of a widget's picture have a colour of the theme."""
    wanted = QColor(str(getattr(theme.tokens(widget.palette()), colour))).rgb()
    image = widget.grab().toImage()
    return sum(image.pixel(x, y) == wanted for y in range(image.height()) for x in range(0, image.width(), 2))


def settled(page: SettingsPage, qtbot: QtBot) -> None:
    """The page follows the draft a moment after it changed."""
    qtbot.waitUntil(lambda: not page._soon.isActive(), timeout=5000)


def test_the_matrix_has_the_models_own_shape_and_follows_the_fields(
    page: SettingsPage, qtbot: QtBot, tiny_clip: Path
) -> None:
    state, pictures = page.app_model.state, page.pictures
    chosen = settings.build(state.values())
    first = shapes.anatomy(Models(page.app_model.home).resolve(str(tiny_clip)), chosen).targets[0]
    drawn = pictures.matrix.update_shown
    assert drawn is not None
    assert (drawn.outputs, drawn.inputs, drawn.r) == (first.outputs, first.inputs, 8)
    assert drawn.scale == chosen.lora.scaling
    thin = painted(pictures.matrix, "accent")

    row = page.form.rows["lora.r"]
    row.input.set_value(16)
    row.input.edited.emit()
    settled(page, qtbot)
    drawn = pictures.matrix.update_shown
    assert drawn is not None
    assert drawn.r == 16
    assert painted(pictures.matrix, "accent") > thin, "B and A are as wide and high as the rank"
    assert f"{drawn.parameters:,}" in pictures.words.text()
    assert "16" in pictures.matrix.accessibleName()

    state.set_value("lora.use_rslora", True)
    state.set_value("lora.use_dora", True)
    settled(page, qtbot)
    drawn = pictures.matrix.update_shown
    assert drawn is not None
    assert drawn.scale == settings.build(state.values()).lora.scaling == 16 / 16**0.5
    assert painted(pictures.matrix, "gain"), "DoRA's lengths"
    readout = shapes.readout(
        Models(page.app_model.home).resolve(str(tiny_clip)), settings.build(state.values())
    )
    of_one_kind = {(t.outputs, t.inputs) for t in first_targets(page)}
    if len(of_one_kind) == 1:
        assert drawn.parameters * readout.modules == readout.trainable

    state.set_value("lora.r", 128)
    settled(page, qtbot)
    assert painted(pictures.matrix, "warning"), "a rank above the matrix's width is in the colour of warnings"
    assert "adds nothing" in pictures.words.text()
    state.set_value("train.method", "layernorm")
    settled(page, qtbot)
    assert not pictures.matrix.isVisible()
    assert "normalisation" in pictures.words.text()


def first_targets(page: SettingsPage) -> Any:
    chosen = settings.build(page.app_model.state.values())
    return shapes.anatomy(Models(page.app_model.home).resolve(chosen.model.name), chosen).targets


def test_towers_and_layers_are_chosen_by_mouse(page: SettingsPage, qtbot: QtBot) -> None:
    state, towers = page.app_model.state, page.pictures.towers

    def click(name: str, keys: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier) -> None:
        qtbot.mouseClick(towers, LEFT, keys, pos=towers.parts()[name].center().toPoint())
        settled(page, qtbot)

    count = towers.shown.layers["vision"]
    assert len(towers.shown.adapted["vision"]) == count > 1
    full = painted(towers, "accent")
    click(f"vision.{count - 1}")
    assert state.value("train.last_layers") == 1
    assert towers.shown.adapted["vision"] == {count - 1}
    assert painted(towers, "accent") < full
    click("vision.0")
    assert state.value("train.last_layers") == 0

    # With Ctrl a layer by itself is left out, or chosen; all of them is said by none.
    control = Qt.KeyboardModifier.ControlModifier
    click("text.0", control)
    assert state.value("train.layers_to_transform") == settings.layers_written(range(1, count))
    assert towers.shown.adapted["text"] == towers.shown.adapted["vision"] == set(range(1, count))
    click("vision.0", control)
    assert state.value("train.layers_to_transform") == ""
    click("text.0", control)
    click(f"vision.{count - 1}")
    assert (state.value("train.layers_to_transform"), state.value("train.last_layers")) == ("", 1)
    click("vision.0")

    click("vision")
    assert state.value("train.towers") == "vision"
    assert not towers.shown.adapted["text"]
    click("text.0")
    assert state.value("train.towers") == "both", "a layer of the other side has it learn again"
    click("text")
    assert state.value("train.towers") == "text"
    click("text")
    assert state.value("train.towers") == "both"

    click("vision.end")
    assert list(state.value("lora.target_modules")) == ["q_proj", "v_proj", "visual_projection"]
    assert towers.shown.ends == {"vision": True, "text": False}
    click("vision.end")
    assert list(state.value("lora.target_modules")) == ["q_proj", "v_proj"]
    state.set_value("lora.target_modules", ["visual_projection"])
    settled(page, qtbot)
    click("vision.end")
    assert list(state.value("lora.target_modules")) == ["visual_projection"], "something always learns"
    click("text")
    assert list(state.value("lora.target_modules")) == ["text_projection"]
    assert not page.form.problems()


def test_towers_and_layers_are_chosen_by_keys(page: SettingsPage, qtbot: QtBot) -> None:
    state, towers = page.app_model.state, page.pictures.towers
    assert towers.focusPolicy() == Qt.FocusPolicy.StrongFocus

    def press(key: Qt.Key) -> None:
        qtbot.keyClick(towers, key)
        settled(page, qtbot)

    count = towers.shown.layers["vision"]
    press(Key.Key_Up)
    assert state.value("train.last_layers") == count - 1
    press(Key.Key_Down)
    assert state.value("train.last_layers") == 0
    press(Key.Key_Left)
    assert state.value("train.towers") == "vision"
    assert "0 of" in towers.accessibleName()
    press(Key.Key_Right)
    assert state.value("train.towers") == "text"
    press(Key.Key_Home)
    assert state.value("train.towers") == "both"


def test_ideas_that_are_hard_to_say_have_a_picture(page: SettingsPage, qtbot: QtBot) -> None:
    page.tabs.choose("explanation")
    picture = page.explanation.picture
    page._explain("lora.r")
    assert not picture.isVisible()
    for name, colour in (("lora.use_dora", "gain"), ("lora.use_rslora", "accent")):
        page._explain(name)
        assert picture.isVisible()
        assert painted(picture, colour)
        assert picture.accessibleName()
    before = picture.grab().toImage()
    page.app_model.state.set_value("lora.r", 2)
    settled(page, qtbot)
    assert picture.rank == 2
    assert picture.grab().toImage() != before


def test_a_preset_of_ones_own_is_saved_renamed_compared_and_deleted(
    page: SettingsPage, qtbot: QtBot, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state, own = page.app_model.state, page.own
    state.set_value("lora.r", 3)
    state.set_value("train.last_layers", 1)
    assert page.presets["attention"].property("changed"), "a changed preset looks changed"
    monkeypatch.setattr(QInputDialog, "getText", lambda *_a, **_k: ("  Inks {r} & pens ", True))
    qtbot.mouseClick(own.save, LEFT)
    name = "Inks {r} & pens"
    assert list(own.cards) == [name]
    assert state.get("preset") == own_preset(name)
    assert own.cards[name].property("chosen")
    assert not state.changed_from_preset
    assert not page.presets["attention"].property("chosen")
    model = state.value("model.name")

    # Another one takes its values away, this one brings them back; the model stays.
    state.choose_preset("careful")
    assert (state.value("lora.r"), state.value("train.last_layers")) == (4, 0)
    own.cards[name].setFocus()
    qtbot.keyClick(own.cards[name], Key.Key_Space)
    assert (state.value("lora.r"), state.value("train.last_layers")) == (3, 1)
    assert state.value("model.name") == model
    state.set_value("lora.r", 5)
    assert own.cards[name].property("changed")
    page.form.rows["lora.r"].back.click()
    assert state.value("lora.r") == 3

    # What differs, in a table: what choosing would change is bold.
    table = PresetComparison(state, page).table
    titles = [table.horizontalHeaderItem(x).text() for x in range(table.columnCount())]
    assert titles[:2] == ["Setting", "Now"]
    assert titles[-1] == name
    lines = {table.item(y, 0).text(): y for y in range(table.rowCount())}
    y = lines["Rank (r)"]
    assert table.item(y, 1).text() == table.item(y, len(titles) - 1).text() == "3"
    careful = table.item(y, titles.index("Careful"))
    assert (careful.text(), careful.font().bold()) == ("4", True)
    assert "Model" not in lines, "presets do not decide it"

    state.save()
    again = WindowState(home)
    assert again.own_presets == [name]
    assert again.value("lora.r") == 3
    assert settings.build(again.values()) == settings.build(state.values())

    monkeypatch.setattr(QInputDialog, "getText", lambda *_a, **_k: ("잉크", True))
    qtbot.keyClick(own.cards[name], Key.Key_F2)
    assert state.own_presets == ["잉크"]
    assert state.get("preset") == own_preset("잉크")
    before = state.values()
    qtbot.keyClick(own.cards["잉크"], Key.Key_Delete)
    assert not state.own_presets
    assert state.values() == before, "the settings stay as they were"
    assert state.get("preset") in settings.PRESETS
    QApplication.processEvents()


def test_a_table_of_runs_holds_a_preset_of_ones_own(
    app_model: AppModel, tiny_collection: Path, qtbot: QtBot
) -> None:
    app_model.open_folder(tiny_collection)
    qtbot.waitUntil(lambda: app_model.split is not None, timeout=30_000)
    app_model.state.choose_preset("careful")
    app_model.state.save_preset("Inks")
    panel = FillPanel(app_model)
    qtbot.addWidget(panel)
    kept = panel.kept()
    assert kept["train.size_penalty"] == 0.01
    assert panel.request().preset == "", "the engine knows nothing of its name"
