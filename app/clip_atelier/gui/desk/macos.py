"""macOS: the notification centre, the number on the dock's icon, and caffeinate."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from typing import Any

from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QWidget

from clip_atelier.gui.desk.common import Child, notify_from_tray, on_battery


def _badge(number: int) -> None:
    app = QGuiApplication.instance()
    if isinstance(app, QGuiApplication):
        app.setBadgeNumber(number)


class MacDesk:
    """See `Desk`.

    Args:
        window: Whose work it is.
        start: Starts a program.
        find: Where a program lies; None where it is not installed.
        badge: Puts a number on the dock's icon; 0 takes it away.
    """

    def __init__(
        self,
        window: QWidget,
        start: Callable[..., Any] = subprocess.Popen,
        find: Callable[[str], str | None] = shutil.which,
        badge: Callable[[int], None] = _badge,
    ) -> None:
        self._window = window
        self._find = find
        self._badge = badge
        self._awake = Child(start)

    def notify(self, title: str, text: str) -> None:
        """In the notification centre."""
        notify_from_tray(self._window, title, text)

    def show_progress(self, share: float | None) -> None:
        """As a percentage on the dock's icon."""
        self._badge(0 if share is None else max(1, round(100 * share)))

    def stay_awake(self, why: str) -> None:
        """By caffeinate, which ends with this process."""
        program = self._find("caffeinate")
        if program is not None:
            self._awake.begin([program, "-i", "-w", str(os.getpid())])

    def may_sleep(self) -> None:
        """Ends caffeinate."""
        self._awake.end()

    def on_battery(self) -> bool:
        """By what the system tells."""
        return on_battery()
