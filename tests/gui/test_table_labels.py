"""Trainings on the Table page: name, note, colour, archive, differences, and what of them is shown."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hands import Hangul
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialogButtonBox, QMenu
from pytestqt.qtbot import QtBot

from clip_atelier.engine import settings
from clip_atelier.engine.runs import Runs, label_of
from clip_atelier.gui.main_window import MainWindow

LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def page(open_window: Callable[..., MainWindow], home: Path, tmp_path: Path, qtbot: QtBot) -> Any:
    runs = Runs(home)
    for preset, rank, folder in (("attention", 4, "ink"), ("attention", 16, "ink"), ("layernorm", 8, "oil")):
        (tmp_path / folder).mkdir(exist_ok=True)
        runs.create(preset, settings.build({"lora.r": rank}), tmp_path / folder)
    shown = open_window(language="en", theme="light", page="table").page("table")
    settle(shown, qtbot)
    return shown


def settle(page: Any, qtbot: QtBot) -> None:
    qtbot.waitUntil(lambda: page._known and not page.app_model.lanes.files.busy, timeout=30_000)


def menu(page: Any, *places: int) -> dict[str, Any]:
    page.view.choose([page.view.table.rows[place].run for place in places])
    shown = QMenu(page)
    page.run.add_actions(shown)
    return {action.text(): action for action in shown.actions()}


def test_a_training_is_named_noted_and_coloured(page: Any, qtbot: QtBot) -> None:
    run = page.view.table.rows[0].run
    menu(page, 0)["Name, note and colour…"].trigger()
    dialog = page.labels.dialog
    dialog.name.selectAll()
    qtbot.keyClicks(dialog.name, "Dry brush")
    qtbot.keyClicks(dialog.note, "second batch")
    dialog.tag.set_value("green")
    save = dialog.findChild(QDialogButtonBox).button(QDialogButtonBox.StandardButton.Save)
    qtbot.mouseClick(save, LEFT)
    qtbot.waitUntil(lambda: label_of(page.app_model.home / "runs" / run).tag == "green", timeout=10_000)
    qtbot.waitUntil(lambda: page.view.table.rows[0].name == "Dry brush", timeout=10_000)
    table = page.view.table
    cell = table.cell(table.rows[0], table.columns[0])
    assert (cell.first, cell.tag, cell.tip) == ("Dry brush", "green", "second batch")
    assert "second batch" in page.run.facts.full_text()


def test_archived_trainings_leave_the_table_and_come_back(page: Any, qtbot: QtBot) -> None:
    first = page.view.table.rows[0].run
    menu(page, 0)["Archive"].trigger()
    qtbot.waitUntil(lambda: len(page.view.table.rows) == 2, timeout=10_000)
    assert page.narrowing.archived.isVisible()
    qtbot.mouseClick(page.narrowing.archived, LEFT)
    settle(page, qtbot)
    assert page.view.table.place_of(first) == 0
    menu(page, 0)["Take out of the archive"].trigger()
    qtbot.waitUntil(page.narrowing.archived.isHidden, timeout=10_000)
    assert len(page.view.table.rows) == 3


def test_two_trainings_are_compared(page: Any, qtbot: QtBot) -> None:
    menu(page, 1, 2)["Differences…"].trigger()
    qtbot.waitUntil(lambda: page.labels.dialog is not None, timeout=10_000)
    dialog = page.labels.dialog
    told = [[dialog.table.item(y, x).text() for x in range(3)] for y in range(dialog.table.rowCount())]
    assert len(told) == 1
    assert sorted(told[0][1:]) == ["16", "4"]
    heads = [dialog.table.horizontalHeaderItem(x).text() for x in (1, 2)]
    assert len(set(heads)) == 2, "both are called attention"
    assert all(head.startswith("attention · ") for head in heads)
    dialog.reject()
    assert "Differences…" not in menu(page, 0)


def test_the_table_narrows_to_a_collection_and_a_preset(page: Any, qtbot: QtBot, tmp_path: Path) -> None:
    narrowing = page.narrowing
    assert "Collection" in [column.title for column in page.view.table.columns]
    assert narrowing.collection.isVisible()
    assert narrowing.model.isHidden()  # all of one model
    narrowing.collection.setFocus()
    narrowing.collection.set_value(str(tmp_path / "oil"))
    narrowing.collection.edited.emit()
    settle(page, qtbot)
    assert [row.preset for row in page.view.table.rows] == ["layernorm"]
    narrowing.collection.set_value("")
    narrowing.preset.set_value("attention")
    narrowing.preset.edited.emit()
    settle(page, qtbot)
    assert [row.preset for row in page.view.table.rows] == ["attention", "attention"]
    page.read()
    settle(page, qtbot)
    assert len(page.view.table.rows) == 2


def test_training_again_takes_the_settings_over(page: Any) -> None:
    rank = page.view.table.rows[1].settings["lora.r"]
    menu(page, 1)["Train again with these settings"].trigger()
    assert page.app_model.state.values()["lora.r"] == rank


def test_the_table_is_as_high_as_its_rows_until_its_edge_is_moved(
    page: Any, open_window: Callable[..., MainWindow], qtbot: QtBot
) -> None:
    upper, lower = page.split.sizes()
    assert page.view.height() >= page.view.whole_height
    assert lower > upper, "what is said of a training has the room that three rows leave"
    page.split.moveSplitter(upper + 120, 1)
    moved = page.split.sizes()
    page.read()
    settle(page, qtbot)
    assert page.split.sizes() == moved
    page.app_model.state.save()
    again = open_window(page="table").page("table")
    settle(again, qtbot)
    assert again.split.sizes() == moved


def test_a_korean_name_and_note_are_saved_with_their_last_syllable(
    page: Any, keys: Hangul, qtbot: QtBot
) -> None:
    path = page.app_model.home / "runs" / page.view.table.rows[0].run
    menu(page, 0)["Name, note and colour…"].trigger()
    dialog = page.labels.dialog
    dialog.name.setFocus()
    qtbot.waitUntil(dialog.name.hasFocus)
    dialog.name.selectAll()
    keys.at("붓")
    keys.commit()  # as the system does where the focus leaves
    dialog.note.setFocus()
    qtbot.waitUntil(dialog.note.hasFocus)
    keys.at("먹", "마른 ")
    dialog.tag.set_value("green")
    # On macOS a pressed button takes no focus, so that nothing finishes the syllable.
    save = dialog.findChild(QDialogButtonBox).button(QDialogButtonBox.StandardButton.Save)
    save.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    qtbot.mouseClick(save, LEFT)
    qtbot.waitUntil(lambda: label_of(path).tag == "green", timeout=10_000)
    assert (label_of(path).name, label_of(path).note) == ("붓", "마른 먹")
    settle(page, qtbot)

    # Enter in the name saves too.
    menu(page, 0)["Name, note and colour…"].trigger()
    dialog = page.labels.dialog
    dialog.name.setFocus()
    qtbot.waitUntil(dialog.name.hasFocus)
    dialog.name.end(False)
    keys.at("펜")
    qtbot.keyClick(dialog.name, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: label_of(path).name == "붓펜", timeout=10_000)
