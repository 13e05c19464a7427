"""A real window on a home of its own, with the real engine behind it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hands import LONG, Hangul
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from clip_atelier.gui.app_model import AppModel
from clip_atelier.gui.main_window import MainWindow
from clip_atelier.gui.state import WindowState
from clip_atelier.gui.theme import Theme
from clip_atelier.gui.widgets import text
from clip_atelier.gui.workers import Lanes


class _PatientBot(QtBot):
    """Waits longer than the tests say before it gives up: they run side by side, on machines of any speed."""

    def waitUntil(self, callback: Callable[[], bool | None], *, timeout: int = LONG) -> None:  # noqa: N802 - Qt's own name
        super().waitUntil(callback, timeout=max(timeout, LONG))

    def waitSignal(self, signal: Any, *, timeout: int = LONG, **rest: Any) -> Any:  # noqa: N802 - Qt's own name
        return super().waitSignal(signal, timeout=max(timeout, LONG), **rest)


@pytest.fixture
def qtbot(qapp: QApplication, request: pytest.FixtureRequest) -> QtBot:
    return _PatientBot(request)


@pytest.fixture(scope="session")
def theme_of_tests(qapp: QApplication) -> Theme:
    return Theme(qapp, "light")


@pytest.fixture
def state(home: Path) -> Iterator[WindowState]:
    made = WindowState(home)
    yield made
    made.save()


@pytest.fixture
def lanes(home: Path) -> Iterator[Lanes]:
    made = Lanes(home)
    yield made
    assert made.close(60), "a lane did not end"


@pytest.fixture
def app_model(state: WindowState, lanes: Lanes, theme_of_tests: Theme) -> AppModel:
    return AppModel(state, lanes, theme_of_tests)


@pytest.fixture
def open_window(home: Path, qtbot: QtBot, theme_of_tests: Theme) -> Iterator[Callable[..., MainWindow]]:
    """Opens a window; keyword arguments are written into window.json first."""
    opened: list[MainWindow] = []

    def open_one(**remembered: Any) -> MainWindow:
        file = home / "window.json"
        home.mkdir(parents=True, exist_ok=True)
        if remembered:
            before = json.loads(file.read_text()) if file.exists() else {}
            file.write_text(json.dumps({**before, **remembered}))
        state = WindowState(home)
        theme_of_tests.choose(state.get("theme"))
        main_window = MainWindow(AppModel(state, Lanes(home), theme_of_tests))
        opened.append(main_window)
        qtbot.addWidget(main_window)
        main_window.resize(1280, 800)
        main_window.show()
        qtbot.waitUntil(lambda: bool(main_window._made), timeout=5000)
        return main_window

    yield open_one
    for main_window in opened:
        main_window.app_model.lanes.leave()
        assert main_window.app_model.lanes.close(60), "a lane did not end"
        main_window.app_model.state.save()


@pytest.fixture
def window(open_window: Callable[..., MainWindow]) -> MainWindow:
    return open_window(language="en", theme="light")


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> Hangul:
    """An input method for Korean."""
    made = Hangul()
    monkeypatch.setattr(text, "QGuiApplication", SimpleNamespace(inputMethod=lambda: made))
    return made
