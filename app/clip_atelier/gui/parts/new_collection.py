"""The dialog that makes a collection of several folders; nothing is written into any of them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QDialog, QFileDialog, QFrame, QScrollArea, QWidget

from clip_atelier.engine.core import N_, UserError, Work, _, paths
from clip_atelier.gui import theme
from clip_atelier.gui.drops import dropped_paths
from clip_atelier.gui.jobs import at_once
from clip_atelier.gui.widgets.layout import box, clear, column, row
from clip_atelier.gui.widgets.text import (
    Button,
    ElidedLabel,
    Field,
    Label,
    Picture,
    SpokenName,
    finish_composing,
)
from clip_atelier.gui.workers import Job

if TYPE_CHECKING:
    from clip_atelier.engine.core import Control
    from clip_atelier.gui.app_model import AppModel
    from clip_atelier.gui.workers import Tools

_WORDS = 480
_NAMED = 2
"""Folders whose names make the name that is suggested."""


class NewCollection(QDialog):
    """A name, and the folders: chosen one by one, or dropped here."""

    def __init__(
        self, app_model: AppModel, folders: Sequence[Path] = (), parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._app_model = app_model
        self.folders: list[Path] = []
        self._job: Job | None = None
        self._own_name = False
        self.setWindowTitle(_("New collection of several folders"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setAcceptDrops(True)
        self.resize(620, 460)
        about = Label(
            N_(
                "Sketches on one drive, finished work in another folder: they are learned and searched together. The folders stay as they "
                "are and where they are; the program keeps the list. Drawings of one name in a folder called “sketches” and in one "
                "called “artworks”, or the like, are pairs."
            ),
            "muted",
            wrap=True,
        )
        self.lines = column(gap=theme.S)
        self.area = QScrollArea()
        self.area.setWidgetResizable(True)
        self.area.setFrameShape(QFrame.Shape.NoFrame)
        self.area.setWidget(box(self.lines, None))
        SpokenName(self.area, N_("Folders of the new collection"))
        self.name = Field(N_("A name for the collection"))
        self.told = Label(role="warning", wrap=True)
        about.setMinimumWidth(
            _WORDS
        )  # else the dialog would be as high as the words are in the narrowest column
        self.told.setMinimumWidth(_WORDS)
        self.told.setFixedHeight(2 * self.told.fontMetrics().lineSpacing() + theme.XS)  # nothing jumps
        self.more = Button(N_("Add a folder…"), "plain", "plus")
        self.shut = Button(N_("Cancel"), "plain")
        self.make = Button(N_("Make the collection"), "primary")
        for button in (self.more, self.shut):
            button.setAutoDefault(False)
        self.make.setDefault(True)
        self.more.clicked.connect(self._ask)
        self.shut.clicked.connect(self.reject)
        self.make.clicked.connect(self.confirm)
        self.name.textEdited.connect(self._on_named)
        self.name.textChanged.connect(self._on_other_name)
        self.name.composed.connect(self._enable)
        layout = column(
            about, theme.S, Label(N_("Folders"), "caption"), self.area, row(self.more, None), theme.S, Label(N_("Name"), "caption"),
            self.name, self.told, theme.S, row(None, self.shut, self.make), gap=theme.XS,
        )  # fmt: skip
        layout.setStretch(3, 1)
        layout.setContentsMargins(theme.XL, theme.L, theme.XL, theme.L)
        self.setLayout(layout)
        self.take(folders)

    def take(self, folders: Sequence[Path]) -> None:
        """Puts folders on the list; one that is there already, or no folder, is left out."""
        for folder in folders:
            if folder not in self.folders and folder.is_dir():
                self.folders.append(folder)
        self._show()

    def _drop(self, folder: Path) -> None:
        self.folders.remove(folder)
        self._show()
        self.more.setFocus()  # the button that was pressed is gone

    def _show(self) -> None:
        clear(self.lines)
        for folder in self.folders:
            self.lines.addWidget(self._line(folder))
        if not self.folders:
            self.lines.addWidget(Label(N_("Drop folders here, or add them one by one."), "muted", wrap=True))
        if not self._own_name:
            self.name.setText(" + ".join(paths.shown(folder.name) for folder in self.folders[:_NAMED]))
        self.told.show_literal("")
        self._enable()

    def _line(self, folder: Path) -> QWidget:
        line = QWidget()
        title, place = ElidedLabel(role="strong"), ElidedLabel(role="caption")
        title.show_literal(paths.shown(folder.name))
        place.show_literal(paths.shown(folder))
        out = Button("", "icon", "x", tip=N_("Leave this folder out"))
        out.setAutoDefault(False)
        out.setAccessibleName(f"{_('Leave this folder out')}: {paths.shown(folder.name)}")
        out.clicked.connect(partial(self._drop, folder))
        layout = row(Picture("folder", 18), box(title, place, gap=0), out, gap=theme.M)
        layout.setStretch(1, 1)
        line.setLayout(layout)
        return line

    def _ask(self) -> None:
        start = str(self.folders[-1].parent if self.folders else Path.home())
        chosen = QFileDialog.getExistingDirectory(self, _("Add a folder to the new collection"), start)
        if chosen:
            self.take([Path(chosen)])

    def _on_named(self, text: str) -> None:
        self._own_name = bool(text.strip())

    def _on_other_name(self, _text: str) -> None:
        self.told.show_literal("")  # it was about the name before
        self._enable()

    def _enable(self) -> None:
        self.make.setEnabled(bool(self.folders and self.name.seen.strip()) and self._job is None)

    def confirm(self) -> None:
        """Has the collection made, and opens it; what is wrong is said here."""
        finish_composing()
        if self._job is not None or not self.folders:
            return
        self._job = Job("collection", partial(_new, self.name.text(), tuple(self.folders)))
        self._job.done.connect(self._on_made)
        self._job.failed.connect(self._on_failed)
        self._app_model.lanes.files.submit(self._job)
        self._enable()

    def _on_made(self, root: Path) -> None:
        self._app_model.open_folder(root)
        self._app_model.page_wanted.emit("collection")
        self.accept()

    def _on_failed(self, error: Exception) -> None:
        self._job = None
        self._enable()
        if not isinstance(error, UserError):
            self._app_model.report(error)
            return
        self.told.show_literal(f"{error.message} {error.hint}".strip())

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if any(path.is_dir() for path in dropped_paths(event)):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        event.acceptProposedAction()
        self.take(dropped_paths(event))

    def done(self, result: int) -> None:
        """Once it is closed nobody waits for what it asked."""
        if self._job is not None and not self._job.over:
            self._job.done.disconnect()
            self._job.failed.disconnect()
        super().done(result)


def _new(name: str, folders: Sequence[Path], tools: Tools, _control: Control) -> Work[Path]:
    from clip_atelier.engine.data import new_collection

    return at_once(lambda: new_collection(tools.home, name, folders))
