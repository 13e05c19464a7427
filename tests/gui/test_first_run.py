"""Empty pages that teach, and the tour from an empty window to a comparison."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hands import LONG
from PySide6.QtCore import QPoint, QRect, Qt
from PySide6.QtWidgets import QAbstractButton, QApplication, QWidget
from pytestqt.qtbot import QtBot

from clip_atelier.engine.core import Control, drive
from clip_atelier.engine.data import scan
from clip_atelier.engine.settings import DataSettings
from clip_atelier.gui.first_look import DRAWINGS, first_look
from clip_atelier.gui.main_window import MainWindow
from clip_atelier.gui.pages import PAGES
from clip_atelier.gui.parts.beginning import Beginning, FolderButtons
from clip_atelier.gui.widgets.callout import Callout

Quick = Callable[..., dict[str, object]]
LEFT = Qt.MouseButton.LeftButton


def place(widget: QWidget, window: QWidget) -> QRect:
    return QRect(widget.mapTo(window, QPoint(0, 0)), widget.size())


def settled(window: MainWindow, qtbot: QtBot) -> Callout:
    """The note, once it stands where it belongs."""
    callout = window.guide.callout
    assert callout is not None
    qtbot.waitUntil(lambda: not (callout._soon.isActive() or window.guide._look.isActive()))
    QApplication.processEvents()
    return callout


def free_of_all(callout: Callout, window: MainWindow) -> None:
    """It lies in the window, and on nothing that it points at or must leave free."""
    assert callout.isVisible()
    assert callout.target is not None
    assert callout.target.isVisible()
    assert window.rect().contains(callout.body)
    for widget in (callout.target, *callout._free):
        if widget.isVisible():
            assert not callout.body.intersects(place(widget, window)), type(widget).__name__
    assert callout.text.height() >= callout.text.heightForWidth(callout.text.width())


def test_every_page_without_drawings_offers_both_ways_to_them(window: MainWindow, qtbot: QtBot) -> None:
    opened: list[object] = []
    window.app_model.open_folder = opened.append  # type: ignore[method-assign, assignment]
    for page in PAGES:
        window.show_page(page.name)
        qtbot.waitUntil(lambda: not window.app_model.lanes.files.busy)
        shown = [b for b in window.page(page.name).findChildren(FolderButtons) if b.isVisible()]
        assert len(shown) == 1, page.name
        qtbot.mouseClick(shown[0].sample, LEFT)
    assert len(opened) == len(PAGES)


def test_what_needs_a_training_leads_there(
    open_window: Callable[..., MainWindow], tiny_pairs: Path, qtbot: QtBot
) -> None:
    window = open_window(language="en", folder=str(tiny_pairs))
    window.app_model.rescan()
    for name in ("table", "learned"):
        window.show_page(name)
        page = window.page(name)
        qtbot.waitUntil(lambda page=page: any(b.way.isVisible() for b in page.findChildren(Beginning)))
        found = next(b for b in page.findChildren(Beginning) if b.isVisible())
        assert found.missing.text() == "Nothing has been trained yet."
        assert not found.folders.isVisible()
        qtbot.mouseClick(found.way, LEFT)
        assert window.app_model.state.get("page") == "settings"


def test_the_part_of_the_sample_is_sketches_with_their_words(tmp_path: Path) -> None:
    folder = first_look(tmp_path)
    collection = drive(scan(folder, DataSettings(), Control()))
    assert len(collection.items) == DRAWINGS
    assert not collection.pairs
    assert all("/" not in item.path for item in collection.items)
    assert all(len(item.captions) == 2 for item in collection.items), "in both languages"
    assert len({item.label for item in collection.items}) >= 6, "from all over the sample"
    assert not collection.problems
    assert first_look(tmp_path) == folder, "what is there stays"


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (960, 540), (1920, 1080)])
def test_the_note_leaves_its_control_free_wherever_it_stands(
    window: MainWindow, qtbot: QtBot, width: int, height: int
) -> None:
    welcome: Any = window.page("collection")
    qtbot.mouseClick(welcome.welcome.around, LEFT)
    window.resize(width, height)
    for language in ("ko", "en"):
        window.set_language(language)
        callout = settled(window, qtbot)
        free_of_all(callout, window)
        for way in welcome.welcome.ways.findChildren(QAbstractButton):
            assert not callout.body.intersects(place(way, window)), way.text()
        for step in (1, 2):
            window.guide._turn(step)
            window.guide.step = step
            callout = settled(window, qtbot)
            if callout.target is not None and callout.target.isVisible():
                free_of_all(callout, window)
        window.show_page("map")  # it waits at the way back
        callout = settled(window, qtbot)
        assert callout.target is window.rail.buttons[window.guide._now().page]
        free_of_all(callout, window)
        if width >= 1280:
            assert window.rail.geometry().contains(callout.body), "nothing of the other page is covered"
        window.guide._turn(0)


def test_a_note_that_stands_still_costs_nothing(window: MainWindow, qtbot: QtBot) -> None:
    window.show_around()
    callout = settled(window, qtbot)
    for page in ("collection", "training"):  # beside its control, and where it waits
        window.show_page(page)
        settled(window, qtbot)
        placed: list[None] = []
        callout._soon.timeout.connect(lambda placed=placed: placed.append(None))
        for _n in range(60):
            QApplication.processEvents()
        assert len(placed) <= 3


def test_the_tour_can_be_left_and_begun_again_and_is_remembered(
    open_window: Callable[..., MainWindow], qtbot: QtBot
) -> None:
    window = open_window(language="en")
    window.app_model.guide_wanted.emit()
    callout = settled(window, qtbot)
    assert callout.count.text() == "Step 1 of 4"
    qtbot.waitExposed(window)
    window.activateWindow()
    qtbot.keyClick(window, Qt.Key.Key_Escape)
    assert window.guide.callout is None
    assert window.app_model.state.view("guide", "") == "over"
    window.show_around()
    settled(window, qtbot)
    window.app_model.state.save()
    window.close()

    again = open_window()
    qtbot.waitUntil(lambda: again.guide.going)
    assert settled(again, qtbot).count.text() == "Step 1 of 4"
    again.guide.leave()


def test_from_nothing_to_a_comparison(
    open_window: Callable[..., MainWindow], quick: Quick, tiny_pairs: Path, qtbot: QtBot
) -> None:
    """On a folder of one's own, with nothing pressed but the note's button."""
    window = open_window(language="en", draft=quick())
    window.show_around()
    settled(window, qtbot)
    window.app_model.open_folder(tiny_pairs)
    qtbot.waitUntil(lambda: window.guide.step == 1)
    callout = settled(window, qtbot)
    page: Any = window.page("settings")
    assert callout.target is page.train
    free_of_all(callout, window)
    qtbot.waitUntil(lambda: callout.next.isEnabled() and page.train.isEnabled())
    qtbot.mouseClick(callout.next, LEFT)
    qtbot.waitUntil(lambda: window.guide.step == 2)
    qtbot.waitUntil(lambda: window.guide.step == 3, timeout=LONG)
    callout = settled(window, qtbot)
    training: Any = window.page("training")
    assert training.compared
    assert callout.target is training.result.verdict
    free_of_all(callout, window)
    assert training.result.verdict.visibleRegion().boundingRect() == training.result.verdict.rect()
    assert not callout.body.intersects(callout._seen(training.result.questions)), "the numbers are read too"
    qtbot.mouseClick(callout.next, LEFT)
    assert window.app_model.state.get("page") == "search"
    assert not window.guide.going
