"""A real window on a home of its own, with the real engine behind it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from clip_atelier.gui.desk import Desk
from clip_atelier.gui.jobs import Lanes
from clip_atelier.gui.shell import Shell
from clip_atelier.gui.state import WindowState
from clip_atelier.gui.theme import Theme


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
def desk(state: WindowState, lanes: Lanes, theme_of_tests: Theme) -> Desk:
    return Desk(state, lanes, theme_of_tests)


@pytest.fixture
def open_window(home: Path, qtbot: QtBot, theme_of_tests: Theme) -> Iterator[Callable[..., Shell]]:
    """Opens a window; keyword arguments are written into window.json first."""
    opened: list[Shell] = []

    def open_one(**remembered: Any) -> Shell:
        file = home / "window.json"
        home.mkdir(parents=True, exist_ok=True)
        if remembered:
            before = json.loads(file.read_text()) if file.exists() else {}
            file.write_text(json.dumps({**before, **remembered}))
        state = WindowState(home)
        theme_of_tests.choose(state.get("theme"))
        shell = Shell(Desk(state, Lanes(home), theme_of_tests))
        opened.append(shell)
        qtbot.addWidget(shell)
        shell.resize(1280, 800)
        shell.show()
        qtbot.waitUntil(lambda: bool(shell._made), timeout=5000)
        return shell

    yield open_one
    for shell in opened:
        shell.desk.lanes.leave()
        assert shell.desk.lanes.close(60), "a lane did not end"
        shell.desk.state.save()


@pytest.fixture
def window(open_window: Callable[..., Shell]) -> Shell:
    return open_window(language="en", theme="light")
