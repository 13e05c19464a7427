"""Teaching a run a word from drawings that are chosen on the Collection page, and the list of such words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hands import LONG
from PySide6.QtCore import QItemSelectionModel, Qt
from PySide6.QtWidgets import QInputDialog
from pytestqt.qtbot import QtBot

from clip_atelier.engine import settings
from clip_atelier.engine.core import Control, drive
from clip_atelier.engine.models import Models
from clip_atelier.engine.parts import taught
from clip_atelier.engine.training import Plan, train
from clip_atelier.gui.main_window import MainWindow
from clip_atelier.gui.pages.collection.teaching import TeachDialog
from clip_atelier.gui.pages.learned import taught as learned_taught

LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def run(home: Path, tiny_collection: Path, quick: Callable[..., dict[str, Any]]) -> str:
    chosen = settings.build(quick(train__epochs=1))
    return str(drive(train(Plan(tiny_collection, chosen, home), Models(home), Control())).as_json()["run"])


def choose(page: Any, *stems: str) -> None:
    """Selects drawings in the grid by their files' names."""
    page.grid.clearSelection()
    for row in range(page.grid.tiles.rowCount()):
        if page.grid.tiles.tile(row).path.stem in stems:
            index = page.grid.tiles.index(row)
            page.grid.selectionModel().select(index, QItemSelectionModel.SelectionFlag.Select)


def opened(window: MainWindow, folder: Path, qtbot: QtBot) -> Any:
    window.app_model.open_folder(folder)
    qtbot.waitUntil(lambda: window.app_model.collection is not None, timeout=30_000)
    window.show_page("collection")
    return window.page("collection")


def test_a_word_is_taught_renamed_and_forgotten(
    window: MainWindow,
    home: Path,
    run: str,
    tiny_collection: Path,
    qtbot: QtBot,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    page = opened(window, tiny_collection, qtbot)
    assert not page.teach.isEnabled()
    choose(page, "red-circle", "red-square")
    assert not page.teach.isEnabled()
    assert not page.grid_menu().actions()[0].isEnabled()
    choose(page, "red-circle", "red-square", "red-ring")
    assert page.chosen.text() == "3 drawings are chosen"
    assert page.grid_menu().actions()[0].isEnabled()
    qtbot.mouseClick(page.teach, LEFT)
    dialog = page.findChild(TeachDialog)
    assert dialog is not None
    qtbot.waitUntil(lambda: dialog.runs.value() == run, timeout=10_000)
    assert not dialog.teaching.start.isEnabled(), "there is no word yet"
    qtbot.keyClicks(dialog.word, "Mira")
    qtbot.mouseClick(dialog.teaching.start, LEFT)
    qtbot.waitUntil(lambda: not dialog.told.isHidden(), timeout=LONG)
    (word,) = taught.listed(home, run).words
    assert (word.word, len(word.drawings)) == ("Mira", 3)
    assert "“Mira” finds" in dialog.told.text()
    assert f"{word.found} of its 3 drawings" in dialog.told.text()
    dialog.shut.click()

    window.app_model.state.set("run", run)
    window.show_page("learned")
    words = window.page("learned").taught  # type: ignore[attr-defined]
    qtbot.waitUntil(lambda: words.table.rowCount() == 1, timeout=10_000)
    assert [words.table.item(0, x).text() for x in range(3)] == ["Mira", "3", f"{word.found} / 3"]
    assert not words.forget.isEnabled()
    words.table.selectRow(0)
    monkeypatch.setattr(QInputDialog, "getText", lambda *_args, **_more: ("미라", True))
    qtbot.mouseClick(words.rename, LEFT)
    qtbot.waitUntil(lambda: words.table.item(0, 0).text() == "미라", timeout=10_000)
    with qtbot.waitSignal(window.app_model.asked_for_words) as asked:
        words.table.cellActivated.emit(0, 0)
    assert asked.args == ["미라"]
    window.set_language("ko")
    window.set_language("en")
    words.table.selectRow(0)
    monkeypatch.setattr(learned_taught, "_may_forget", lambda *_args: True)
    words.forget.click()
    qtbot.waitUntil(lambda: words.stack.currentIndex() == 0, timeout=10_000)
    assert taught.listed(home, run).words == ()
    assert words.beginning.about.text().startswith("No word was taught to this training yet.")


def test_without_a_run_of_this_collection_nothing_can_be_taught(
    window: MainWindow, tiny_collection: Path, qtbot: QtBot
) -> None:
    page = opened(window, tiny_collection, qtbot)
    page.grid.selectAll()
    page.ask_for_word()
    dialog = page.findChild(TeachDialog)
    qtbot.waitUntil(lambda: not window.app_model.lanes.files.busy, timeout=10_000)
    qtbot.keyClicks(dialog.word, "Mira")
    assert not dialog.teaching.start.isEnabled()
    assert not dialog.none.isHidden()
    dialog.teach()
    assert not dialog.teaching.busy
    dialog.reject()


def test_what_goes_wrong_is_told_in_the_dialog(
    window: MainWindow, run: str, tiny_collection: Path, qtbot: QtBot
) -> None:
    page = opened(window, tiny_collection, qtbot)
    choose(page, "red-circle", "red-square", "red-ring")
    page.ask_for_word()
    dialog = page.findChild(TeachDialog)
    qtbot.waitUntil(lambda: dialog.runs.value() == run, timeout=10_000)
    (tiny_collection / "red-ring.png").unlink()
    dialog.word.setText("Mira")
    dialog.teach()
    qtbot.waitUntil(lambda: not dialog.told.isHidden(), timeout=LONG)
    assert "red-ring.png" in dialog.told.text()
    dialog.reject()
