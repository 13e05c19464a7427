"""Everything can be reached by its name and by its keys, and both come from one list."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAction, QInputMethodEvent, QKeySequence, QShortcut
from PySide6.QtWidgets import QApplication, QPushButton
from pytestqt.qtbot import QtBot

from clip_atelier.engine import settings
from clip_atelier.engine.core import _
from clip_atelier.gui.actions import ACTIONS, Bound, bound
from clip_atelier.gui.glossary import Glossary
from clip_atelier.gui.help import Help
from clip_atelier.gui.main_window import MainWindow
from clip_atelier.gui.pages import PAGES
from clip_atelier.gui.palette import Palette


def opened(window: MainWindow, qtbot: QtBot) -> Palette:
    window.activateWindow()
    qtbot.keyClick(window, Qt.Key.Key_K, Qt.KeyboardModifier.ControlModifier)
    (palette,) = window.findChildren(Palette)
    return palette


def choose(window: MainWindow, qtbot: QtBot, typed: str) -> str:
    palette = opened(window, qtbot)
    palette.line.setText(typed)
    title = palette.titles[0]
    qtbot.keyClick(palette.line, Qt.Key.Key_Return)
    QApplication.sendPostedEvents(None, 52)  # deferred deletions
    return title


@pytest.fixture
def whole(window: MainWindow) -> MainWindow:
    for page in PAGES:
        window.page(page.name)
    return window


def test_every_key_of_the_window_comes_from_the_one_list(whole: MainWindow) -> None:
    assert whole.findChildren(QShortcut) == []
    known = {keys.toString() for action in ACTIONS.values() for keys in action.sequences}
    for made in whole.findChildren(QAction):
        if not made.shortcut().isEmpty() and not made.objectName().startswith(("edit-", "select-")):
            assert isinstance(made, Bound), made.text()
    for button in whole.findChildren(QPushButton):
        assert button.shortcut().isEmpty() or button.shortcut().toString() in known
    everywhere = [keys.toString() for a in ACTIONS.values() if not a.page for keys in a.sequences]
    for page in PAGES:
        here = [k.toString() for a in ACTIONS.values() if a.page == page.name for k in a.sequences]
        assert len({*everywhere, *here}) == len(everywhere) + len(here), page.name


def test_every_action_can_be_done_once_its_page_is_there(whole: MainWindow) -> None:
    bound_names = [one.action.name for one in whole.findChildren(Bound)]
    assert sorted(bound_names) == sorted(a.name for a in ACTIONS.values() if not a.of_list)
    assert len(bound_names) == len(set(bound_names))


def test_a_page_an_action_a_preset_a_setting_and_a_word_are_found_by_keyboard(
    window: MainWindow, qtbot: QtBot
) -> None:
    assert choose(window, qtbot, "sett") == "Settings"
    assert window.app_model.state.get("page") == "settings"
    assert choose(window, qtbot, "dark") == "Dark theme"
    assert window.app_model.state.get("theme") == "dark"
    title = _(settings.PRESETS["attention"].title)
    assert choose(window, qtbot, title) == title
    assert window.app_model.state.get("preset") == "attention"
    window.show_page("collection")
    title = _(settings.DECLARED["hardware.own_process"].title)
    assert choose(window, qtbot, "own process") == title
    assert window.app_model.state.get("page") == "settings"
    form = window.page("settings").form  # type: ignore[attr-defined]
    control = form.rows["hardware.own_process"].control
    qtbot.waitUntil(lambda: control.hasFocus() or control.isAncestorOf(QApplication.focusWidget()))
    assert choose(window, qtbot, "control set") == "control set"
    (glossary,) = window.findChildren(Glossary)
    assert "control set" in glossary.shown()[0]


def test_korean_is_found_while_a_syllable_is_still_being_typed(window: MainWindow, qtbot: QtBot) -> None:
    window.set_language("ko")
    palette = opened(window, qtbot)
    palette.line.setText("ㅅㅈ")
    assert "설정" in palette.titles[:3]
    palette.line.clear()
    QApplication.sendEvent(palette.line, QInputMethodEvent("용ㅇ", []))
    assert palette.titles[0] == "용어집"
    qtbot.keyClick(palette.line, Qt.Key.Key_Escape)


def test_arrows_move_while_typing_and_a_screen_reader_hears_what_it_is(
    window: MainWindow, qtbot: QtBot
) -> None:
    palette = opened(window, qtbot)
    assert palette.line.accessibleName()
    assert palette.list.accessibleName()
    first = palette.titles[0]
    qtbot.keyClick(palette.line, Qt.Key.Key_Down)
    assert palette.list.currentIndex().row() == 1
    qtbot.keyClick(palette.line, Qt.Key.Key_Up)
    qtbot.keyClick(palette.line, Qt.Key.Key_Up)
    assert palette.list.currentIndex().row() == len(palette.titles) - 1
    spoken = palette.model.index(0).data(Qt.ItemDataRole.AccessibleTextRole)
    assert spoken.startswith(first)
    assert "Ctrl+1" in spoken
    palette.line.setText("there is nothing of that name")
    assert palette.titles == []
    assert palette.nothing.isVisible()


def test_what_cannot_be_done_now_says_so(window: MainWindow) -> None:
    window.do("training.pause")
    assert "Pause the training" in window.news.message.text()
    assert window.app_model.state.get("page") == "training"


def test_f1_lists_every_key_and_the_licences_can_be_read(window: MainWindow, qtbot: QtBot) -> None:
    window.activateWindow()
    qtbot.keyClick(window, Qt.Key.Key_F1)
    (shown,) = window.findChildren(Help)
    assert shown.keys["palette"] == QKeySequence("Ctrl+K").toString(QKeySequence.SequenceFormat.NativeText)
    assert set(shown.keys) == {a.name for a in ACTIONS.values() if a.sequences}
    assert all(shown.about.lines[name] != "–" for name in ("PyTorch", "Qt (PySide6)", "Transformers", "PEFT"))
    qtbot.waitUntil(lambda: shown.about.device.text() not in ("", "Looking…"))
    shown.tabs.choose("licences")
    works = [shown.licences.list.item(row).text() for row in range(shown.licences.list.count())]
    for wanted in (
        "CLIP Atelier",
        "fonts",
        "icons",
        "models/starter",
        "samples/emoji",
        "control-set",
        "torch",
        "PySide6_Essentials",
    ):
        assert any(wanted in work for work in works), wanted
    for row in range(shown.licences.list.count()):
        shown.licences.list.setCurrentRow(row)
        assert len(shown.licences.text.toPlainText()) > 20, works[row]
    window.do("glossary")
    assert window.findChildren(Glossary)


def test_menus_say_the_keys_of_the_list(window: MainWindow) -> None:
    entries = window.more_menu.actions()
    assert all(isinstance(entry, Bound) for entry in entries)
    trash = bound(window, "trash")
    assert trash in entries
    assert trash is not None
    assert trash.shortcut().toString() == "Ctrl+Shift+T"
