"""A widget that is shown before it lies in another one flashes by as a window of its own, and takes the keys with it."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QEvent, QObject
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from clip_atelier.gui.main_window import MainWindow
from clip_atelier.gui.pages import PAGES


class _Watcher(QObject):
    """Notes every window that comes up, and which line of ours brought it."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Show and isinstance(watched, QWidget) and watched.isWindow():
            ours = [frame for frame in traceback.extract_stack() if "clip_atelier" in frame.filename]
            where = " < ".join(f"{Path(f.filename).name}:{f.lineno}" for f in reversed(ours[-4:]))
            self.seen.append(f"{type(watched).__name__} ({watched.accessibleName()}) by {where}")
        return False


@pytest.fixture
def windows(qapp: QApplication) -> Iterator[list[str]]:
    watcher = _Watcher()
    qapp.installEventFilter(watcher)
    yield watcher.seen
    qapp.removeEventFilter(watcher)


def test_no_page_brings_up_another_window(
    open_window: Callable[..., MainWindow], tiny_pairs: Path, windows: list[str], qtbot: QtBot
) -> None:
    """Without a folder, then with one, in both languages."""
    window = open_window(language="en", theme="light")
    for page in PAGES:
        window.show_page(page.name)
    window.app_model.open_folder(tiny_pairs)
    qtbot.waitUntil(lambda: window.app_model.split is not None)
    for language in ("ko", "en"):
        window.set_language(language)
        for page in reversed(PAGES):
            window.show_page(page.name)
            for tabs in getattr(window.page(page.name), "views", tuple)():
                for name in tabs.names:
                    tabs.choose(name)
            QApplication.processEvents()
    assert [one for one in windows if not one.startswith("MainWindow")] == []
    assert len(windows) == 1
