"""What a page shows before it has anything to show: what will be here, what is missing for it, and the way there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QWidget

from clip_atelier.engine.core import N_
from clip_atelier.gui import theme
from clip_atelier.gui.widgets.empty import nothing_yet
from clip_atelier.gui.widgets.layout import column, row
from clip_atelier.gui.widgets.text import Button, Label

if TYPE_CHECKING:
    from clip_atelier.gui.app_model import AppModel

OPEN = N_("Open a folder…")
SAMPLE = N_("Try with the sample")


class FolderButtons(QWidget):
    """Both ways to drawings, one click each; below each other where it is narrow."""

    def __init__(self, app_model: AppModel, *, narrow: bool = False) -> None:
        super().__init__()
        self.open = Button(OPEN, "primary", "folder-open")
        self.sample = Button(SAMPLE, "plain", "sparkles")
        self.open.clicked.connect(lambda: app_model.ask_for_folder(self))
        self.sample.clicked.connect(app_model.open_sample)
        self.setLayout((column if narrow else row)(self.open, self.sample))


class NoFolder(QWidget):
    """Both ways to drawings on a page that is of use without them too; seen only while no folder is open."""

    def __init__(self, app_model: AppModel, words: str, *, narrow: bool = False) -> None:
        super().__init__()
        self._app_model = app_model
        self.buttons = FolderButtons(app_model, narrow=narrow)
        said = Label(words, "muted", wrap=True)
        self.setLayout(column(said, self.buttons if narrow else row(self.buttons, None), gap=theme.S))
        app_model.state.changed.connect(self._on_state)
        if app_model.state.folder:
            self.hide()

    def _on_state(self, what: str) -> None:
        if what == "folder":
            self.setHidden(bool(self._app_model.state.folder))


class Beginning(QWidget):
    """An empty page that teaches. `teach` says what will be seen here; the rest follows what is open.

    Args:
        icon: The page's.
        width: Of the lines, in pixels.
        trained: Whether the page shows something of a training: where there is none yet, a button leads to it.
        more: What else can be done here, seen once drawings are open.
    """

    def __init__(
        self,
        app_model: AppModel,
        icon: str,
        width: int = 480,
        *,
        title: str = "",
        trained: bool = False,
        more: QWidget | None = None,
    ) -> None:
        super().__init__()
        self._app_model = app_model
        self._trained = trained
        self._more = more
        self.title = Label(title, "title", wrap=True)
        self.about = Label(role="muted", wrap=True)
        self.missing = Label(role="strong", wrap=True)
        self.folders = FolderButtons(app_model)
        self.way = Button(N_("Train first"), "primary")
        self.way.clicked.connect(self._go)
        self._page = ""
        for label in (self.title, self.missing):
            label.setAlignment(Qt.AlignmentFlag.AlignHCenter)
            label.setFixedWidth(width)
        below = column(row(None, self.folders, None), row(None, self.way, None), gap=theme.S)
        if more is not None:
            below.addLayout(row(None, more, None))
        self.setLayout(
            column(nothing_yet(icon, self.about, width, above=self.title, below=(self.missing, below)), gap=0)
        )
        self.title.setHidden(not title)
        app_model.collection_changed.connect(self.refresh)
        app_model.runs_changed.connect(self.refresh)
        app_model.state.changed.connect(self._on_state)
        self.refresh()

    def teach(self, words: str) -> None:
        """Says what will be seen here."""
        self.about.say(words)
        self.about.setHidden(not words)

    def _on_state(self, what: str) -> None:
        if what == "folder":
            self.refresh()

    def refresh(self) -> None:
        """Says what is missing now, and offers the way there."""
        model = self._app_model
        missing, way, page = "", "", ""
        if not model.state.folder:
            missing = N_("It begins with a folder of drawings.")
        elif model.scan_error is not None:
            missing, way, page = N_("The folder could not be read."), N_("See why"), "collection"
        elif model.collection is None:
            missing = N_("Reading the folder…")
        elif self._trained and not model.usable_runs:
            missing = N_("Nothing has been trained yet.")
            way, page = N_("Train first"), "settings"
        self._page = page
        self.missing.say(missing)
        self.missing.setHidden(not missing)
        self.folders.setHidden(bool(model.state.folder))
        if way:
            self.way.say(way)
        self.way.setHidden(not way)
        if self._more is not None:
            self._more.setHidden(model.collection is None)

    def _go(self) -> None:
        self._app_model.page_wanted.emit(self._page)
