"""A collection that the program keeps the list of is deleted in the window, and comes back; its folders are left alone."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from hands import button, drop, shown
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QMessageBox
from pytestqt.qtbot import QtBot

import tiny
from clip_atelier.engine.data import kept_collections, new_collection
from clip_atelier.gui.actions import bound
from clip_atelier.gui.jobs import at_once
from clip_atelier.gui.main_window import MainWindow
from clip_atelier.gui.pages.collection.caption_model import CAPTIONS
from clip_atelier.gui.pages.collection.folders import Folders
from clip_atelier.gui.trash import TrashDialog
from clip_atelier.gui.workers import Job

LEFT = Qt.MouseButton.LeftButton
DELETE = "\u2002Delete this collection…"


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Two drawings in one place, and two in another."""
    made = tmp_path / "one" / "sketches", tmp_path / "two" / "완성작"
    for folder, colour in zip(made, ("#111", "#d33"), strict=True):
        folder.mkdir(parents=True)
        for shape in ("circle", "square"):
            tiny.draw(shape, colour).save(folder / f"{shape}.png")
    return made


@pytest.fixture
def root(folders: tuple[Path, Path], home: Path) -> Path:
    """A collection of both."""
    return new_collection(home, "여우 & Fox", folders)


class Hand:
    """Answers every question by the button of these words."""

    def __init__(self) -> None:
        self.presses = "Delete"
        self.asked: list[str] = []


@pytest.fixture
def hand(monkeypatch: pytest.MonkeyPatch) -> Hand:
    made = Hand()

    def answer(question: QMessageBox) -> int:
        made.asked.append(f"{question.text()} {question.informativeText()}")
        next(one for one in question.buttons() if one.text() == made.presses).click()
        return 0

    monkeypatch.setattr(QMessageBox, "exec", answer)
    return made


def usable(window: MainWindow) -> bool:
    action = bound(window, "collection.delete")
    assert action is not None
    return action.usable


def list_of_folders(window: MainWindow) -> Folders:
    window.do("collection.folders")
    return next(one for one in window.findChildren(Folders) if one.isVisible())


def welcomed(window: MainWindow, qtbot: QtBot) -> None:
    """Waits until the window is as it was before a folder was opened."""
    page = window.page("collection")
    qtbot.waitUntil(lambda: page.stack.currentWidget() is page.welcome and page.welcome.isVisible())
    qtbot.waitUntil(lambda: not window.app_model.lanes.busy)
    assert window.app_model.state.folder == ""
    assert window.folder_name.full_text() == "No folder open"


def test_only_the_list_goes_and_one_click_brings_it_back(
    window: MainWindow, root: Path, folders: tuple[Path, Path], qtbot: QtBot, hand: Hand
) -> None:
    told: list[Exception] = []
    window.app_model.trouble.connect(told.append)
    before = {file: file.read_bytes() for folder in folders for file in folder.iterdir()}
    window.open_path(root)
    shown(window, qtbot, 4)
    page = window.page("collection")
    captions = page.captions.table.captions
    captions.setData(captions.index_of("완성작/circle.png", CAPTIONS), "typed and not saved")
    for name in (
        "search",
        "map",
        "training",
        "table",
        "models",
    ):  # each made while it is open, and turned to again
        window.show_page(name)
    dialog = list_of_folders(window)

    # Not while something is computed: that needs to know where the drawings are.
    go_on = threading.Event()
    window.app_model.lanes.compute.submit(Job("search", lambda _tools, _control: at_once(go_on.wait)))
    assert not button(dialog, DELETE, qtbot).isEnabled()
    assert not usable(window)
    go_on.set()
    qtbot.waitUntil(lambda: button(dialog, DELETE, qtbot).isEnabled())

    hand.presses = "Keep"
    qtbot.mouseClick(button(dialog, DELETE, qtbot), LEFT)
    assert "“여우 & Fox”" in hand.asked[0]
    assert "every drawing and caption" in hand.asked[0]
    assert dialog.isVisible()
    assert root.is_dir()
    hand.presses = "Delete"
    qtbot.mouseClick(button(dialog, DELETE, qtbot), LEFT)
    welcomed(window, qtbot)
    assert not window.findChildren(Folders)
    assert not root.exists()
    assert {file: file.read_bytes() for folder in folders for file in folder.iterdir()} == before
    assert str(root) not in window.app_model.state.get("recent")
    assert page.watch._watcher.directories() == []
    assert "여우 & Fox" in window.news.message.text()
    for name in ("search", "map", "training", "table", "models", "collection"):
        window.show_page(name)
    assert not usable(window)

    qtbot.mouseClick(window.news.undo, LEFT)
    shown(window, qtbot, 4)
    assert window.app_model.state.folder == str(root)
    assert captions.told("완성작/circle.png").captions == ("typed and not saved",)
    assert page.watch._watcher.directories() != []
    assert not told


def test_it_is_put_back_from_the_trash_and_offered_again(
    window: MainWindow, root: Path, qtbot: QtBot, hand: Hand, tmp_path: Path, home: Path
) -> None:
    window.open_path(root)
    shown(window, qtbot, 4)
    window.do("collection.delete")
    welcomed(window, qtbot)
    plain = tmp_path / "plain"
    plain.mkdir()
    tiny.draw("ring", "#3a3").save(plain / "ring.png")
    assert drop(window, plain)
    shown(window, qtbot, 1)
    assert not usable(window), "a folder of the user's is never deleted"
    dialog = list_of_folders(window)
    assert dialog.delete.isHidden()
    dialog.close()

    window.do("trash")
    (trash,) = window.findChildren(TrashDialog)
    qtbot.waitUntil(lambda: trash.table.rowCount() == 1)
    qtbot.mouseClick(trash.back, LEFT)
    qtbot.waitUntil(lambda: trash.table.rowCount() == 0 and kept_collections(home) == [root])
    trash.close()
    assert window.app_model.state.get("recent")[0] == str(root)
    assert window.app_model.state.folder == str(plain), "what is open stays open"
    assert len(hand.asked) == 1


def test_one_whose_folders_are_gone_is_deleted_from_what_says_so(
    window: MainWindow, root: Path, folders: tuple[Path, Path], qtbot: QtBot, hand: Hand
) -> None:
    for folder in folders:
        folder.rename(folder.with_name("away"))
    window.open_path(root)
    page = window.page("collection")
    qtbot.waitUntil(lambda: page.stack.currentWidget() is page.failed and page.failed.missing.count() == 2)
    qtbot.mouseClick(button(page.failed, DELETE, qtbot), LEFT)
    welcomed(window, qtbot)
    assert not root.exists()
    assert len(hand.asked) == 1


def test_where_it_cannot_be_deleted_it_is_open_again(
    window: MainWindow, root: Path, qtbot: QtBot, hand: Hand, home: Path
) -> None:
    told: list[Exception] = []
    window.app_model.trouble.connect(told.append)
    window.open_path(root)
    shown(window, qtbot, 4)
    (home / "trash").write_text("in the way")
    window.do("collection.delete")
    qtbot.waitUntil(lambda: bool(told))
    shown(window, qtbot, 4)
    assert window.app_model.state.folder == str(root)
    assert window.trouble.isVisible()
    assert kept_collections(home) == [root]
    assert hand.asked[0].startswith("Delete the collection")
