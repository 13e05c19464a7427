"""Several folders in one collection, by mouse: dropped, listed, captioned, gone and found again, taken out and put back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hands import button, drop, shown
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFileDialog, QMessageBox
from pytestqt.qtbot import QtBot

import tiny
from clip_atelier.engine.data import further_folders_of
from clip_atelier.gui.actions import bound
from clip_atelier.gui.main_window import MainWindow
from clip_atelier.gui.pages.collection.caption_model import CAPTIONS
from clip_atelier.gui.pages.collection.earlier import EarlierCaptions
from clip_atelier.gui.pages.collection.folders import Folders

LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Three drawings, and three in another folder under the same names."""
    made = tmp_path / "sketchbook", tmp_path / "scans"
    for folder, colour in zip(made, ("#d33", "#33d"), strict=True):
        folder.mkdir()
        for shape in ("circle", "square", "cross"):
            tiny.draw(shape, colour).save(folder / f"{shape}.png")
    return made


def answering(monkeypatch: pytest.MonkeyPatch, words: str) -> list[str]:
    """Has every question answered by the button that says so; what was asked."""
    asked: list[str] = []

    def answer(question: QMessageBox) -> int:
        asked.append(question.text())
        button = next(one for one in question.buttons() if one.text() == words)
        button.click()
        return 0

    monkeypatch.setattr(QMessageBox, "exec", answer)
    return asked


def opened(window: MainWindow, qtbot: QtBot, folder: Path, count: int) -> Any:
    """The Collection page once it shows so many drawings."""
    if window.app_model.state.folder != str(folder):
        assert drop(window, folder)
    shown(window, qtbot, count)
    return window.page("collection")


def test_a_second_folder_is_dropped_captioned_taken_out_and_put_back(
    window: MainWindow, folders: tuple[Path, Path], qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, other = folders
    page = opened(window, qtbot, root, 3)
    assert page.folders.isHidden()
    asked = answering(monkeypatch, "Add to the collection")
    assert drop(window, other)
    shown(window, qtbot, 6)
    assert "“scans”" in asked[0]
    assert "sketchbook" in asked[0]
    assert page.folders.names.full_text().endswith("scans (3)")
    assert window.app_model.state.folder == str(root)

    # Its captions are saved beside its drawings.
    captions = page.captions.table.captions
    page.tabs.choose("captions")
    for path in ("circle.png", "scans/circle.png"):
        captions.setData(captions.index_of(path, CAPTIONS), f"about {path}")
    assert "scans/metadata.csv" in page.captions.unsaved.text()
    qtbot.mouseClick(page.captions.save, LEFT)
    qtbot.waitUntil(lambda: (other / "metadata.csv").exists() and not captions.draft)
    assert "circle.png,about scans/circle.png" in (other / "metadata.csv").read_text("utf-8-sig")
    assert "scans" not in (root / "metadata.csv").read_text("utf-8-sig")
    shown(window, qtbot, 6)
    assert captions.saved("scans/circle.png").captions == ("about scans/circle.png",)

    # Earlier versions are those of both folders, each brought back by itself.
    page.captions.show_earlier()
    (earlier,) = page.findChildren(EarlierCaptions)
    qtbot.waitUntil(lambda: earlier.dates.count() == 2 and earlier.back.isEnabled())
    of_scans = next(n for n in range(2) if earlier.dates.item(n).text().endswith("scans"))
    earlier.dates.setCurrentRow(of_scans)
    qtbot.waitUntil(earlier.back.isEnabled)
    qtbot.mouseClick(earlier.back, LEFT)
    qtbot.waitUntil(lambda: not (other / "metadata.csv").exists())
    assert (root / "metadata.csv").exists()
    shown(window, qtbot, 6)

    # Taken out in the list of folders, and back by one click.
    action = bound(window, "collection.folders")
    assert action is not None
    action.trigger()
    (dialog,) = window.findChildren(Folders)
    qtbot.mouseClick(button(dialog, "Take out", qtbot), LEFT)
    shown(window, qtbot, 3)
    assert page.folders.isHidden()
    dialog.close()
    qtbot.waitUntil(window.news.undo.isVisible)
    qtbot.mouseClick(window.news.undo, LEFT)
    shown(window, qtbot, 6)
    assert [one.name for one in further_folders_of(root)] == ["scans"]


def test_a_folder_that_is_gone_is_named_and_found_again_by_one_click(
    window: MainWindow, folders: tuple[Path, Path], qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, other = folders
    page = opened(window, qtbot, root, 3)
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_all: str(other))
    action = bound(window, "collection.add-folder")
    assert action is not None
    action.trigger()
    shown(window, qtbot, 6)
    captions = page.captions.table.captions
    captions.setData(captions.index_of("scans/cross.png", CAPTIONS), "typed")
    away = other.with_name("away")
    other.rename(away)
    window.app_model.rescan()
    shown(window, qtbot, 3)
    where = button(page.folders, "Say where it is…", qtbot)
    assert list(captions.draft) == ["scans/cross.png"], "what was typed waits"
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_all: str(away))
    qtbot.mouseClick(where, LEFT)
    shown(window, qtbot, 6)
    assert captions.told("scans/cross.png").captions == ("typed",)
    assert page.watch._watcher.directories().count(str(away)) == 1


def test_a_dropped_folder_can_still_be_opened_by_itself(
    window: MainWindow, folders: tuple[Path, Path], qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, other = folders
    opened(window, qtbot, root, 3)
    asked = answering(monkeypatch, "Open by itself")
    assert drop(window, other)
    qtbot.waitUntil(lambda: window.app_model.state.folder == str(other))
    assert len(asked) == 1
    assert drop(window, other), "the folder that is open is only read again"
    shown(window, qtbot, 3)
    assert len(asked) == 1
    answering(monkeypatch, "Cancel")
    assert drop(window, root)
    assert window.app_model.state.folder == str(other)
