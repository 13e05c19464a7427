"""The Collection page when there is no collection: the invitation, the reading, the failure."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QProgressBar, QWidget

from clip_atelier.engine.core import N_, Event, ProblemFound, Progress, UserError, paths
from clip_atelier.gui import theme
from clip_atelier.gui.pages.collection import jobs
from clip_atelier.gui.pages.collection.folders import MOST_MISSING, DeleteButton, Missing
from clip_atelier.gui.parts.beginning import FolderButtons
from clip_atelier.gui.widgets.layout import box, clear, column, row
from clip_atelier.gui.widgets.text import Button, Label, Picture
from clip_atelier.gui.workers import Job

if TYPE_CHECKING:
    from clip_atelier.engine.data import FurtherFolder
    from clip_atelier.gui.app_model import AppModel


class Welcome(QWidget):
    """No folder yet: where to begin."""

    def __init__(self, app_model: AppModel) -> None:
        super().__init__()
        self._app_model = app_model
        self.buttons = FolderButtons(app_model)
        self.open, self.sample = self.buttons.open, self.buttons.sample
        self.around = Button(N_("Show me around"), "quiet", "chevron-right")
        self.around.clicked.connect(app_model.guide_wanted)
        self.several = Button(N_("Several folders…"), "quiet", "folder")
        self.pages = Button(N_("Photographed pages…"), "quiet", "image")
        self.ways = box(
            row(None, self.buttons, None),
            row(None, self.several, self.pages, self.around, None),
            gap=theme.S,
        )
        title = Label(N_("Drop a folder of drawings here"), "display")
        text = Label(
            N_(
                "Sketches, scans, finished work: PNG, JPEG, WebP, AVIF, HEIC, TIFF, SVG, PDF, Photoshop, Procreate, Clip Studio, Krita and more. "
                "Nothing leaves this machine, and nothing in the folder is changed."
            ),
            "muted",
            wrap=True,
        )
        for label in (title, text):
            label.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        text.setFixedWidth(460)
        self.recent = column(gap=theme.XS)
        self.recent_box = box(Label(N_("Opened before"), "caption"), self.recent)
        self.recent_box.setFixedWidth(460)
        self.setLayout(
            column(
                None,
                row(None, Picture("images", 56, "strong_line"), None), theme.M, title, row(None, text, None), theme.L,
                row(None, self.ways, None), theme.XL, row(None, self.recent_box, None),
                None, gap=theme.S,
            )
        )  # fmt: skip
        app_model.state.changed.connect(self._on_state)
        self._show_recent()

    def _on_state(self, what: str) -> None:
        if what == "recent":
            self._show_recent()

    def _show_recent(self) -> None:
        clear(self.recent)
        recent = self._app_model.state.get("recent")[:4]
        for folder in recent:
            button = Button("{folder}", "quiet", "folder", folder=paths.shown(folder))
            button.setStyleSheet("text-align: left")
            button.clicked.connect(partial(self._app_model.open_folder, folder))
            self.recent.addWidget(button)
        self.recent_box.setVisible(bool(recent))

    def paintEvent(self, _event: QPaintEvent) -> None:
        t = theme.tokens(self.palette())
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        pen = QPen(QColor(t.strong_line), 1.5)
        pen.setDashPattern([5, 5])
        painter.setPen(pen)
        painter.drawRoundedRect(self.rect().adjusted(1, 1, -2, -2), theme.L, theme.L)
        painter.end()


class Reading(QWidget):
    """The folder is being read for the first time."""

    def __init__(self, app_model: AppModel) -> None:
        super().__init__()
        self.title = Label(N_("Reading the folder…"), "title")
        self.count = Label(role="muted")
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setFixedWidth(320)
        self.stop = Button(N_("Stop"), "plain", "square")
        self.stop.clicked.connect(app_model.lanes.reading.stop_all)
        self._bad = 0
        layout = column(None, self.title, self.count, theme.S, self.bar, theme.S, self.stop, None)
        for widget in (self.title, self.count, self.bar, self.stop):
            layout.setAlignment(widget, Qt.AlignmentFlag.AlignHCenter)
        self.setLayout(layout)
        app_model.scanning.connect(self._on_events)

    def begin(self) -> None:
        """Starts counting anew."""
        self._bad = 0
        self.bar.setRange(0, 0)
        self.count.say("")

    def _on_events(self, events: list[Event]) -> None:
        self._bad += sum(isinstance(e, ProblemFound) for e in events)
        last = next((e for e in reversed(events) if isinstance(e, Progress)), None)
        if last is not None:
            self.bar.setRange(0, max(last.total, 1))
            self.bar.setValue(last.done)
            words = N_("{done} of {total}") if not self._bad else N_("{done} of {total}, {bad} left out")
            self.count.say(words, done=f"{last.done:,}", total=f"{last.total:,}", bad=f"{self._bad:,}")


class Failed(QWidget):
    """The folder could not be read: why, and what to do. Folders of it that are not there are found again from here too."""

    def __init__(self, app_model: AppModel) -> None:
        super().__init__()
        self._app_model = app_model
        self._missing: Sequence[FurtherFolder] = ()
        self.missing = column(gap=theme.S)
        self.missing_box = box(self.missing)
        self.missing_box.setFixedWidth(720)
        self.message = Label(role="title", wrap=True)
        self.hint = Label(role="muted", wrap=True)
        again = Button(N_("Try again"), "plain", "refresh-cw")
        other = Button(N_("Open a folder…"), "primary", "folder-open")
        self.delete = DeleteButton(app_model)
        again.clicked.connect(app_model.rescan)
        other.clicked.connect(lambda: app_model.ask_for_folder(self))
        for label in (self.message, self.hint):
            label.setAlignment(Qt.AlignmentFlag.AlignHCenter)
            label.setFixedWidth(560)
        self.setLayout(
            column(
                None, row(None, Picture("triangle-alert", 40, "warning"), None), row(None, self.message, None),
                row(None, self.hint, None), row(None, self.missing_box, None), theme.M, row(None, again, other, None),
                row(None, self.delete, None), None,
            )
        )  # fmt: skip

    def tell(self, error: Exception) -> None:
        """Shows the reason."""
        self.delete.refresh()
        job = Job("folders", partial(jobs.folders_not_there, Path(self._app_model.state.folder)))
        job.done.connect(self._on_missing)
        self._app_model.lanes.files.submit(job)
        if isinstance(error, UserError):
            self.message.show_literal(error.message)
            self.hint.show_literal(error.hint)
        else:
            self.message.say(N_("The folder could not be read."))
            self.hint.show_literal(f"{type(error).__name__}: {error}")

    def _on_missing(self, missing: Sequence[FurtherFolder]) -> None:
        """Buttons in place of the words that say what to do; the same ones stay, and so does the focus."""
        self.hint.setHidden(bool(missing))
        if missing == self._missing:
            return
        self._missing = missing
        clear(self.missing)
        for one in missing[:MOST_MISSING]:
            self.missing.addWidget(Missing(self._app_model, one.name, one.folder))
