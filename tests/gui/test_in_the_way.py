"""What stood in the way of hands: screens too small, keys that died, clicks that did nothing or something else."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hands import drop
from PySide6.QtCore import QPoint, Qt, QTimer
from PySide6.QtGui import QGuiApplication, QImage
from PySide6.QtWidgets import QMessageBox, QScrollArea, QWidget
from pytestqt.qtbot import QtBot

from clip_atelier.engine import settings
from clip_atelier.engine.core import Phase, Progress
from clip_atelier.engine.runs import RunSummary
from clip_atelier.gui import theme
from clip_atelier.gui.main_window import MainWindow
from clip_atelier.gui.pages import PAGES
from clip_atelier.gui.pages.collection.caption_table import CaptionTable
from clip_atelier.gui.pages.settings.cautions import cautions

LEFT = Qt.MouseButton.LeftButton
CTRL = Qt.KeyboardModifier.ControlModifier


@pytest.fixture
def opened(window: MainWindow, tiny_collection: Path, qtbot: QtBot) -> MainWindow:
    window.app_model.open_folder(tiny_collection)
    qtbot.waitUntil(lambda: window.app_model.split is not None, timeout=30_000)
    return window


def answer(qtbot: QtBot, words: str) -> list[str]:
    """Chooses a button of the question that comes next; what was asked is in the list afterwards."""
    asked: list[str] = []

    def choose() -> None:
        box = QGuiApplication.instance().activeModalWidget()  # type: ignore[union-attr]
        assert isinstance(box, QMessageBox)
        asked.append(box.text())
        next(b for b in box.buttons() if b.text().replace("&", "") == words).click()

    QTimer.singleShot(0, choose)
    return asked


# A small screen


@pytest.mark.parametrize("language", ["en", "ko"])
def test_on_the_smallest_screen_pages_scroll_and_the_main_action_is_seen(
    opened: MainWindow, qtbot: QtBot, language: str
) -> None:
    opened.set_language(language)
    opened.resize(960, 540)
    assert (opened.width(), opened.height()) == (960, 540)
    room = opened.pages.parentWidget()
    assert room is not None
    rail = opened.rail
    assert rail.languages.button("en").text() == "English"
    switches = [rail.languages.button(code) for code in ("en", "ko")]
    switches += [rail.themes.button(name) for name in ("light", "dark", "system")]
    for part in (*rail.buttons.values(), rail.glossary, *switches):
        qtbot.waitUntil(
            lambda part=part: part.visibleRegion().boundingRect() == part.rect(),  # type: ignore[misc]
            timeout=5000,
        )
    actions: dict[str, Callable[[Any], QWidget]] = {
        "collection": lambda page: page.onward,
        "settings": lambda page: page.train,
        "training": lambda page: page.start if page.start.isVisible() else page.begin_here,
        "search": lambda page: page.words,
    }
    scrolls = opened.findChild(QScrollArea).verticalScrollBar()
    for entry in PAGES:
        opened.show_page(entry.name)
        page = opened.page(entry.name)
        qtbot.waitUntil(lambda: opened.pages.width() <= room.width(), timeout=5000)
        assert scrolls.value() == 0, "every page begins at its top"
        if entry.name in actions:
            action = actions[entry.name](page)
            qtbot.waitUntil(action.isVisible, timeout=5000)
            place = action.rect().translated(action.mapTo(opened, QPoint(0, 0)))
            qtbot.waitUntil(
                lambda action=action: opened.rect().contains(  # type: ignore[misc]
                    action.rect().translated(action.mapTo(opened, QPoint(0, 0)))
                ),
                timeout=5000,
            )
            assert place.width() > 0
        # What scrolls up and down only must not be wider than what is seen of it.
        for area in page.findChildren(QScrollArea):
            sheet = area.widget()
            if sheet is not None and area.isVisible():
                qtbot.waitUntil(lambda a=area, s=sheet: s.width() <= a.viewport().width() + 1, timeout=5000)  # type: ignore[misc]
        scrolls.setValue(scrolls.maximum())
    # Every column of the captions is seen.
    opened.show_page("collection")
    collection: Any = opened.page("collection")
    collection.tabs.choose("captions")
    (table,) = collection.findChildren(CaptionTable)
    qtbot.waitUntil(lambda: 0 < table.horizontalHeader().length() <= table.viewport().width(), timeout=5000)


def test_large_windows_do_not_scroll(opened: MainWindow, qtbot: QtBot) -> None:
    opened.resize(1280, 800)
    room = opened.pages.parentWidget()
    assert room is not None
    for entry in PAGES:
        opened.show_page(entry.name)
        qtbot.waitUntil(lambda: opened.pages.size() == room.size(), timeout=5000)


# Keys


def test_the_keys_of_the_pages_outlive_a_language_switch(window: MainWindow, qtbot: QtBot) -> None:
    qtbot.waitExposed(window)
    window.activateWindow()
    window.set_language("ko")
    window.resize(1000, 700)  # the rail loses its words
    window.resize(1280, 800)
    for number, page in enumerate(PAGES):
        window.activateWindow()
        qtbot.waitUntil(window.isActiveWindow, timeout=5000)
        qtbot.keyClick(window, Qt.Key(Qt.Key.Key_1.value + number), CTRL)
        qtbot.waitUntil(lambda page=page: window.app_model.state.get("page") == page.name, timeout=5000)  # type: ignore[misc]
        assert window.rail.buttons[page.name].shortcut().toString() == f"Ctrl+{number + 1}"


def test_strokes_are_taken_back_and_drawn_again_by_keyboard(window: MainWindow, qtbot: QtBot) -> None:
    window.show_page("search")
    page: Any = window.page("search")
    page.draw.setChecked(True)
    canvas = page.canvas
    blank = canvas.picture()
    pictures = []
    for y in (40, 80):
        qtbot.mousePress(canvas, LEFT, pos=QPoint(20, y))
        qtbot.mouseMove(canvas, QPoint(100, y))
        qtbot.mouseRelease(canvas, LEFT, pos=QPoint(100, y))
        pictures.append(canvas.picture())
    assert len({blank.constBits().tobytes(), *(p.constBits().tobytes() for p in pictures)}) == 3
    qtbot.keyClick(canvas, Qt.Key.Key_Z, CTRL)
    assert canvas.picture() == pictures[0]
    qtbot.keyClick(canvas, Qt.Key.Key_Z, CTRL | Qt.KeyboardModifier.ShiftModifier)
    assert canvas.picture() == pictures[1]
    canvas.clear()
    assert canvas.picture() == blank
    qtbot.keyClick(canvas, Qt.Key.Key_Z, CTRL)
    assert canvas.picture() == pictures[1]


@pytest.mark.parametrize("t", [theme.LIGHT, theme.DARK], ids=["light", "dark"])
def test_borders_of_fields_and_marks_of_focus_can_be_seen(t: theme.Tokens) -> None:
    """WCAG 2.1 AA: 3 to 1 for what a field is recognised by."""

    def light(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        r, g, b = (c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
        return 0.2126 * r + 0.7152 * g + 0.0722 * b

    for ground in (t.window, t.surface):
        for mark in (t.strong_line, t.accent):
            high, low = sorted((light(mark), light(ground)), reverse=True)
            assert (high + 0.05) / (low + 0.05) >= 3.0, (mark, ground)


# Clicks


def test_the_first_click_chooses_the_drawing_under_the_pointer(opened: MainWindow, qtbot: QtBot) -> None:
    opened.show_page("collection")
    page: Any = opened.page("collection")
    grid = page.grid
    qtbot.waitUntil(lambda: grid.visualRect(grid.tiles.index(7)).isValid(), timeout=5000)
    for row in (7, 3):
        places = [grid.visualRect(grid.tiles.index(n)) for n in range(12)]
        qtbot.mouseClick(grid.viewport(), LEFT, pos=places[row].center())
        assert grid.currentIndex().row() == row
        assert [grid.visualRect(grid.tiles.index(n)) for n in range(12)] == places
        qtbot.mouseDClick(grid.viewport(), LEFT, pos=places[row].center())
        assert grid.currentIndex().row() == row
        assert page.detail.name.full_text() == grid.tiles.tile(row).path.name


def test_a_dropped_drawing_opens_no_folder_unasked(
    opened: MainWindow, tiny_pairs: Path, tiny_collection: Path, qtbot: QtBot
) -> None:
    drawing = next(path for path in sorted(tiny_pairs.rglob("*.png")))
    asked = answer(qtbot, "Cancel")
    assert drop(opened, drawing)
    assert drawing.name in asked[0]
    assert opened.app_model.state.folder == str(tiny_collection)
    answer(qtbot, "Find similar")
    assert drop(opened, drawing)
    assert opened.app_model.state.get("page") == "search"
    page: Any = opened.page("search")
    qtbot.waitUntil(lambda: page.picture.path == drawing, timeout=30_000)
    assert opened.app_model.state.folder == str(tiny_collection)
    answer(qtbot, "Open the drawing's folder")
    opened.open_path(drawing)
    assert opened.app_model.state.folder == str(drawing.parent)


def test_a_pasted_picture_is_not_mixed_with_the_words_before_it(opened: MainWindow, qtbot: QtBot) -> None:
    opened.show_page("search")
    page: Any = opened.page("search")
    asked: list[str] = []
    page.search = lambda: asked.append(page.words.text())
    qtbot.keyClicks(page.words, "red circle")
    image = QImage(40, 40, QImage.Format.Format_RGB32)
    image.fill(Qt.GlobalColor.red)
    QGuiApplication.clipboard().setImage(image)
    qtbot.mouseClick(page.paste, LEFT)
    assert page.picture.isVisible()
    assert page.words.text() == ""
    assert asked[-1] == ""
    qtbot.keyClicks(page.words, "with stripes")  # typed afterwards, they belong together
    assert page.picture.image is not None


# Whose run it is


def run(name: str, folder: Path, created: float) -> RunSummary:
    return RunSummary(run=name, name=name, folder=str(folder), created=created, status="stopped")


def test_a_run_of_another_collection_is_not_shown_unasked(
    opened: MainWindow, tiny_collection: Path, tmp_path: Path, qtbot: QtBot
) -> None:
    other = tmp_path / "other drawings"
    shutil.copytree(tiny_collection, other)
    model = opened.app_model
    opened.show_page("training")
    training: Any = opened.page("training")
    opened.show_page("search")
    search: Any = opened.page("search")
    model.read_runs = lambda: None  # type: ignore[method-assign]
    qtbot.waitUntil(lambda: not model.lanes.files.busy, timeout=30_000)
    model._on_runs([run("mine", tiny_collection, 1.0), run("newer", tiny_collection, 2.0)])
    assert search.runs.value() == training.runs.value() == "newer"
    model.open_folder(other)
    assert training.runs.value() == ""
    assert training.runs.currentText() == "Nothing trained on this collection yet"
    assert training.plan.text().endswith(other.name) or not training._root.name
    assert search.runs.value() == ""
    texts = [training.runs.itemText(n) for n in range(1, training.runs.count())]
    assert all(text.endswith(tiny_collection.name) for text in texts)
    model.open_folder(tiny_collection)
    assert search.runs.value() == training.runs.value() == "newer"


def test_search_keeps_the_older_run_while_a_new_one_is_trained(
    opened: MainWindow, tiny_collection: Path, qtbot: QtBot
) -> None:
    model = opened.app_model
    going_on = run("now", tiny_collection, 3.0).model_copy(update={"status": "running"})
    qtbot.waitUntil(lambda: not model.lanes.files.busy, timeout=30_000)
    model.read_runs = lambda: None  # type: ignore[method-assign]
    model._on_runs([run("older", tiny_collection, 1.0), going_on])
    model.state.set("run", "now")
    opened.show_page("search")
    search: Any = opened.page("search")
    assert search.runs.value() == "older"
    model._on_runs([run("older", tiny_collection, 1.0), going_on])
    assert search.runs.value() == "older"


# What is learned from


def test_copies_of_a_drawing_in_a_pair_stay_on_its_side(
    window: MainWindow, tiny_pairs: Path, qtbot: QtBot
) -> None:
    (tiny_pairs / "backup").mkdir()
    for drawing in sorted(tiny_pairs.rglob("*.png"))[::3]:
        shutil.copy(drawing, tiny_pairs / "backup" / f"copy of {drawing.parent.name} {drawing.name}")
    window.app_model.open_folder(tiny_pairs)
    qtbot.waitUntil(lambda: window.app_model.split is not None, timeout=30_000)
    collection, part_of = window.app_model.collection, window.app_model.part_of
    assert collection is not None
    parts: dict[str, set[str]] = {}
    for index, item in enumerate(collection.items):
        parts.setdefault(item.digest, set()).add(part_of[index])
    assert len(parts) < len(collection.items)
    assert all(len(where) == 1 for where in parts.values())


def test_a_drawing_in_white_ink_is_read(window: MainWindow, tiny_collection: Path, qtbot: QtBot) -> None:
    image = QImage(40, 40, QImage.Format.Format_ARGB32)
    image.fill(Qt.GlobalColor.transparent)
    for n in range(5, 35):
        image.setPixelColor(n, n, Qt.GlobalColor.white)
    assert image.save(str(tiny_collection / "white-line.png"))
    window.app_model.open_folder(tiny_collection)
    qtbot.waitUntil(lambda: window.app_model.collection is not None, timeout=30_000)
    assert "white-line.png" in {item.path for item in window.app_model.collection.items}  # type: ignore[union-attr]
    assert not window.app_model.collection.problems  # type: ignore[union-attr]


# What is told


def test_work_tells_how_long_it_will_take(window: MainWindow) -> None:
    status = window.reading
    status._on_events(
        [Phase(name="scan", title="Reading the folder"), Progress(done=10, total=100, seconds_left=90.0)]
    )
    assert status.left.text() == "2 min left" or "left" in status.left.text()
    assert status.left.text()
    status._on_events([Progress(done=11, total=100)])
    assert status.left.text() == ""


def test_captions_are_shown_in_the_language_of_the_window(
    window: MainWindow, tiny_collection: Path, qtbot: QtBot
) -> None:
    table = tiny_collection / "metadata.csv"
    table.write_text("file_name,text\nred-circle.png,a red circle\nred-circle.png,빨간 동그라미\n", "utf-8")
    window.app_model.open_folder(tiny_collection)
    qtbot.waitUntil(lambda: window.app_model.collection is not None, timeout=30_000)
    grid = window.page("collection").grid  # type: ignore[attr-defined]

    def title() -> str:
        tiles = (grid.tiles.tile(row) for row in range(grid.tiles.rowCount()))
        return next(tile.title for tile in tiles if tile.path.name == "red-circle.png")

    assert title() == "a red circle"
    window.set_language("ko")
    assert title() == "빨간 동그라미"


# Settings that reason


def test_settings_that_are_seldom_meant_are_told_with_the_reason(
    open_window: Callable[..., MainWindow], tiny_clip: Path, qtbot: QtBot
) -> None:
    window = open_window(
        language="en", draft={"model.name": str(tiny_clip)}, preset="attention", page="settings"
    )
    page: Any = window.page("settings")
    readouts = page.readouts
    qtbot.waitUntil(lambda: readouts.values["trainable"].text() != "–", timeout=5000)
    assert readouts.caution.isHidden()
    assert page.presets["attention"].changed.isHidden()
    for name, value, words in (
        ("lora.lora_alpha", 64, "counts 8 times"),
        ("lora.r", 64, "narrowest adapted layer is wide (32)"),
        ("train.batch_size", 2, "With 2 drawings in a step"),
    ):
        field = page.form.rows[name].control
        field.setFocus()
        field.selectAll()
        qtbot.keyClicks(field, str(value))
        qtbot.waitUntil(lambda words=words: words in readouts.caution.text(), timeout=5000)  # type: ignore[misc]
        assert not readouts.caution.isHidden()
    assert page.presets["attention"].changed.text() == "changed: 3"
    assert page.presets["auto"].changed.isHidden()
    qtbot.mouseClick(page.presets["attention"], LEFT)
    qtbot.waitUntil(readouts.caution.isHidden, timeout=5000)
    assert page.presets["attention"].changed.isHidden()
    # A preset of ours is no slip, also where its scale is 4.
    for name in settings.PRESETS:
        chosen = settings.build({"model.name": str(tiny_clip)}, name)
        assert not any("counts" in said for said in cautions(chosen, 0)), name
