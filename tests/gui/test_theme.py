from __future__ import annotations

import gc

from PySide6.QtCore import QEvent
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from clip_atelier.gui.theme import Theme


def test_nothing_is_collected_while_qt_walks_over_all_widgets(theme_of_tests: Theme, qtbot: QtBot) -> None:
    """A window collected in the middle of it would be walked over as well, and the program would crash."""
    seen: list[bool] = []

    class Watcher(QWidget):
        def changeEvent(self, event: QEvent) -> None:
            if event.type() in (QEvent.Type.PaletteChange, QEvent.Type.StyleChange):
                seen.append(gc.isenabled())

    watcher = Watcher()
    qtbot.addWidget(watcher)
    watcher.show()
    qtbot.waitExposed(watcher)
    for choice in ("dark", "light"):
        theme_of_tests.choose(choice)
    assert seen
    assert not any(seen)
    assert gc.isenabled()
