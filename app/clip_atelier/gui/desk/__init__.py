"""What the system around the window can do for long work: a message, progress on the taskbar, staying awake.

One file per system, each with the same few calls (`Desk`); what a system does not offer is quietly left out.
"""

from __future__ import annotations

import sys
from typing import Protocol

from PySide6.QtWidgets import QWidget


class Desk(Protocol):
    """What every system's file offers. No call ever raises."""

    def notify(self, title: str, text: str) -> None:
        """Shows a message outside of the window."""

    def show_progress(self, share: float | None) -> None:
        """Shows how much is done, from 0 to 1, on the taskbar or dock; None takes it away."""

    def stay_awake(self, why: str) -> None:
        """Keeps the machine from falling asleep until `may_sleep`; the screen may go dark."""

    def may_sleep(self) -> None:
        """Ends `stay_awake`."""

    def on_battery(self) -> bool:
        """Whether the machine runs on its battery now."""


def of_this_system(window: QWidget) -> Desk:
    """The desk of the system that the program runs on."""
    from clip_atelier.gui.desk import linux, macos, windows

    if sys.platform == "win32":
        return windows.WindowsDesk(window)
    if sys.platform == "darwin":
        return macos.MacDesk(window)
    return linux.LinuxDesk(window)
