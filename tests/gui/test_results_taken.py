"""Results that can be used: dragged out, copied, looked at large, searched on from, shown in the file manager."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hands import LONG
from PIL import Image
from PySide6.QtCore import QEvent, QMimeData, QPoint, QPointF, Qt
from PySide6.QtGui import QGuiApplication, QMouseEvent
from PySide6.QtWidgets import QApplication, QMenu, QWidget
from pytestqt.qtbot import QtBot

from clip_atelier.gui.drops import local_path
from clip_atelier.gui.main_window import MainWindow
from clip_atelier.gui.pages.search.jobs import Found, Hit
from clip_atelier.gui.parts import leaving
from clip_atelier.gui.parts.pictures import TILE

LEFT = Qt.MouseButton.LeftButton
NAMES = [f"{colour}-{shape}.png" for colour in ("red", "blue") for shape in ("ring", "circle", "cross")]


@pytest.fixture
def page(window: MainWindow, qtbot: QtBot, tiny_collection: Path) -> Any:
    window.show_page("search")
    shown = window.page("search")
    base = tuple(Hit(name, 0.3 - n / 100, (f"a {name}",)) for n, name in enumerate(NAMES))
    shown._on_found(Found(tiny_collection, 6, base, None, None))
    qtbot.waitUntil(lambda: shown.base.view.visualRect(shown.base.view.tiles.index(0)).isValid())
    return shown


def press(page: Any, qtbot: QtBot, *places: int) -> None:
    """Chooses results as hands do: a click, then clicks with Ctrl."""
    view = page.base.view
    for number, place in enumerate(places):
        keys = Qt.KeyboardModifier.ControlModifier if number else Qt.KeyboardModifier.NoModifier
        middle = view.visualRect(view.tiles.index(place)).center()
        qtbot.mouseClick(view.viewport(), LEFT, keys, middle)


def held_move(widget: QWidget, at: QPoint) -> None:
    """Moves the pointer with the left button held down."""
    move = QMouseEvent(
        QEvent.Type.MouseMove, QPointF(at), QPointF(widget.mapToGlobal(at)), Qt.MouseButton.NoButton, LEFT,
        Qt.KeyboardModifier.NoModifier,
    )  # fmt: skip
    QApplication.sendEvent(widget, move)


def menu_of(page: Any, place: int) -> dict[str, Any]:
    menu = QMenu(page)
    page.actions_of_results.fill(menu, page.base.view, page.base.view.tiles.tile(place))
    return {action.text(): action for action in menu.actions()}


def test_several_results_are_dragged_out_as_files(page: Any, qtbot: QtBot, tiny_collection: Path) -> None:
    carried: list[QMimeData] = []
    page.base.view.carry = carried.append
    press(page, qtbot, 0, 2, 3)
    view = page.base.view
    start = view.visualRect(view.tiles.index(2)).center()
    qtbot.mousePress(view.viewport(), LEFT, Qt.KeyboardModifier.NoModifier, start)
    for step in (10, 20, 40):
        held_move(view.viewport(), start + QPoint(step, step))
    qtbot.waitUntil(lambda: len(carried) == 1, timeout=3000)
    qtbot.mouseRelease(view.viewport(), LEFT)
    urls = carried[0].urls()
    assert [local_path(url) for url in urls] == [tiny_collection / NAMES[n] for n in (0, 2, 3)]
    assert all(local_path(url).is_file() for url in urls)


def test_a_name_that_is_no_unicode_survives_the_way_out(tmp_path: Path) -> None:
    file = tmp_path / "a,b \udcff 1#2.png"
    assert [local_path(url) for url in leaving.as_files([file]).urls()] == [file]


def test_of_pages_the_document_leaves_once(tmp_path: Path) -> None:
    (tmp_path / "b.pdf").write_bytes(b"")
    carried = leaving.as_files([tmp_path / "b.pdf" / f"page {number:03}" for number in (2, 7)])
    assert [local_path(url) for url in carried.urls()] == [tmp_path / "b.pdf"]
    assert carried.text() == str(tmp_path / "b.pdf")


def test_a_page_is_seen_and_its_document_is_what_is_copied(page: Any, qtbot: QtBot, tmp_path: Path) -> None:
    sheets = [Image.new("RGB", (80, 60), colour) for colour in ("red", "blue")]
    sheets[0].save(tmp_path / "b.pdf", "PDF", save_all=True, append_images=sheets[1:])
    hits = tuple(Hit(f"b.pdf/page {number:03}", 0.3, ("a sheet",)) for number in (1, 2))
    page._on_found(Found(tmp_path, 2, hits, None, None))
    qtbot.waitUntil(lambda: page.base.view.visualRect(page.base.view.tiles.index(1)).isValid())
    clipboard = QGuiApplication.clipboard()
    menu_of(page, 1)["Copy the path"].trigger()
    assert clipboard.text() == str(tmp_path / "b.pdf")
    menu_of(page, 1)["Copy as a picture"].trigger()
    qtbot.waitUntil(lambda: clipboard.mimeData().hasImage(), timeout=10_000)
    middle = clipboard.image().pixelColor(clipboard.image().width() // 2, clipboard.image().height() // 2)
    assert middle.blue() > 200 > 60 > middle.red()  # the second page, not the first


def test_results_are_copied_as_files_paths_and_picture(
    page: Any, qtbot: QtBot, tiny_collection: Path
) -> None:
    clipboard = QGuiApplication.clipboard()
    press(page, qtbot, 1, 4)
    qtbot.keyClick(page.base.view, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    assert [local_path(url) for url in clipboard.mimeData().urls()] == [
        tiny_collection / NAMES[n] for n in (1, 4)
    ]
    actions = menu_of(page, 4)
    actions["Copy the paths"].trigger()
    assert clipboard.text() == "\n".join(str(tiny_collection / NAMES[n]) for n in (1, 4))
    actions["Copy as a picture"].trigger()
    qtbot.waitUntil(lambda: clipboard.mimeData().hasImage(), timeout=10_000)
    image = clipboard.image()
    assert (image.width(), image.height()) == (64, 64)
    blue = image.pixelColor(32, 32)
    assert blue.blue() > blue.red()
    # Beside the choice, the menu is about the result that was clicked.
    menu_of(page, 0)["Copy the path"].trigger()
    assert clipboard.text() == str(tiny_collection / NAMES[0])


def test_space_shows_a_result_large_and_the_keys_lead_on(page: Any, qtbot: QtBot, window: MainWindow) -> None:
    press(page, qtbot, 1)
    qtbot.keyClick(page.base.view, Qt.Key.Key_Space)
    full = page.actions_of_results._full
    assert full.isVisible()
    assert full.size() == window.size()
    assert full.tile.path.name == NAMES[1]
    for key in (Qt.Key.Key_Right, Qt.Key.Key_Right, Qt.Key.Key_Left, Qt.Key.Key_End, Qt.Key.Key_Right):
        qtbot.keyClick(full, key)
    assert full.tile.path.name == NAMES[5]
    assert full.count.text() == "6 of 6"
    window.resize(1100, 760)
    assert full.size() == window.size()
    qtbot.keyClick(full, Qt.Key.Key_Escape)
    assert not full.isVisible()
    assert page.base.view.currentIndex().data(TILE).path.name == NAMES[5]


def test_a_part_of_a_picture_is_searched_with(
    page: Any, qtbot: QtBot, window: MainWindow, tiny_collection: Path
) -> None:
    press(page, qtbot, 0)
    qtbot.keyClick(page.base.view, Qt.Key.Key_Space)
    full = page.actions_of_results._full
    sheet = full.sheet
    qtbot.waitUntil(lambda: not sheet.target().isEmpty(), timeout=10_000)
    target = sheet.target()
    corner = target.topLeft()
    qtbot.mousePress(sheet, LEFT, Qt.KeyboardModifier.NoModifier, corner)
    held_move(sheet, corner + QPoint(target.width() // 4, target.height() // 4))
    middle = corner + QPoint(target.width() // 2, target.height() // 2)
    qtbot.mouseRelease(sheet, LEFT, Qt.KeyboardModifier.NoModifier, middle)
    assert full.part.isVisible()
    qtbot.keyClick(full, Qt.Key.Key_Escape)  # takes the mark away, and the view stays
    assert full.isVisible()
    assert full.part.isHidden()
    qtbot.mousePress(sheet, LEFT, Qt.KeyboardModifier.NoModifier, corner)
    qtbot.mouseRelease(sheet, LEFT, Qt.KeyboardModifier.NoModifier, middle)
    qtbot.mouseClick(full.part, LEFT)
    assert not full.isVisible()
    qtbot.waitUntil(lambda: page.picture.image is not None, timeout=10_000)
    image = page.picture.image
    assert abs(image.width() - 32) <= 1  # half of the drawing's own pixels
    assert abs(image.height() - 32) <= 1
    assert page.picture.paths == ()


def test_more_like_several(
    page: Any, qtbot: QtBot, window: MainWindow, tiny_collection: Path, tiny_clip: Path
) -> None:
    window.app_model.state.set_value("model.name", str(tiny_clip))
    window.app_model.state.set_value("hardware.device", "cpu")
    page.gallery.choose(str(tiny_collection))
    press(page, qtbot, 0, 1)
    page.found = None
    menu_of(page, 1)["More like these 2"].trigger()
    qtbot.waitUntil(lambda: page.found is not None, timeout=LONG)
    assert page.picture.paths == tuple(tiny_collection / NAMES[n] for n in (0, 1))
    hits = [hit.path for hit in page.found.base]
    assert len(hits) == 22  # what is asked with is no result
    assert not {NAMES[0], NAMES[1]} & set(hits)
    scores = [hit.score for hit in page.found.base]
    assert scores == sorted(scores, reverse=True)


def test_something_is_searched_for_without_something_else(
    page: Any, qtbot: QtBot, window: MainWindow, tiny_collection: Path, tiny_clip: Path
) -> None:
    window.app_model.state.set_value("model.name", str(tiny_clip))
    window.app_model.state.set_value("hardware.device", "cpu")
    page.gallery.choose(str(tiny_collection))

    def scores(without: str) -> dict[str, float]:
        page.found = None
        page.without.clear()
        page.without.setFocus()
        qtbot.keyClicks(page.without, without)
        qtbot.keyClick(page.without, Qt.Key.Key_Return)
        qtbot.waitUntil(lambda: page.found is not None, timeout=LONG)
        return {hit.path: hit.score for hit in page.found.base}

    page.words.setText("a red ring")
    plain = scores("")
    without = scores("circle")
    assert plain.keys() == without.keys()
    assert plain != without


@pytest.mark.parametrize("found", [True, False])
def test_a_result_is_shown_in_the_file_manager(
    page: Any, qtbot: QtBot, window: MainWindow, tiny_collection: Path, found: bool
) -> None:
    asked: list[Any] = []
    window.app_model.show_selected = lambda words: bool(asked.append(list(words)) or found)
    opened: list[Path] = []
    window.app_model.open_in_manager = opened.append
    menu_of(page, 2)["Open in the file manager"].trigger()
    qtbot.waitUntil(lambda: bool(asked) and not window.app_model.lanes.files.busy, timeout=10_000)
    assert NAMES[2] in " ".join(asked[0])
    assert opened == ([] if found else [tiny_collection])


def test_each_platform_selects_the_file(tmp_path: Path) -> None:
    file = tmp_path / "a, b.png"
    assert leaving.command("win32", file) == ["explorer", f"/select,{file}"]
    assert leaving.command("darwin", file) == ["open", "-R", str(file)]
    words = leaving.command("linux", file)
    assert words[0] == "dbus-send"
    assert words[-2].startswith("array:string:file://")
    assert words[-2].endswith("/a%2C%20b.png")
    assert leaving.show_selected(["no-such-program-anywhere"]) is False
