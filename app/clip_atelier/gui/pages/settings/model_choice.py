"""The choice of a model: those at hand, or a folder on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QFileDialog, QWidget

from clip_atelier.engine.core import N_, _, paths
from clip_atelier.engine.models import Models
from clip_atelier.gui import theme
from clip_atelier.gui.widgets.inputs import Choice
from clip_atelier.gui.widgets.layout import row
from clip_atelier.gui.widgets.text import Button, SpokenName


class ModelChoice(QWidget):
    """Names of the models at hand, and a button for any Hugging Face CLIP folder."""

    edited = Signal()

    def __init__(self, home: Path) -> None:
        super().__init__()
        self._home = home
        self._choice = Choice(self._at_hand())
        SpokenName(self._choice, N_("Model"))
        self._browse = Button("", "icon", "folder-open", tip=N_("Use a CLIP folder on disk"))
        self._choice.edited.connect(self.edited)
        self._browse.clicked.connect(self._ask)
        line = row(self._choice, self._browse, gap=theme.XS)
        line.setStretch(0, 1)
        self.setLayout(line)
        self.setFocusProxy(self._choice)

    def showEvent(self, event: QShowEvent) -> None:
        """Models may have been added or removed on another page."""
        super().showEvent(event)
        now = self.value()
        self._choice.renew(self._at_hand())
        self.set_value(now)

    def _at_hand(self) -> dict[str, str]:
        # Listing reads headers only; loaded models belong to the compute lane.
        return dict.fromkeys((info.name for info in Models(self._home).list()), "")

    def value(self) -> str:
        """The chosen name or folder."""
        return self._choice.value()

    def set_value(self, value: Any) -> None:
        """Chooses a name or folder."""
        text = str(value)
        if self._choice.findData(text) < 0:
            self._choice.add(text, paths.shown(Path(text).name) if "/" in text else text)
        self._choice.set_value(text)

    def _ask(self) -> None:
        chosen = QFileDialog.getExistingDirectory(
            self, _("Choose a Hugging Face CLIP folder"), str(Path.home())
        )
        if chosen:
            self.set_value(chosen)
            self.edited.emit()
