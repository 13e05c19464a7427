"""Photographed pages in the window: what was found is seen, mended by mouse and keyboard, written, and taken back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtWidgets import QFileDialog
from pytestqt.qtbot import QtBot

import sketchbook
from clip_atelier.gui.actions import bound
from clip_atelier.gui.main_window import MainWindow
from clip_atelier.gui.pages.collection.intake import IntakeDialog

LEFT = Qt.MouseButton.LeftButton


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("photographs")
    made = []
    for seed, name in ((0, "a page"), (6, "쪽 2")):
        file = folder / f"{name}.png"
        sketchbook.page(seed, width=300, drawings=4).picture.save(file)
        made.append(file)
    (folder / "torn.png").write_bytes(b"\x89PNG torn")
    return [*made, folder / "torn.png"]


def opened(
    window: MainWindow, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, files: list[Path]
) -> IntakeDialog:
    """The dialog as a person opens it: by its key, with files chosen."""
    monkeypatch.setattr(QFileDialog, "getOpenFileNames", lambda *_all: ([str(file) for file in files], ""))
    window.show_page("collection")
    action = bound(window, "collection.pages")
    assert action is not None
    action.trigger()
    (dialog,) = window.findChildren(IntakeDialog)
    qtbot.waitUntil(
        lambda: len(dialog.sheets) == len(files) and all(s.shown or s.problem for s in dialog.sheets)
    )
    return dialog


def drag(qtbot: QtBot, widget: Any, start: QPointF, end: QPointF) -> None:
    qtbot.mousePress(widget, LEFT, pos=start.toPoint())
    qtbot.mouseMove(widget, (start + (end - start) / 2).toPoint())
    qtbot.mouseMove(widget, end.toPoint())
    qtbot.mouseRelease(widget, LEFT, pos=end.toPoint())


def test_pages_are_mended_saved_and_taken_back(
    window: MainWindow,
    tiny_collection: Path,
    photographs: list[Path],
    qtbot: QtBot,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    window.app_model.open_folder(tiny_collection)
    qtbot.waitUntil(lambda: window.app_model.collection is not None)
    before = len(window.app_model.collection.items)  # type: ignore[union-attr]
    dialog = opened(window, qtbot, monkeypatch, photographs)
    sheet = dialog.sheet
    assert dialog.into == tiny_collection / "intake"
    assert len(sheet.boxes) == dialog.cuts.count() == 4

    # A new frame is drawn with the mouse, taken back, brought again, moved, resized, and removed by key.
    drag(qtbot, sheet, sheet.point_at(0.48, 0.48), sheet.point_at(0.53, 0.54))
    assert len(sheet.boxes) == dialog.cuts.count() == 5
    assert sheet.boxes[4] == pytest.approx((0.48, 0.48, 0.53, 0.54), abs=0.02)
    dialog.undo.click()
    assert len(sheet.boxes) == 4
    dialog.redo.click()
    sheet.choose_box(4)
    drag(qtbot, sheet, sheet.point_at(0.505, 0.51), sheet.point_at(0.525, 0.51))
    moved = sheet.boxes[4]
    assert moved[0] == pytest.approx(0.50, abs=0.02)
    assert moved[2] - moved[0] == pytest.approx(0.05, abs=0.02)
    sheet.setFocus()
    qtbot.keyClick(sheet, Qt.Key.Key_Right, Qt.KeyboardModifier.ControlModifier)
    assert sheet.boxes[4][2] > moved[2]
    qtbot.keyClick(sheet, Qt.Key.Key_Down, Qt.KeyboardModifier.ShiftModifier)
    assert sheet.boxes[4][1] > moved[1]
    qtbot.keyClick(sheet, Qt.Key.Key_Delete)
    assert len(sheet.boxes) == 4

    # A corner is dragged: the page is straightened anew, and the drawings are where somebody put them.
    corner = sheet.corners[2]
    drag(qtbot, sheet, sheet.corner_at(2), sheet.corner_at(2) - QPointF(20, 20))
    assert sheet.corners[2] != corner
    first = dialog.sheets[0]
    qtbot.waitUntil(lambda: first.shown is not None and first.shown.seen.page.corners == sheet.corners)
    sheet.undo()
    assert sheet.corners[2] == corner
    qtbot.keyClick(sheet, Qt.Key.Key_Space)  # the first corner
    qtbot.keyClick(sheet, Qt.Key.Key_Right)
    assert sheet.corners[0] != first.shown.seen.page.corners[1]  # type: ignore[union-attr]
    qtbot.keyClick(sheet, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)

    dialog.turn(2)
    assert "torn.png" in dialog.told.text()
    dialog.turn(-1)
    assert dialog.use.isChecked()
    dialog.cuts.setCurrentRow(1)
    assert sheet.chosen == 1
    dialog.remove.click()
    assert [len(page.boxes) for page in dialog.pages] == [4, 3]
    dialog.saving.start.click()
    qtbot.waitUntil(lambda: not window.findChildren(IntakeDialog))
    written = sorted(file.name for file in (tiny_collection / "intake").iterdir())
    assert len([name for name in written if name.endswith(".png")]) == 7
    told = json.loads((tiny_collection / "intake" / "쪽 2.page.json").read_text("utf-8"))
    assert len(told["drawings"]) == 3

    def count() -> int:
        found = window.app_model.collection
        return 0 if found is None else len(found.items)

    qtbot.waitUntil(lambda: count() == before + 7)
    assert window.news.isVisible()
    window.news.undo.click()
    qtbot.waitUntil(lambda: count() == before)
    assert list((tiny_collection / "intake").iterdir()) == []
    qtbot.waitUntil(lambda: "taken back" in window.news.message.text())
    window.news.undo.click()
    qtbot.waitUntil(lambda: count() == before + 7)


def test_without_a_collection_it_becomes_one(
    window: MainWindow, photographs: list[Path], qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    dialog = opened(window, qtbot, monkeypatch, photographs[:1])
    assert dialog.into == photographs[0].parent / "intake"
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_all: str(tmp_path))
    qtbot.mouseClick(dialog.other, LEFT, pos=QPoint(5, 5))
    dialog.even.click()
    qtbot.waitUntil(lambda: not dialog.sheets[0].shown.seen.page.even)  # type: ignore[union-attr]
    dialog.saving.start.click()
    qtbot.waitUntil(lambda: window.app_model.collection is not None)
    assert window.app_model.state.folder == str(tmp_path)
    assert len(window.app_model.collection.items) == 4  # type: ignore[union-attr]
