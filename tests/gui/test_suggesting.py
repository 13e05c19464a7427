"""Captions suggested by the model, taken by keys and by mouse; every one can be taken back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hands import LONG, Hangul
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot
from test_captions import opened, saved

from clip_atelier.engine.search import Suggestion, Suggestions
from clip_atelier.gui.main_window import MainWindow
from clip_atelier.gui.pages.collection.suggesting import SuggestCaptions
from clip_atelier.gui.pages.collection.suggestion_table import ManySuggestions
from tiny import draw

NAMES = ("IMG_1000.png", "IMG_1001.png", "IMG_1002.png")
LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def tab(window: MainWindow, tmp_path: Path, tiny_clip: Path, qtbot: QtBot) -> Any:
    folder = tmp_path / "mixed"
    folder.mkdir()
    for number, name in enumerate((*NAMES, "a.png", "b.png")):
        draw(("circle", "square", "ring")[number % 3], "#33d", shift=number).convert("RGB").save(
            folder / name
        )
    (folder / "metadata.csv").write_text("file_name,text\na.png,a red fox\nb.png,a red owl\n")
    window.app_model.state.set_value("model.name", str(tiny_clip))
    found = opened(window, folder, qtbot)
    found.table.setFocus()
    return found


def dialog_of(tab: Any, qtbot: QtBot) -> SuggestCaptions:
    (dialog,) = tab.findChildren(SuggestCaptions)
    qtbot.waitUntil(lambda: dialog.found is not None, timeout=LONG)
    return dialog


def test_suggestions_are_taken_by_keys_and_every_step_is_undone(tab: Any, qtbot: QtBot) -> None:
    captions = tab.table.captions
    qtbot.waitUntil(lambda: len(tab.faults.faults) == 1, timeout=LONG)
    qtbot.keyClick(tab.table, Qt.Key.Key_G, Qt.KeyboardModifier.ControlModifier)
    dialog = dialog_of(tab, qtbot)
    found = dialog.found
    assert found is not None
    assert [one.path for one in found.drawings] == list(NAMES)
    assert all(len(one.captions) == 5 for one in found.drawings)
    assert "2" in dialog.about.text(), "it says on how many drawings it was tried"

    # A key takes one and goes on; the arrow keys only go.
    qtbot.keyClick(dialog.takers[0], Qt.Key.Key_2)
    assert captions.told(NAMES[0]).captions == (found.drawings[0].captions[1],)
    assert dialog.current == found.drawings[1]
    qtbot.keyClick(dialog.takers[0], Qt.Key.Key_Return)
    assert dialog.current == found.drawings[2]
    assert captions.told(NAMES[1]).captions == ("IMG_1001",), "Enter takes nothing"
    qtbot.keyClick(dialog.takers[0], Qt.Key.Key_Left)
    qtbot.keyClick(dialog.takers[0], Qt.Key.Key_Right)
    assert dialog.current == found.drawings[2]
    qtbot.keyClick(dialog.takers[0], Qt.Key.Key_Left)
    # Digits that are typed are words, not keys.
    qtbot.keyClicks(dialog.own, "fox 2")
    qtbot.keyClick(dialog.own, Qt.Key.Key_Return)
    assert captions.told(NAMES[1]).captions == ("fox 2",)
    qtbot.mouseClick(dialog.takers[0], LEFT)
    assert captions.told(NAMES[2]).captions == (found.drawings[2].captions[0],)
    assert dialog.current is None
    assert dialog.place.text() == "That was the last drawing."
    for _step in range(3):
        dialog.undo.click()
    assert all(captions.told(name).captions == captions.saved(name).captions for name in NAMES)
    captions.steps.redo()
    dialog.shut.click()
    saved(tab, qtbot)
    assert captions.saved(NAMES[0]).captions == (found.drawings[0].captions[1],)


def test_sure_ones_are_taken_all_at_once_and_a_fault_offers_suggestions(tab: Any, qtbot: QtBot) -> None:
    captions = tab.table.captions
    qtbot.waitUntil(lambda: len(tab.faults.faults) == 1, timeout=LONG)
    tab.faults.wanted.emit("suggest", tab.faults.faults[0])
    dialog = dialog_of(tab, qtbot)
    assert dialog.all_sure.isHidden(), "two drawings are too few to call anything sure"
    sure = tuple(
        Suggestion(path=name, captions=(f"a {n}", "other"), sure=n != 1) for n, name in enumerate(NAMES)
    )
    dialog._on_found(Suggestions(folder="x", words=9, tried=20, first=18, among=20, count=5, drawings=sure))
    assert dialog.all_sure.text() == "Take the first of all 2 sure ones"
    qtbot.mouseClick(dialog.all_sure, LEFT)
    assert [captions.told(name).captions for name in NAMES] == [("a 0",), ("IMG_1001",), ("a 2",)]
    assert dialog.all_sure.isHidden()
    captions.steps.undo()
    assert captions.told(NAMES[0]).captions == ("IMG_1000",)

    # The table: sure ones are ticked, others can be, each line can hold another of its suggestions, and all are one step.
    qtbot.mouseClick(dialog.many, LEFT)
    (many,) = dialog.findChildren(ManySuggestions)
    assert list(many.ticked) == [NAMES[0], NAMES[2]]
    many.table.setCurrentCell(1, 0)
    qtbot.keyClick(many.table, Qt.Key.Key_Space)
    assert many.do.text() == "Take the 3 ticked"
    qtbot.mouseClick(many.none, LEFT)
    assert not many.do.isEnabled()
    words = many.table.visualItemRect(many.table.item(0, 2))
    qtbot.mouseClick(many.table.viewport(), LEFT, pos=words.center())
    menu = many.choices
    assert menu is not None
    assert [action.text() for action in menu.actions()] == ["&1   a 0", "&2   other"]
    assert [action.isChecked() for action in menu.actions()] == [True, False]
    qtbot.keyClick(menu, Qt.Key.Key_2)
    assert many.ticked == {NAMES[0]: "other"}, "what is chosen is ticked"
    assert many.table.item(0, 3).text() == "chosen by you"
    many.activateWindow()
    many.table.setFocus()
    qtbot.waitUntil(many.table.hasFocus)
    many.table.setCurrentCell(1, 2)
    qtbot.keyClick(many.table, Qt.Key.Key_2)
    qtbot.keyClick(many.table, Qt.Key.Key_1)
    qtbot.keyClick(many.table, Qt.Key.Key_5)
    assert many.ticked == {NAMES[0]: "other", NAMES[1]: "a 1"}
    assert many.table.item(1, 3).text() == "a guess"
    qtbot.mouseClick(many.all, LEFT)
    qtbot.mouseClick(many.do, LEFT)
    assert [captions.told(name).captions for name in NAMES] == [("other",), ("a 1",), ("a 2",)]
    captions.steps.undo()
    assert [captions.told(name).captions[0] for name in NAMES] == [Path(name).stem for name in NAMES]
    graded = Suggestion(path=NAMES[0], captions=("a",), grade="possible", alike=20, right=9)
    dialog._on_found(dialog.found.model_copy(update={"drawings": (graded,)}))
    assert "of 20 like it" in dialog.sure.text()
    assert "9" in dialog.sure.text()
    assert dialog.many.isHidden()
    dialog.shut.click()


def test_a_caption_of_ones_own_is_whole_and_its_own_drawings(
    tab: Any, keys: Hangul, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    captions = tab.table.captions
    monkeypatch.setattr(
        SuggestCaptions, "look", lambda _dialog: None
    )  # what is suggested does not matter here
    qtbot.keyClick(tab.table, Qt.Key.Key_G, Qt.KeyboardModifier.ControlModifier)
    dialog = tab.findChildren(SuggestCaptions)[-1]
    drawings = tuple(Suggestion(path=name, captions=("a", "b")) for name in NAMES)
    dialog._on_found(
        Suggestions(folder="x", words=9, tried=20, first=18, among=20, count=5, drawings=drawings)
    )

    def told(name: str) -> str:
        return " · ".join(captions.told(name).captions)

    # Enter gives the syllable that it finishes, and the next drawing begins anew.
    dialog.own.setFocus()
    qtbot.waitUntil(dialog.own.hasFocus)
    keys.at("여")
    keys.at("우", "여")
    qtbot.keyClick(dialog.own, Qt.Key.Key_Return)
    assert told(NAMES[0]) == "여우"
    assert (dialog.current, dialog.own.seen) == (drawings[1], "")

    # What was begun is not given to another drawing, and is there when one comes back. The buttons take no focus, as on
    # macOS: nothing but the dialog finishes the syllable.
    for button in (dialog.skip, dialog.shut):
        button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    keys.at("곰")
    qtbot.mouseClick(dialog.skip, LEFT)
    assert (dialog.current, dialog.own.seen) == (drawings[2], "")
    qtbot.mouseClick(dialog.back, LEFT)
    assert dialog.own.text() == "곰"
    assert told(NAMES[1]) == "IMG_1001"
    # A suggestion taken instead ends it.
    qtbot.mouseClick(dialog.takers[1], LEFT)
    qtbot.mouseClick(dialog.back, LEFT)
    assert dialog.own.seen == ""
    assert told(NAMES[1]) == "b"

    # Escape gives up what is typed before it gives up the dialog.
    dialog.own.setFocus()
    qtbot.waitUntil(dialog.own.hasFocus)
    keys.at("새")
    qtbot.keyClick(dialog.own, Qt.Key.Key_Escape)
    assert dialog.isVisible()
    assert dialog.own.seen == ""
    # Closing gives what is typed, but no half of a syllable.
    keys.at("올")
    keys.at("빼", "올")
    keys.at("ㅁ", "빼미")
    qtbot.mouseClick(dialog.shut, LEFT)
    assert told(NAMES[1]) == "올빼미"
    captions.steps.undo()
    assert told(NAMES[1]) == "b"
