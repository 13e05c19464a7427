"""Linux: notify-send or the tray, the launcher's progress over D-Bus, and systemd's inhibitor."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
from collections.abc import Callable
from typing import Any

from PySide6.QtWidgets import QWidget

from clip_atelier.engine.core import paths
from clip_atelier.gui.desk.common import Child, notify_from_tray, on_battery

log = logging.getLogger(__name__)

# In a Flatpak the entry is called as the application.
_DESKTOP_FILE = f"application://{os.environ.get('FLATPAK_ID') or 'clip-atelier'}.desktop"
_LAUNCHER = "com.canonical.Unity.LauncherEntry"  # KDE, GNOME's docks, Unity and others listen to it


def send_update(fields: dict[str, Any]) -> bool:
    """Tells whoever draws the launcher what to draw on this program's entry; whether there is a bus to tell it on."""
    try:
        from PySide6.QtDBus import QDBusConnection, QDBusMessage
    except ImportError:  # a Qt without D-Bus
        return False
    bus = QDBusConnection.sessionBus()
    if not bus.isConnected():
        return False
    message = QDBusMessage.createSignal("/ClipAtelier", _LAUNCHER, "Update")
    message.setArguments([_DESKTOP_FILE, fields])
    return bool(bus.send(message))


class LinuxDesk:
    """See `Desk`.

    Args:
        window: Whose work it is.
        start: Starts a program.
        find: Where a program lies; None where it is not installed.
        send: Sends the launcher's update.
    """

    def __init__(
        self,
        window: QWidget,
        start: Callable[..., Any] = subprocess.Popen,
        find: Callable[[str], str | None] = shutil.which,
        send: Callable[[dict[str, Any]], bool] = send_update,
    ) -> None:
        self._window = window
        self._start = start
        self._find = find
        self._send = send
        self._awake = Child(start)
        self._told: list[Any] = []

    def notify(self, title: str, text: str) -> None:
        """Through notify-send where it is installed, else from the tray, else not at all."""
        program = self._find("notify-send")
        if program is None:
            notify_from_tray(self._window, title, text)
            return
        self._told = [one for one in self._told if one.poll() is None]  # those that ended are let go
        try:
            self._told.append(self._start(
                [program, "--app-name", paths.APP_NAME, "--icon", "clip-atelier", "--", title, text],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            ))  # fmt: skip
        except OSError as error:
            log.info("no message can be shown: %s", error)

    def show_progress(self, share: float | None) -> None:
        """On the program's entry in the dock or taskbar."""
        self._send({"progress": float(share or 0.0), "progress-visible": share is not None})

    def stay_awake(self, why: str) -> None:
        """Holds systemd's inhibitor by a child that ends when its input does."""
        program, waits = self._find("systemd-inhibit"), self._find("cat")
        if program is not None and waits is not None:
            self._awake.begin(
                [
                    program,
                    "--what=idle:sleep",
                    f"--who={paths.APP_NAME}",
                    f"--why={why}",
                    "--mode=block",
                    waits,
                ]
            )

    def may_sleep(self) -> None:
        """Lets the inhibitor go."""
        self._awake.end()

    def on_battery(self) -> bool:
        """By what the kernel tells."""
        return on_battery()
