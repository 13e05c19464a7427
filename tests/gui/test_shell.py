from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hands import drop
from PIL import Image
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QLabel
from pytestqt.qtbot import QtBot

from clip_atelier.engine.core import UserError, i18n, paths
from clip_atelier.gui import theme
from clip_atelier.gui.main_window import MainWindow
from clip_atelier.gui.pages import PAGES
from clip_atelier.gui.widgets.text import Button, Label, plain_tooltip


def read_all(window: MainWindow, qtbot: QtBot) -> None:
    qtbot.waitUntil(
        lambda: window.app_model.collection is not None or window.app_model.scan_error is not None,
        timeout=30_000,
    )


@pytest.mark.parametrize("number", range(len(PAGES)))
def test_every_page_opens_by_keyboard_and_by_mouse(number: int, window: MainWindow, qtbot: QtBot) -> None:
    page = PAGES[number]
    qtbot.waitExposed(window)
    window.activateWindow()
    key = Qt.Key(Qt.Key.Key_1.value + number)
    qtbot.keyClick(window, key, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: window.pages.currentWidget() is window._made.get(page.name), timeout=5000)
    window.show_page(PAGES[number - 1].name)
    qtbot.mouseClick(window.rail.buttons[page.name], Qt.MouseButton.LeftButton)
    assert window.pages.currentWidget() is window.page(page.name)
    assert window.app_model.state.get("page") == page.name


def test_language_changes_at_once_everywhere(window: MainWindow, qtbot: QtBot) -> None:
    for page in PAGES:
        window.show_page(page.name)
    qtbot.mouseClick(window.rail.languages.button("ko"), Qt.MouseButton.LeftButton)
    assert window.app_model.state.get("language") == "ko"
    said = [w for w in window.findChildren(Label) if w._message is not None and w._message.text]
    assert len(said) > 100
    for label in said:
        shown = getattr(label, "full_text", label.text)()
        assert shown == str(label._message)
    for page in PAGES:
        assert window.rail.buttons[page.name].text().strip() == i18n._(page.title)
    qtbot.mouseClick(window.rail.languages.button("en"), Qt.MouseButton.LeftButton)
    assert window.rail.buttons["collection"].text().strip() == "Collection"


def test_theme_changes_at_once(window: MainWindow, qtbot: QtBot) -> None:
    for choice, wanted in (("dark", theme.DARK), ("light", theme.LIGHT)):
        qtbot.mouseClick(window.rail.themes.button(choice), Qt.MouseButton.LeftButton)
        assert theme.tokens(window.palette()) == wanted
        assert window.palette().window().color().name() == wanted.window
        assert all(theme.tokens(b.palette()) == wanted for b in window.findChildren(Button))


@pytest.mark.parametrize("t", [theme.LIGHT, theme.DARK], ids=["light", "dark"])
def test_words_can_be_read_on_what_they_stand_on(t: theme.Tokens) -> None:
    """WCAG 2.1 AA: 4.5 to 1 for text."""

    def light(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        r, g, b = (c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
        return 0.2126 * r + 0.7152 * g + 0.0722 * b

    def contrast(one: str, other: str) -> float:
        high, low = sorted((light(one), light(other)), reverse=True)
        return (high + 0.05) / (low + 0.05)

    for ground in (t.window, t.surface):
        for words in (t.text, t.muted, t.accent, t.gain, t.loss, t.warning):
            assert contrast(words, ground) >= 4.5, (words, ground)
    assert contrast(t.on_accent, t.accent) >= 4.5
    assert contrast(t.accent, t.accent_soft) >= 4.5
    assert contrast(t.text, t.loss_soft) >= 4.5


def test_dropping_a_folder_anywhere_opens_it(window: MainWindow, tiny_collection: Path, qtbot: QtBot) -> None:
    window.show_page("settings")
    assert drop(window, tiny_collection)
    read_all(window, qtbot)
    assert window.app_model.state.get("page") == "collection"
    assert len(window.app_model.collection.items) == 24  # type: ignore[union-attr]
    assert window.folder_name.full_text() == "shapes"
    assert window.app_model.state.get("recent") == [str(tiny_collection)]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_names_are_shown_as_they_are_and_odd_bytes_survive(
    window: MainWindow, tmp_path: Path, qtbot: QtBot
) -> None:
    folder = tmp_path / "<b>bold & co"
    folder.mkdir()
    for name in (b"<img src=x>.png", b"\xff.png", "한글 그림.png".encode(), b"&amp;.png", b"-dash.png"):
        Image.linear_gradient("L").save(os.fsdecode(os.fsencode(folder) + b"/" + name), format="PNG")
    (folder / "broken <i>.png").write_bytes(b"")
    assert drop(window, folder)
    read_all(window, qtbot)
    collection = window.app_model.collection
    assert collection is not None
    assert len(collection.items) == 5
    assert window.folder_name.full_text() == "<b>bold & co"
    page = window.page("collection")
    grid = page.grid  # type: ignore[attr-defined]
    for row, item in enumerate(collection.items):
        page._on_selected(grid.tiles.tile(row))  # type: ignore[attr-defined]
        assert page.detail.name.full_text() == paths.shown(item.path)  # type: ignore[attr-defined]
    assert page.problems.item(0, 0).text() == "broken <i>.png"  # type: ignore[attr-defined]
    formats = {label.textFormat() for label in window.findChildren(QLabel) if label.text()}
    assert formats == {Qt.TextFormat.PlainText}
    assert "<img" not in plain_tooltip("<img src=x>")


def test_trouble_is_told_in_words_and_beside_its_setting(window: MainWindow) -> None:
    window.tell(UserError("There is no folder.", "Choose another."))
    assert window.trouble.message.text() == "There is no folder."
    assert window.trouble.hint.text() == "Choose another."
    assert not window.trouble.isHidden()
    window.trouble.dismiss.click()
    assert window.trouble.isHidden()
    window.tell(UserError("Too large.", "Make it smaller.", "train.batch_size"))
    assert window.app_model.state.get("page") == "settings"
    form = window.page("settings").form  # type: ignore[attr-defined]
    assert form.rows["train.batch_size"].problem.text() == "Too large."
    window.tell(RuntimeError("boom <b>"))
    assert "boom <b>" in window.trouble.message.text()


def test_a_folder_that_is_gone_is_told_with_the_way_out(
    window: MainWindow, tmp_path: Path, qtbot: QtBot
) -> None:
    window.app_model.open_folder(tmp_path / "gone")
    read_all(window, qtbot)
    page = window.page("collection")
    assert page.stack.currentIndex() == 2  # type: ignore[attr-defined]
    assert "gone" in page.failed.message.text()  # type: ignore[attr-defined]


def test_the_window_comes_back_as_it_was(
    open_window: Callable[..., MainWindow], tiny_collection: Path, qtbot: QtBot
) -> None:
    first = open_window()
    first.set_theme("dark")
    first.set_language("ko")
    first.app_model.open_folder(tiny_collection)
    first.show_page("settings")
    first.resize(1100, 720)
    first.close()
    qtbot.waitUntil(lambda: not first.isVisible(), timeout=10_000)
    second = open_window()
    assert i18n.language() == "ko"
    assert theme.tokens(second.palette()) == theme.DARK
    assert second.app_model.state.folder == str(tiny_collection)
    assert second.pages.currentWidget() is second.page("settings")


def test_none_is_not_used_up(window: MainWindow, qtbot: QtBot) -> None:
    """PySide6 6.12 on Python 3.11 drops a reference to None at each void call, until the interpreter aborts."""
    label = Label("one")
    qtbot.addWidget(label)
    before = sys.getrefcount(None)
    for n in range(3000):
        label.setText(str(n))
        label.setVisible(False)
    QApplication.processEvents()
    assert sys.getrefcount(None) > before - 500
