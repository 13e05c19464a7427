"""What the systems share: a message from the tray, the battery, and a program that runs for as long as it is needed."""

from __future__ import annotations

import logging
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import psutil
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QSystemTrayIcon, QWidget

log = logging.getLogger(__name__)

_SHOWN_MS = 12_000
_PATIENCE = 1.0  # seconds that a program has for ending


def _sensors() -> Any:
    """What psutil says; it has nothing to say where the system has no batteries at all."""
    ask = getattr(psutil, "sensors_battery", None)
    return None if ask is None else ask()


def on_battery(sensors: Callable[[], Any] = _sensors) -> bool:
    """Whether the machine runs on its battery; a machine without one does not.

    Args:
        sensors: Asks the system.
    """
    try:
        found = sensors()
    except (
        OSError,
        RuntimeError,
        NotImplementedError,
    ) as error:  # what a kernel without power supplies answers
        log.info("the battery could not be asked: %s", error)
        return False
    # `power_plugged` is None where it cannot be told.
    return found is not None and found.power_plugged is False


def notify_from_tray(window: QWidget, title: str, text: str) -> bool:
    """Shows a message through an icon in the tray that goes again; whether there is a tray. A click raises the window."""
    if not QSystemTrayIcon.isSystemTrayAvailable() or not QSystemTrayIcon.supportsMessages():
        return False
    icon = QSystemTrayIcon(window.windowIcon(), window)
    icon.setToolTip(title)
    icon.messageClicked.connect(window.raise_)
    icon.messageClicked.connect(window.activateWindow)
    icon.show()
    icon.showMessage(title, text, window.windowIcon(), _SHOWN_MS)
    QTimer.singleShot(_SHOWN_MS, icon, icon.deleteLater)
    return True


class Child:
    """A program that keeps the machine awake while it runs.

    Its standard input is a pipe of ours: one that waits for its end ends with this process, however that ends.
    """

    def __init__(self, start: Callable[..., Any] = subprocess.Popen) -> None:
        self._start = start
        self._running: Any = None

    @property
    def running(self) -> bool:
        """Whether it runs."""
        return self._running is not None and self._running.poll() is None

    def begin(self, words: Sequence[str]) -> None:
        """Starts it, unless it runs already."""
        if self.running:
            return
        try:
            self._running = self._start(
                list(words), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
        except OSError as error:
            log.info("%s cannot be started: %s", words[0], error)
            self._running = None

    def end(self) -> None:
        """Ends it."""
        child, self._running = self._running, None
        if child is None:
            return
        with suppress(OSError):
            child.stdin.close()
        if child.poll() is None:
            child.terminate()
        with suppress(subprocess.TimeoutExpired):
            child.wait(_PATIENCE)
