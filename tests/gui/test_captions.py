"""Captions are an artist's work: the draft, saving, what closing asks, and the way back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QApplication, QMessageBox, QPlainTextEdit
from pytestqt.qtbot import QtBot

from clip_atelier.engine.data import caption_drafts, save_captions
from clip_atelier.gui.main_window import MainWindow

Open = Callable[..., MainWindow]
LONG = 30_000


def opened(window: MainWindow, folder: Path, qtbot: QtBot) -> Any:
    """The Captions tab of a folder in a window."""
    before = window.app_model.readings
    window.app_model.open_folder(folder)
    qtbot.waitUntil(
        lambda: window.app_model.readings > before and not window.app_model.lanes.reading.busy, timeout=LONG
    )
    page: Any = window.page("collection")
    page.tabs.choose("captions")
    return page.captions


def cell(tab: Any, name: str) -> Any:
    model = tab.table.model()
    row = next(n for n in range(model.rowCount()) if model.index(n, 0).data() == name)
    return model.index(row, 1)


def write(tab: Any, name: str, text: str) -> None:
    tab.table.model().setData(cell(tab, name), text)


def saved(tab: Any, qtbot: QtBot) -> None:
    before = tab.app_model.readings
    qtbot.mouseClick(tab.save, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(
        lambda: tab.app_model.readings > before and not tab.app_model.lanes.reading.busy, timeout=LONG
    )


@pytest.mark.fault(58)
def test_what_is_typed_is_on_disk_before_the_box_closes(
    window: MainWindow, tiny_collection: Path, home: Path, qtbot: QtBot
) -> None:
    tab = opened(window, tiny_collection, qtbot)
    tab.table.setCurrentIndex(cell(tab, "blue-ring.png"))
    tab.table.edit(cell(tab, "blue-ring.png"))
    editor = tab.table.findChild(QPlainTextEdit)
    qtbot.keyClicks(editor, "half a sen")
    qtbot.waitUntil(lambda: bool(caption_drafts.read_draft(home, tiny_collection)), timeout=5000)
    assert editor.isVisible()
    assert editor.toPlainText() == "half a sen"
    assert caption_drafts.read_draft(home, tiny_collection)["blue-ring.png"].captions == ("half a sen",)
    qtbot.keyClicks(editor, "tence")
    qtbot.keyClick(editor, Qt.Key.Key_Escape)
    qtbot.waitUntil(lambda: not caption_drafts.read_draft(home, tiny_collection), timeout=5000)
    assert cell(tab, "blue-ring.png").data() == "a blue ring"
    assert not caption_drafts.draft_file(home, tiny_collection).exists()


@pytest.mark.fault(58)
def test_another_folder_takes_over_nothing_and_the_draft_is_offered_again(
    window: MainWindow, tiny_collection: Path, tmp_path: Path, qtbot: QtBot
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    for name in ("blue-ring.png", "green-ring.png"):
        Image.open(tiny_collection / name).save(other / name)
    tab = opened(window, tiny_collection, qtbot)
    write(tab, "blue-ring.png", "unsaved")
    tab = opened(window, other, qtbot)
    assert window.news.message.text() == "Unsaved captions of “shapes” are kept: 1."
    assert (tab.count, cell(tab, "blue-ring.png").data()) == (0, "blue ring")
    tab = opened(window, tiny_collection, qtbot)
    assert cell(tab, "blue-ring.png").data() == "unsaved"
    assert not tab.save_row.isHidden()
    assert "from last time" in tab.remarks.text()


def test_a_draft_outlives_the_window_and_knows_what_changed_meanwhile(
    open_window: Open, tiny_collection: Path, home: Path, qtbot: QtBot
) -> None:
    first = open_window(language="en", theme="light")
    tab = opened(first, tiny_collection, qtbot)
    for name in ("blue-ring.png", "red-ring.png", "green-ring.png"):
        write(tab, name, "unsaved")
    first.app_model.lanes.leave()
    save_captions(tiny_collection, {"red-ring.png": ["by another program"]}, home)
    (tiny_collection / "green-ring.png").unlink()
    tab = opened(open_window(), tiny_collection, qtbot)
    assert (tab.count, len(tab.table.captions.edits)) == (3, 2)
    assert "folder as well since then: 1" in tab.remarks.text()
    assert "not in the folder now: 1" in tab.remarks.text()
    saved(tab, qtbot)
    assert list(caption_drafts.read_draft(home, tiny_collection)) == ["green-ring.png"]
    assert cell(tab, "red-ring.png").data() == "unsaved"


def test_a_draft_that_cannot_be_read_is_set_aside_and_told(
    window: MainWindow, tiny_collection: Path, home: Path, qtbot: QtBot
) -> None:
    file = caption_drafts.draft_file(home, tiny_collection)
    file.parent.mkdir(parents=True)
    file.write_text("[" * 100_000)
    tab = opened(window, tiny_collection, qtbot)
    assert tab.count == 0
    assert "damaged" in window.trouble.message.text()
    assert file.with_suffix(".damaged").exists()


@pytest.mark.fault(60)
def test_a_save_that_fails_keeps_the_table_and_the_draft(
    window: MainWindow, tiny_collection: Path, home: Path, qtbot: QtBot
) -> None:
    table = tiny_collection / "metadata.csv"
    tab = opened(window, tiny_collection, qtbot)
    write(tab, "blue-ring.png", "mine")
    table.write_text(table.read_text() + 'x.png,"open\n')
    before = table.read_bytes()
    tab.save.click()
    qtbot.waitUntil(lambda: not window.trouble.isHidden(), timeout=LONG)
    assert "never closed" in window.trouble.message.text()
    assert table.read_bytes() == before
    assert caption_drafts.read_draft(home, tiny_collection)["blue-ring.png"].captions == ("mine",)


def test_tags_are_saved_and_no_longer_unsaved_though_they_read_differently(
    window: MainWindow, tiny_collection: Path, qtbot: QtBot
) -> None:
    tab = opened(window, tiny_collection, qtbot)
    write(tab, "blue-ring.png", "long_hair, (blue:1.2)")
    saved(tab, qtbot)
    assert tab.count == 0
    assert cell(tab, "blue-ring.png").data() == "long hair, blue"
    assert 'blue-ring.png,"long_hair, (blue:1.2)"' in (tiny_collection / "metadata.csv").read_text()


@pytest.mark.fault(58)
@pytest.mark.parametrize(("answer", "leaves", "text"), [
    ("Save", True, "mine"), ("Keep the draft", True, "a blue ring"), ("Cancel", False, "a blue ring"),
])  # fmt: skip
def test_closing_asks_about_unsaved_captions(
    window: MainWindow, tiny_collection: Path, home: Path, qtbot: QtBot, answer: str, leaves: bool, text: str
) -> None:
    tab = opened(window, tiny_collection, qtbot)
    write(tab, "blue-ring.png", "mine")
    asked: list[str] = []

    def choose() -> None:
        box = QApplication.activeModalWidget()
        assert isinstance(box, QMessageBox)
        asked.append(box.text())
        next(button for button in box.buttons() if button.text() == answer).click()

    QTimer.singleShot(0, choose)
    window.leave()
    qtbot.waitUntil(lambda: window.isHidden() == leaves, timeout=5000)
    assert asked == ["Captions that are not saved: 1"]
    assert f"blue-ring.png,{text}" in (tiny_collection / "metadata.csv").read_text()
    assert bool(caption_drafts.read_draft(home, tiny_collection)) == (answer != "Save")


def test_training_says_which_captions_it_does_not_see(
    window: MainWindow, tiny_collection: Path, qtbot: QtBot
) -> None:
    tab = opened(window, tiny_collection, qtbot)
    write(tab, "blue-ring.png", "mine")
    tab._on_training()
    assert window.news.hint.text() == "Changed and not saved: 1. They are kept as a draft."


def test_earlier_captions_are_looked_at_and_brought_back(
    window: MainWindow, tiny_collection: Path, qtbot: QtBot
) -> None:
    tab = opened(window, tiny_collection, qtbot)
    original = (tiny_collection / "metadata.csv").read_bytes()
    write(tab, "blue-ring.png", "first thought")
    saved(tab, qtbot)
    tab.earlier.click()
    dialog = next(w for w in QApplication.topLevelWidgets() if type(w).__name__ == "EarlierCaptions")
    qtbot.waitUntil(dialog.back.isEnabled, timeout=LONG)  # type: ignore[attr-defined]
    table = dialog.changes  # type: ignore[attr-defined]
    assert [table.item(0, n).text() for n in range(3)] == ["blue-ring.png", "first thought", "a blue ring"]
    assert table.rowCount() == 1
    before = window.app_model.readings
    dialog.back.click()  # type: ignore[attr-defined]
    qtbot.waitUntil(lambda: window.app_model.readings > before, timeout=LONG)
    assert (tiny_collection / "metadata.csv").read_bytes() == original
    assert cell(tab, "blue-ring.png").data() == "a blue ring"
