"""The dialog that gives chosen drawings a word of the user's own."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QWidget

from clip_atelier.engine.core import N_, UserError, _
from clip_atelier.gui import theme
from clip_atelier.gui.pages.collection import jobs
from clip_atelier.gui.parts.measurement import Measurement
from clip_atelier.gui.parts.run_choice import RunChoice
from clip_atelier.gui.parts.taught_words import how_sure
from clip_atelier.gui.widgets.layout import column, row
from clip_atelier.gui.widgets.text import Button, Field, Label, SpokenName, finish_composing
from clip_atelier.gui.workers import Job

if TYPE_CHECKING:
    from clip_atelier.engine.parts import TaughtList
    from clip_atelier.engine.runs import RunSummary
    from clip_atelier.gui.app_model import AppModel

_WIDTH = 560
FEWEST = 3
"""Drawings that must be chosen: from so many on it can be told how sure a word is."""


class TeachDialog(QDialog):
    """The run, the word, and, once it is taught, how sure it is."""

    def __init__(self, app_model: AppModel, images: Sequence[Path], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.app_model = app_model
        self.images = tuple(images)
        self._job: Job | None = None
        self.setWindowTitle(_("Teach a word"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setFixedWidth(_WIDTH)
        self.about = Label(
            N_("A word or a name for {count} drawings. From then on it finds them, and others like them."),
            "muted",
            wrap=True,
            count=len(self.images),
        )
        self.word = Field(N_("A word or a name, in any language"))
        self.runs = RunChoice({})
        SpokenName(self.runs, N_("Training"))
        self.none = Label(N_("Train on this collection first."), "warning", wrap=True)
        self.told = Label(wrap=True)
        self.told.hide()
        self.teaching = Measurement(N_("Teach"), "sparkles")
        self.shut = Button(N_("Close"), "plain")
        buttons = row(self.teaching, self.shut)
        buttons.setStretch(0, 1)
        layout = column(
            self.about, theme.M, Label(N_("Word"), "caption"), self.word, theme.S, Label(N_("Training"), "caption"), self.runs, self.none,
            theme.S, self.told, None, theme.S, buttons, gap=theme.XS,
        )  # fmt: skip
        layout.setContentsMargins(theme.XL, theme.L, theme.XL, theme.L)
        self.setLayout(layout)
        self.shut.setAutoDefault(False)
        self.teaching.start.setDefault(True)
        self.teaching.wanted.connect(self.teach)
        self.teaching.stop.setAutoDefault(False)
        self.shut.clicked.connect(self.reject)
        self.word.textChanged.connect(lambda _text: self._enable())
        self.word.composed.connect(self._enable)
        app_model.runs_changed.connect(self._on_runs)
        self._on_runs()
        app_model.read_runs()
        self.word.setFocus()

    def _on_runs(self) -> None:
        fitting = runs_of_collection(self.app_model)
        self.runs.show_runs(fitting)
        self.runs.setVisible(bool(fitting))
        self.none.setVisible(not fitting)
        self._enable()
        self._fit()

    def _fit(self) -> None:
        """As high as the words need."""
        layout = self.layout()
        assert layout is not None
        layout.activate()
        # Not the least height, which is that of the narrowest that words can be.
        self.setFixedHeight(layout.heightForWidth(_WIDTH))

    def _enable(self) -> None:
        self.teaching.start.setEnabled(bool(self.runs.value() and self.word.seen.strip()))

    def teach(self) -> None:
        """Has the word taught; the dialog stays to say how sure it is."""
        finish_composing()
        run, word = str(self.runs.value()), self.word.text().strip()
        if not run or not word or self.teaching.busy:
            return
        self.told.hide()
        job = Job("teach", partial(jobs.teach, run, word, self.images))
        job.done.connect(partial(self._on_taught, word))
        job.failed.connect(self._on_failed)
        self._job = job
        self.teaching.follow(job)
        self.app_model.lanes.compute.submit(job)

    def _on_taught(self, word: str, taught: TaughtList) -> None:
        self.app_model.words_taught.emit(taught.run)
        found = taught.get(word)
        if found is not None:
            self._tell(how_sure(found), "gain" if found.sure == "yes" else "body")
        self.teaching.start.setDefault(False)

    def _on_failed(self, error: Exception) -> None:
        if isinstance(error, UserError):
            self._tell(str(error), "warning")
        else:
            self.app_model.report(error)

    def _tell(self, text: str, role: str) -> None:
        self.told.show_literal(text)
        self.told.set_role(role)
        self.told.show()
        self._fit()

    def done(self, result: int) -> None:
        """Closing stops what is not taught yet."""
        self.app_model.runs_changed.disconnect(self._on_runs)
        if self._job is not None and not self._job.over:
            self._job.done.disconnect()
            self._job.failed.disconnect()
            self._job.stop()
        super().done(result)


def runs_of_collection(app_model: AppModel) -> list[RunSummary]:
    """The finished runs of the open collection, oldest first."""
    root = app_model.collection.root if app_model.collection is not None else None
    return [r for r in app_model.usable_runs if r.status == "done" and root and Path(r.folder) == Path(root)]
