"""Typing by an input method, as Korean is: its last syllable is unfinished until the next key, or until the focus leaves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hands import Hangul
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot
from test_captions import opened

from clip_atelier.engine.data import caption_drafts
from clip_atelier.gui.glossary import Glossary
from clip_atelier.gui.main_window import MainWindow
from clip_atelier.gui.pages.collection.caption_model import CAPTIONS, FILE, LABEL
from clip_atelier.gui.pages.collection.change_many import FillByTemplate, FindAndReplace
from clip_atelier.gui.pages.collection.teaching import TeachDialog
from tiny import draw


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "drawings"
    made.mkdir()
    for number, shape in enumerate(("circle", "square", "triangle")):
        draw(shape, "#33d", shift=number).convert("RGB").save(made / f"{shape}.png")
    (made / "metadata.csv").write_text(
        "file_name,text\ncircle.png,말 한 마리\nsquare.png,고양이\ntriangle.png,마을\n", encoding="utf-8"
    )
    return made


@pytest.fixture
def tab(window: MainWindow, folder: Path, qtbot: QtBot) -> Any:
    found = opened(window, folder, qtbot)
    found.table.setFocus()
    return found


def focus(widget: QWidget, qtbot: QtBot) -> None:
    widget.setFocus()
    qtbot.waitUntil(widget.hasFocus)


def test_filters_follow_the_syllable_that_is_being_typed(
    tab: Any, window: MainWindow, keys: Hangul, qtbot: QtBot
) -> None:
    page: Any = window.page("collection")
    focus(page.filter, qtbot)
    for typed, shown in (
        ("ㅁ", {"circle.png", "triangle.png"}), ("마", {"circle.png", "triangle.png"}), ("말", {"circle.png"}), ("", set()),
    ):  # fmt: skip
        keys.at(typed)
        page._typing.stop()
        page._on_typed()
        assert set(tab.table.captions.shown) == (shown or {"circle.png", "square.png", "triangle.png"})
    glossary = Glossary(window)
    qtbot.addWidget(glossary)
    glossary.show()
    focus(glossary.filter, qtbot)
    keys.at("샘")
    keys.at("플")
    everything = len(glossary.entries)
    assert len(glossary.shown()) < everything
    glossary.filter.clear()
    assert len(glossary.shown()) == everything


def test_typing_begins_a_caption_wherever_the_cursor_is_in_a_row(
    tab: Any, home: Path, folder: Path, keys: Hangul, qtbot: QtBot
) -> None:
    table, captions = tab.table, tab.table.captions
    table.setCurrentIndex(captions.index_of("square.png", FILE))
    assert table.testAttribute(Qt.WidgetAttribute.WA_InputMethodEnabled), (
        "the letter would come as an English one"
    )
    keys.at("ㅇ")
    assert table.currentIndex().column() == CAPTIONS
    box = table._editor.box
    keys.at("여")
    table._editor._typed.stop()
    table._editor._keep()  # the pause of one who looks for the next key
    assert captions.told("square.png").captions == ("고양이",), (
        "what stood there is not lost for half a syllable"
    )
    keys.at("", "여")
    keys.at("우")
    assert table.hasFocus(), "who takes the focus from a syllable ends it"
    table._editor._keep()
    assert captions.told("square.png").captions == ("여",)
    keys.commit()
    qtbot.keyClick(table, Qt.Key.Key_Space)
    assert box.hasFocus(), "from now on the box itself is typed in"
    keys.at("둘")
    table.commit()
    assert captions.told("square.png").captions == ("여우 둘",)
    tab._keep_draft()
    assert caption_drafts.read_draft(home, folder)["square.png"].captions == ("여우 둘",)


def test_a_pause_after_a_word_and_a_click_elsewhere_lose_nothing(
    tab: Any, window: MainWindow, keys: Hangul, qtbot: QtBot
) -> None:
    table, captions = tab.table, tab.table.captions
    page: Any = window.page("collection")
    table.setCurrentIndex(captions.index_of("square.png", LABEL))
    keys.at("동")
    keys.at("", "동")
    field = table._editor.open
    qtbot.waitUntil(field.hasFocus)
    qtbot.keyClicks(field, "2")
    assert field.text() == "동2"
    table.commit()
    assert captions.told("square.png").label == "동2"
    table.setFocus()
    table.setCurrentIndex(captions.index_of("circle.png", FILE))
    keys.at("말")
    keys.at("", "말")
    page.filter.setFocus()
    assert captions.told("circle.png").captions == ("말",)
    table.setFocus()
    table.setCurrentIndex(captions.index_of("circle.png", FILE))
    keys.at("소")
    there = table.visualRect(captions.index_of("triangle.png", CAPTIONS)).center()
    qtbot.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=there)
    assert captions.told("circle.png").captions == ("소",)
    assert captions.told("triangle.png").captions == ("마을",)


@pytest.mark.parametrize("column", [CAPTIONS, LABEL])
def test_a_new_file_does_not_take_the_syllable_that_is_being_typed(
    tab: Any, window: MainWindow, folder: Path, keys: Hangul, qtbot: QtBot, column: int
) -> None:
    table, captions = tab.table, tab.table.captions
    there = captions.index_of("square.png", column)
    table.setCurrentIndex(there)
    table.edit(there)
    qtbot.waitUntil(lambda: table._editor.open is not None and table._editor.open.hasFocus())
    keys.at("여")
    keys.at("우", "여")
    draw("ring", "#d33").convert("RGB").save(folder / "ring.png")
    before = window.app_model.readings
    page: Any = window.page("collection")
    page._on_folder_changed()
    assert not window.app_model.lanes.reading.busy, "it waits for the syllable"
    window.app_model.rescan()  # as a key does
    qtbot.waitUntil(lambda: window.app_model.readings > before and not window.app_model.lanes.reading.busy)
    told = captions.told("square.png")
    assert (told.captions if column == CAPTIONS else (told.label,)) == ("여우",)


def test_a_closing_window_keeps_a_label_with_its_last_syllable(
    tab: Any,
    window: MainWindow,
    home: Path,
    folder: Path,
    keys: Hangul,
    qtbot: QtBot,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table, captions = tab.table, tab.table.captions
    there = captions.index_of("square.png", LABEL)
    table.setCurrentIndex(there)
    table.edit(there)
    qtbot.waitUntil(lambda: table._editor.open is not None and table._editor.open.hasFocus())
    keys.at("물", "동")
    monkeypatch.setattr("clip_atelier.gui.pages.collection.caption_tab.QMessageBox.exec", lambda _box: 0)
    assert not tab.may_leave(window), "there is something to be saved"
    assert caption_drafts.read_draft(home, folder)["square.png"].label == "동물"


@pytest.mark.parametrize("dialog_of", [FindAndReplace, FillByTemplate])
def test_enter_changes_many_with_the_syllable_that_it_finishes(
    tab: Any, keys: Hangul, qtbot: QtBot, dialog_of: Callable[..., Any]
) -> None:
    captions = tab.table.captions
    dialog = dialog_of(captions, [], tab)
    dialog.show()
    field = dialog.what if dialog_of is FindAndReplace else dialog.template
    focus(field, qtbot)
    assert not dialog.do.isEnabled()
    keys.at("말")
    assert dialog.do.isEnabled(), (
        "a button that is off is not pressed by the click that finishes the syllable"
    )
    assert dialog._wait.isActive()
    qtbot.keyClick(field, Qt.Key.Key_Return)
    told = captions.told("circle.png").captions
    assert told == (("한 마리",) if dialog_of is FindAndReplace else ("말",))


def test_a_word_of_one_syllable_can_be_taught(
    tab: Any, window: MainWindow, keys: Hangul, qtbot: QtBot
) -> None:
    dialog = TeachDialog(window.app_model, [], tab)
    dialog.show()
    dialog.runs.add("run", "run")
    dialog.runs.set_value("run")
    focus(dialog.word, qtbot)
    assert not dialog.teaching.start.isEnabled()
    keys.at("용")
    assert dialog.teaching.start.isEnabled()
    dialog.shut.click()


def test_whole_syllables_are_searched_for_and_halves_neither_searched_nor_kept(
    tab: Any, window: MainWindow, keys: Hangul, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(window.app_model, "warm_up", lambda: None)  # nothing is searched here
    monkeypatch.setattr(
        window.app_model.lanes.compute, "replace", lambda job: asked.append(job.make.args[0].words)
    )
    window.show_page("search")
    page: Any = window.page("search")
    focus(page.words, qtbot)

    def typed(unfinished: str, finished: str = "") -> None:
        keys.at(unfinished, finished)
        assert page._soon.isActive()
        page.search()

    typed("ㅇ")
    assert page.words.whole == ""
    typed("여")
    typed("ㅇ", "여")
    typed("우")
    assert [page.words.text(), page.words.seen, page.words.whole] == ["여", "여우", "여우"]
    assert window.app_model.state.view("search.words", "") == "여"
    assert asked[-1] == "여우"
    assert "ㅇ" not in "".join(asked)
    keys.commit()
    page.search()
    assert window.app_model.state.view("search.words", "") == "여우"
    page.words.setText("fox")
    assert page.words.seen == "fox"
