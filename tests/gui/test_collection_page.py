from __future__ import annotations

import csv
import shutil
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QEvent, QPoint, Qt
from PySide6.QtGui import QHelpEvent
from PySide6.QtWidgets import QApplication, QPlainTextEdit
from pytestqt.qtbot import QtBot

from clip_atelier.gui.main_window import MainWindow


@pytest.fixture
def page(window: MainWindow, tiny_collection: Path, qtbot: QtBot) -> Any:
    shutil.copy(tiny_collection / "red-circle.png", tiny_collection / "twin.png")
    (tiny_collection / "broken.png").write_bytes(b"\x89PNG")
    window.app_model.open_folder(tiny_collection)
    qtbot.waitUntil(lambda: window.app_model.collection is not None, timeout=30_000)
    return window.page("collection")


def test_it_tells_what_is_in_the_folder_and_what_is_wrong(page: Any) -> None:
    assert page.figures["images"].number.text() == "25"
    parts = sum(int(page.figures[name].number.text()) for name in ("train", "validation", "test"))
    assert parts == 25
    assert page.problems.item(0, 0).text() == "broken.png"
    assert page.problems.item(0, 1).text()
    assert page.problems_tab.text() == "Problems (1)"
    twins = {page.twins.tiles.tile(n).path.name for n in range(page.twins.tiles.rowCount())}
    assert {"red-circle.png", "twin.png"} <= twins


def test_a_filter_shows_fewer_in_both_views(page: Any, qtbot: QtBot) -> None:
    qtbot.keyClicks(page.filter, "RED")
    qtbot.waitUntil(lambda: page.grid.tiles.rowCount() == 6, timeout=5000)
    assert page.captions.table.model().rowCount() == 6
    page.filter.clear()
    qtbot.waitUntil(lambda: page.grid.tiles.rowCount() == 25, timeout=5000)


def test_captions_are_edited_in_place_and_saved_on_request(
    page: Any, tiny_collection: Path, qtbot: QtBot
) -> None:
    page.tabs.choose("captions")
    table = page.captions.table
    row = next(n for n in range(25) if table.model().index(n, 0).data() == "blue-ring.png")
    index = table.model().index(row, 1)
    table.setCurrentIndex(index)
    table.edit(index)
    editor = table.findChild(QPlainTextEdit)
    editor.setPlainText("파란 고리\na ring of <b>ink</b>, blue")
    page.tabs.setFocus()
    assert not page.captions.save_row.isHidden()
    assert table.model().index(row, 1).data() == "파란 고리\na ring of <b>ink</b>, blue"
    before = (tiny_collection / "metadata.csv").read_text()
    assert "ink" not in before
    readings = page.app_model.readings
    qtbot.mouseClick(page.captions.save, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(
        lambda: page.app_model.readings > readings and not page.app_model.lanes.reading.busy, timeout=30_000
    )
    assert page.captions.save_row.isHidden()
    item = next(i for i in page.app_model.collection.items if i.path == "blue-ring.png")
    assert item.captions == ("파란 고리", "a ring of <b>ink</b>, blue")
    with (tiny_collection / "metadata.csv").open(encoding="utf-8-sig", newline="") as stream:
        assert {r["file_name"] for r in csv.DictReader(stream)} >= {"blue-ring.png", "red-circle.png"}


def test_edits_can_be_discarded(page: Any) -> None:
    captions = page.captions.table.captions
    captions.setData(captions.index(0, 1), "something else")
    assert not page.captions.save_row.isHidden()
    page.captions.discard.click()
    assert page.captions.save_row.isHidden()
    assert captions.edits == {}


def test_a_changed_share_is_seen_without_reading_the_pictures_again(page: Any, qtbot: QtBot) -> None:
    before = page.figures["validation"].number.text()
    page.app_model.state.set_value("data.validation", 0.5)
    qtbot.waitUntil(lambda: page.figures["validation"].number.text() != before, timeout=10_000)


def test_the_pictures_are_kept_within_a_limit(
    page: Any, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    from clip_atelier.gui.parts import pictures

    store = page.app_model.store
    qtbot.waitUntil(lambda: len(store._kept) >= 20 and not page.app_model.lanes.pictures.busy, timeout=30_000)
    monkeypatch.setattr(pictures, "_KEPT_BYTES", store._bytes // 2)
    for item in page.app_model.collection.items:
        store.get(page.app_model.collection.absolute(item), 50)
    qtbot.waitUntil(lambda: not page.app_model.lanes.pictures.busy, timeout=30_000)
    qtbot.waitUntil(lambda: store._bytes <= pictures._KEPT_BYTES, timeout=5000)
    assert store._bytes == sum(p.width() * p.height() * 4 for p in store._kept.values() if p is not None)


def test_resting_on_a_picture_shows_it_large(page: Any, qtbot: QtBot) -> None:
    at = page.grid.visualRect(page.grid.tiles.index(0)).center()
    QApplication.sendEvent(page.grid.viewport(), QHelpEvent(QEvent.Type.ToolTip, at, QPoint(300, 300)))
    peek = page.grid._peek
    assert peek.isVisible()
    assert peek._name.full_text() == page.grid.tiles.tile(0).path.name
    QApplication.sendEvent(page.grid.viewport(), QEvent(QEvent.Type.Leave))
    assert not peek.isVisible()
