"""What hands do to a window, for the tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QInputMethodEvent
from PySide6.QtWidgets import QApplication, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from clip_atelier.gui.main_window import MainWindow

LONG = 120_000  # milliseconds; the first import of torch on a busy machine takes long


def drop(widget: QWidget, *paths: Path) -> bool:
    """Drags files or folders over a widget and lets go; whether they were accepted."""
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(p)) for p in paths])
    at, actions = QPointF(40, 40), Qt.DropAction.CopyAction
    buttons, keys = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    enter = QDragEnterEvent(at.toPoint(), actions, data, buttons, keys)
    QApplication.sendEvent(widget, enter)
    if not enter.isAccepted():
        return False
    let_go = QDropEvent(at, actions, data, buttons, keys)
    QApplication.sendEvent(widget, let_go)
    return let_go.isAccepted()


class Hangul:
    """What an input method does to the widget with the focus; asked for it, it finishes the syllable that it is at."""

    def __init__(self) -> None:
        self.unfinished = ""

    def at(self, unfinished: str, finished: str = "") -> None:
        """The syllable that is being put together, after another one was finished."""
        self.unfinished = unfinished
        event = QInputMethodEvent(unfinished, [])
        event.setCommitString(finished)
        widget = QApplication.focusWidget()
        assert widget is not None
        QApplication.sendEvent(widget, event)

    def commit(self) -> None:
        """Qt's own name."""
        if self.unfinished:
            self.at("", self.unfinished)


def shown(window: MainWindow, qtbot: QtBot, count: int) -> None:
    """Waits until the open collection shows so many drawings."""
    model = window.app_model
    qtbot.waitUntil(
        lambda: (
            model.collection is not None
            and len(model.collection.items) == count
            and not model.lanes.reading.busy
        )
    )


def button(owner: Any, words: str, qtbot: QtBot) -> QPushButton:
    """The button of these words, once it is seen: a layout shows what is put into it a turn of events later."""
    seen: list[QPushButton] = []

    def found() -> None:
        seen[:] = [one for one in owner.findChildren(QPushButton) if one.text() == words and one.isVisible()]
        assert seen, f"no button “{words}”"

    qtbot.waitUntil(found)
    return seen[0]
