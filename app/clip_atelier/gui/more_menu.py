"""What the window offers besides its pages: the trash and a report of a problem."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QMenu, QWidget

from clip_atelier.engine.core import _
from clip_atelier.gui.problem import ProblemDialog
from clip_atelier.gui.trash import TrashDialog

if TYPE_CHECKING:
    from clip_atelier.gui.app_model import AppModel

_TRASH_KEYS = "Ctrl+Shift+T"


class MoreMenu(QMenu):
    """Filled whenever it opens, so that it speaks the language of now."""

    def __init__(self, app_model: AppModel, window: QWidget) -> None:
        super().__init__(window)
        self._app_model = app_model
        self._window = window
        self.aboutToShow.connect(self._fill)
        QShortcut(QKeySequence(_TRASH_KEYS), window, self.show_trash)

    def _fill(self) -> None:
        self.clear()
        trash = _("Trash…")  # inside an f-string it would not be found for translation
        self.addAction(f"{trash}\t{QKeySequence(_TRASH_KEYS).toString()}", self.show_trash)
        self.addAction(_("Report a problem…"), self.show_problem)

    def show_trash(self) -> None:
        """Opens the list of what was deleted."""
        TrashDialog(self._app_model, self._window).open()

    def show_problem(self) -> None:
        """Opens the report of a problem."""
        ProblemDialog(self._app_model, self._window).open()
