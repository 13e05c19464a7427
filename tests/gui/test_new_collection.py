"""A collection of several folders made in the window: dropped together, named, opened again, gone and found again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hands import button, drop, shown
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFileDialog, QMessageBox, QPushButton
from pytestqt.qtbot import QtBot

import tiny
from clip_atelier.engine.data import further_folders_of
from clip_atelier.gui.actions import bound
from clip_atelier.gui.main_window import MainWindow
from clip_atelier.gui.pages.collection.folders import Folders
from clip_atelier.gui.pages.collection.intake import IntakeDialog
from clip_atelier.gui.parts.new_collection import NewCollection

LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Three sketches on one disk, and their artworks on another."""
    made = tmp_path / "disk one" / "sketches", tmp_path / "다른 디스크" / "완성작"
    for folder, colour in zip(made, ("#111", "#d33"), strict=True):
        folder.mkdir(parents=True)
        for shape in ("circle", "square", "cross"):
            tiny.draw(shape, colour).save(folder / f"{shape}.png")
    return made


def dialog_of(window: MainWindow) -> NewCollection:
    return next(one for one in window.findChildren(NewCollection) if one.isVisible())


def test_two_folders_dropped_together_are_one_collection_after_a_restart_too(
    window: MainWindow,
    open_window: Callable[..., MainWindow],
    folders: tuple[Path, Path],
    home: Path,
    qtbot: QtBot,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = {folder: sorted(folder.iterdir()) for folder in folders}
    assert drop(window, *folders)
    dialog = dialog_of(window)
    assert dialog.name.text() == "sketches + 완성작"
    assert dialog.folders == list(folders)
    # What speaks against it is said in the dialog, and what was typed stays.
    dialog.name.selectAll()
    qtbot.keyClicks(dialog.name, "a/b")
    qtbot.mouseClick(dialog.make, LEFT)
    qtbot.waitUntil(lambda: "a/b" in dialog.told.text())
    dialog.name.selectAll()
    qtbot.keyClicks(dialog.name, "Fox book")
    assert dialog.told.text() == "", "that was about the other name"
    qtbot.keyClick(dialog.name, Qt.Key.Key_Return)
    shown(window, qtbot, 6)
    root = home / "collections" / "Fox book"
    assert window.app_model.state.folder == str(root)
    assert {folder: sorted(folder.iterdir()) for folder in folders} == before
    page = window.page("collection")
    assert len(window.app_model.collection.pairs) == 3  # type: ignore[union-attr]
    assert page.folders.names.full_text() == "Drawings of several folders: sketches (3) · 완성작 (3)"

    # The list shows these two and no third one that has no drawings; new drawings go where the user's are.
    page.folders.show_all()
    (listed,) = window.findChildren(Folders)
    assert [one.text() for one in listed.findChildren(QPushButton)].count("Take out") == 2
    listed.close()
    intake = IntakeDialog(window.app_model, [folders[0] / "circle.png"], window)
    assert intake.into == folders[0] / "intake"
    intake.reject()

    # Another window later: both disks are gone, which is said with what puts it right, and nothing is lost.
    window.app_model.state.save()
    for folder in folders:
        folder.rename(folder.with_name("away"))
    again = open_window(language="en")
    again.app_model.rescan()  # as the program does when it starts
    page = again.page("collection")
    qtbot.waitUntil(lambda: page.stack.currentWidget() is page.failed and page.failed.missing.count() == 2)
    assert page.failed.message.text() == "Folders of the collection are not there: sketches, 완성작."
    assert page.failed.hint.isHidden(), "the buttons say it"
    folders[1].with_name("away").rename(folders[1])
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_all: str(folders[0].with_name("away")))
    qtbot.mouseClick(button(page.failed.missing_box, "Say where it is…", qtbot), LEFT)
    shown(again, qtbot, 6)
    assert [one.path for one in further_folders_of(root)] == [folders[0].with_name("away"), folders[1]]


def test_folders_are_put_on_the_list_one_by_one_and_left_out_again(
    window: MainWindow, folders: tuple[Path, Path], qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    action = bound(window, "collection.new")
    assert action is not None
    action.trigger()
    dialog = dialog_of(window)
    assert not dialog.make.isEnabled()
    chosen = iter((folders[0], folders[1], folders[1]))
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_all: str(next(chosen)))
    for count in (1, 2, 2):
        qtbot.mouseClick(dialog.more, LEFT)
        assert len(dialog.folders) == count
    assert dialog.make.isEnabled()
    leave_out = next(
        one
        for one in dialog.findChildren(QPushButton)
        if one.accessibleName() == "Leave this folder out: sketches"
    )
    qtbot.mouseClick(leave_out, LEFT)
    assert dialog.folders == [folders[1]]
    assert dialog.name.text() == "완성작"
    assert drop(dialog, folders[0])
    assert dialog.folders == [folders[1], folders[0]]
    dialog.reject()
    assert window.app_model.state.folder == ""


def test_several_folders_dropped_on_an_open_one_are_added_or_made_their_own(
    window: MainWindow,
    folders: tuple[Path, Path],
    tmp_path: Path,
    qtbot: QtBot,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    root = tmp_path / "book"
    root.mkdir()
    tiny.draw("ring", "#3a3").save(root / "ring.png")
    assert drop(window, root)
    shown(window, qtbot, 1)
    answers = iter(("Make a collection of them", "Add to the collection"))

    def answer(question: QMessageBox) -> int:
        wanted = next(answers)
        next(one for one in question.buttons() if one.text() == wanted).click()
        return 0

    monkeypatch.setattr(QMessageBox, "exec", answer)
    assert drop(window, *folders)
    dialog = dialog_of(window)
    assert dialog.folders == list(folders)
    dialog.reject()
    assert drop(window, *folders)
    shown(window, qtbot, 7)
    assert [one.name for one in further_folders_of(root)] == ["sketches", "완성작"]
