"""What the window offers besides its pages: finding anything, help, the trash and a report of a problem."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtWidgets import QMenu, QWidget

from clip_atelier.gui.actions import bound
from clip_atelier.gui.problem import ProblemDialog
from clip_atelier.gui.trash import TrashDialog

if TYPE_CHECKING:
    from clip_atelier.gui.app_model import AppModel

ENTRIES = ("palette", "help", "guide", "about", "trash", "report-problem")


class MoreMenu(QMenu):
    """Shows some of the window's actions, with their keys."""

    def __init__(self, app_model: AppModel, window: QWidget) -> None:
        super().__init__(window)
        self._app_model = app_model
        self._window = window

    def fill(self) -> None:
        """Takes the actions, once the window has them; they speak the language of now by themselves."""
        for name in ENTRIES:
            found = bound(self._window, name)
            if found is not None:
                self.addAction(found)

    def show_trash(self) -> None:
        """Opens the list of what was deleted."""
        TrashDialog(self._app_model, self._window).open()

    def show_problem(self) -> None:
        """Opens the report of a problem."""
        ProblemDialog(self._app_model, self._window).open()
