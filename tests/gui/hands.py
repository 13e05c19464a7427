"""What hands do to a window, for the tests."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QApplication, QWidget

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
