"""What is deleted in the window can be taken back there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from clip_atelier.engine.data import caption_drafts
from clip_atelier.engine.runs import Runs
from clip_atelier.engine.settings import Settings
from clip_atelier.engine.storage import Trash
from clip_atelier.gui.main_window import MainWindow

LONG = 30_000


def runs_of(home: Path) -> list[str]:
    return [run.id for run in Runs(home).list()]


@pytest.mark.fault(42)
def test_a_deleted_run_comes_back_by_undo(window: MainWindow, home: Path, qtbot: QtBot) -> None:
    run = Runs(home).create("mine", Settings(), home)
    page: Any = window.page("training")
    window.app_model.read_runs()
    qtbot.waitUntil(lambda: len(window.app_model.runs) == 1, timeout=LONG)
    page.menu.delete(run.id)
    qtbot.waitUntil(window.news.isVisible, timeout=LONG)
    assert window.news.message.text() == f"The training “{run.id}” is deleted."
    assert runs_of(home) == []
    qtbot.waitUntil(lambda: not window.app_model.runs, timeout=LONG)
    qtbot.mouseClick(window.news.undo, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: len(window.app_model.runs) == 1, timeout=LONG)
    assert runs_of(home) == [run.id]
    assert window.news.isHidden()


def test_several_runs_come_back_together(window: MainWindow, home: Path, qtbot: QtBot) -> None:
    ids = [Runs(home).create(str(n), Settings(), home).id for n in range(3)]
    gone = [Runs(home).delete(one) for one in ids[:2]]
    window.app_model.deleted.emit(gone)
    assert window.news.message.text() == "Deleted: 2 trainings."
    window.news.undo.click()
    qtbot.waitUntil(lambda: runs_of(home) == ids, timeout=LONG)


def test_an_undo_that_comes_too_late_says_so(window: MainWindow, home: Path, qtbot: QtBot) -> None:
    run = Runs(home).create("mine", Settings(), home)
    window.app_model.deleted.emit([Runs(home).delete(run.id)])
    Trash(home).empty()
    window.news.undo.click()
    qtbot.waitUntil(window.trouble.isVisible, timeout=LONG)
    assert run.id in window.trouble.message.text()


def test_other_news_has_no_undo(window: MainWindow, home: Path) -> None:
    run = Runs(home).create("mine", Settings(), home)
    window.app_model.deleted.emit([Runs(home).delete(run.id)])
    assert window.news.undo.isVisible()
    window.app_model.news.emit("Exported.", "It is there.")
    assert not window.news.undo.isVisible()


def test_discarded_captions_come_back_by_undo(
    window: MainWindow, tiny_collection: Path, home: Path, qtbot: QtBot
) -> None:
    window.app_model.open_folder(tiny_collection)
    qtbot.waitUntil(lambda: window.app_model.collection is not None, timeout=LONG)
    page: Any = window.page("collection")
    page.tabs.choose("captions")
    captions = page.captions.table.captions
    captions.setData(captions.index(0, 1), "a long thought")
    path = next(iter(captions.draft))
    page.captions.discard.click()
    assert captions.draft == {}
    assert page.captions.save_row.isHidden()
    assert window.news.message.text() == "The unsaved captions of “shapes” are discarded."
    window.news.undo.click()
    qtbot.waitUntil(lambda: bool(captions.draft), timeout=LONG)
    assert captions.index(0, 1).data() == "a long thought"
    assert caption_drafts.read_draft(home, tiny_collection)[path].captions == ("a long thought",)
    assert Trash(home).entries() == []
