"""The dialog that shows a report of a problem, without names, captions and pictures, before it is saved."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtGui import QFontDatabase
from PySide6.QtWidgets import QDialog, QFileDialog, QPlainTextEdit, QWidget

from clip_atelier.engine.core import N_, _, paths
from clip_atelier.gui import jobs, theme
from clip_atelier.gui.widgets.layout import column, row
from clip_atelier.gui.widgets.text import Button, Label, SpokenName
from clip_atelier.gui.workers import Job

if TYPE_CHECKING:
    from clip_atelier.gui.app_model import AppModel


class ProblemDialog(QDialog):
    """The text as it will be saved; what happened is written into it here, and what is seen is what is saved."""

    def __init__(self, app_model: AppModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.app_model = app_model
        self.setWindowTitle(_("Report a problem"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.resize(780, 600)
        about = Label(
            N_(
                "Nothing is sent anywhere. Read it, write into it what happened, save it, and give it to whom you like. "
                "Names, captions and pictures are taken out."
            ),
            "muted",
            wrap=True,
        )
        self.text = QPlainTextEdit()
        self.text.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self.text.setTabChangesFocus(True)
        self.text.setEnabled(False)
        SpokenName(self.text, N_("The report"))
        self.told = Label(role="caption", wrap=True)
        self.told.say(N_("Putting it together…"))
        self.shut = Button(N_("Close"), "plain")
        self.save = Button(N_("Save the report…"), "primary", "save")
        self.save.setEnabled(False)
        layout = column(about, self.text, self.told, row(None, self.shut, self.save), gap=theme.M)
        layout.setStretch(1, 1)
        layout.setContentsMargins(theme.XL, theme.L, theme.XL, theme.L)
        self.setLayout(layout)
        self.save.clicked.connect(self.ask_for_place)
        self.shut.clicked.connect(self.reject)
        job = Job("problem", jobs.problem_text)
        job.done.connect(self._on_text)
        job.failed.connect(app_model.report)
        self.finished.connect(lambda _result: None if job.over else job.done.disconnect(self._on_text))
        app_model.lanes.files.submit(job)

    def _on_text(self, text: str) -> None:
        self.text.setPlainText(text)
        self.text.setEnabled(True)
        self.text.setFocus()
        self.save.setEnabled(True)
        self.told.say(N_("This is all of it."))

    def ask_for_place(self) -> None:
        """Asks where to, and saves."""
        start = str(Path.home() / "clip-atelier-problem.txt")
        chosen, _kind = QFileDialog.getSaveFileName(self, _("Save the report"), start, "*.txt")
        if chosen:
            self.save_to(Path(chosen))

    def save_to(self, file: Path) -> None:
        """Saves what is seen."""
        job = Job("save", partial(jobs.save_text, self.text.toPlainText(), file))
        job.failed.connect(self.app_model.report)
        told = _("It is at {path}.").format(path=paths.shown(file))
        job.done.connect(lambda _none: self.app_model.news.emit(_("The report is saved."), told))
        self.app_model.lanes.files.submit(job)
        self.accept()
