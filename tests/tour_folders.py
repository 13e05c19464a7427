"""What the tour sees of a collection of several folders: made, listed, partly gone, deleted; the sample is open again after it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication, QMessageBox, QWidget

from clip_atelier.engine.core import paths
from clip_atelier.gui.pages.collection.folders import Folders
from clip_atelier.gui.parts.collection_folders import taken_as_further
from clip_atelier.gui.parts.new_collection import NewCollection

if TYPE_CHECKING:
    from tour_windows import Windows

_EACH = 12
_NAMES = {"en": "Fox book", "ko": "여우 책"}


def scenes(windows: Windows) -> Iterator[tuple[str, QWidget]]:
    """All of it, as hands do it."""
    tour, window, model = windows.tour, windows.window, windows.model
    sample = model.state.folder
    sketches, artworks, third = _made(tour.home)
    page = tour.turn("collection")
    window.do("collection.new")
    dialog = windows.opened(NewCollection)
    yield "folders-new-empty", dialog
    dialog.take([sketches, artworks])
    dialog.name.setText("a/b")
    dialog.confirm()
    tour.until(lambda: bool(dialog.told.text()))
    yield "folders-new-refused", dialog
    dialog.name.setText(_NAMES[model.state.get("language")])
    yield "folders-new", dialog
    dialog.confirm()
    _until_shown(windows, 2 * _EACH)
    yield "folders-page", window
    yield from windows.asked("folders-dropped", lambda: taken_as_further(model, [third], window))
    page.folders.show_all()
    listed = windows.opened(Folders)
    yield "folders-list", listed
    yield from windows.asked("folders-delete", listed.delete.click)
    away = sketches.with_name("away")
    sketches.rename(away)
    model.rescan()
    _until_shown(windows, _EACH)
    yield "folders-list-one-gone", listed
    listed.reject()
    yield "folders-page-one-gone", window
    artworks.rename(artworks.with_name("away"))
    model.rescan()
    tour.until(lambda: page.stack.currentWidget() is page.failed)
    windows.idle()
    yield "folders-page-all-gone", window
    _agreeing(page.failed.delete.click)
    tour.until(lambda: window.news.isVisible() and page.stack.currentWidget() is page.welcome)
    yield "folders-deleted", window
    model.open_folder(sample)
    tour.until(lambda: model.collection is not None)
    windows.idle()


def _made(home: Path) -> tuple[Path, Path, Path]:
    """Some drawings of the sample: its sketches on one drive, as it were, its artworks on another, and some elsewhere."""
    places = home / "Desktop" / "sketches", home / "Cloud" / "artworks", home / "Cloud" / "2025"
    for place in places:
        source = paths.sample_collection() / ("sketches" if place == places[0] else "artworks")
        shutil.rmtree(place.parent / "away", ignore_errors=True)
        place.mkdir(parents=True, exist_ok=True)
        for file in sorted(source.iterdir())[:_EACH]:
            shutil.copy(file, place)
    return places


def _until_shown(windows: Windows, count: int) -> None:
    model: Any = windows.model
    windows.tour.until(lambda: model.collection is not None and len(model.collection.items) == count)
    windows.idle()


def _agreeing(press: Callable[[], object]) -> None:
    """Presses, and agrees to what is asked."""

    def agree() -> None:
        asked = QApplication.activeModalWidget()
        if isinstance(asked, QMessageBox):
            timer.stop()
            yes = QMessageBox.ButtonRole.DestructiveRole
            next(one for one in asked.buttons() if asked.buttonRole(one) == yes).click()

    timer = QTimer()
    timer.timeout.connect(agree)
    timer.start(100)
    press()
    timer.stop()
