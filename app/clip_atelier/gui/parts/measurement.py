"""The start of a long measurement, and while it goes on how far it is, how long it takes, and a way to stop it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QProgressBar, QStackedWidget, QWidget

from clip_atelier.engine.core import N_, Event, Phase, Progress, duration
from clip_atelier.gui import theme
from clip_atelier.gui.widgets.layout import row
from clip_atelier.gui.widgets.text import Button, ElidedLabel, Label

if TYPE_CHECKING:
    from clip_atelier.gui.workers import Job


class Measurement(QStackedWidget):
    """A button; once `follow` was given a job, the job's progress in the button's place until it ends."""

    wanted = Signal()

    def __init__(self, text: str, icon: str, tip: str = "") -> None:
        super().__init__()
        self._job: Job | None = None
        self._left: float | None = None
        self.start = Button(text, "primary", icon, tip=tip)
        self.start.clicked.connect(self.wanted)
        self.words = ElidedLabel(role="muted")
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setFixedWidth(140)
        self.left = Label(role="caption")
        self.stop = Button(N_("Stop"), "plain", "square")
        self.stop.clicked.connect(self._on_stop)
        idle, busy = QWidget(), QWidget()
        idle.setLayout(row(None, self.start))
        working = row(self.words, self.bar, self.left, self.stop, gap=theme.M)
        working.setStretch(0, 1)
        busy.setLayout(working)
        self.addWidget(idle)
        self.addWidget(busy)
        self.setFixedHeight(36)

    @property
    def busy(self) -> bool:
        """Whether a job is followed that has not ended."""
        return self._job is not None

    def follow(self, job: Job) -> Job:
        """Shows a job until it ends; the job is about to be submitted."""
        self._job = job
        self._left = None
        self.words.say(N_("Waiting for other work to end…"))
        self.bar.setRange(0, 0)
        self._say_left()
        self.stop.setEnabled(True)
        self.setCurrentIndex(1)
        job.started.connect(lambda: self.words.say(N_("Getting ready…")))
        job.events.connect(self._on_events)
        job.ended.connect(lambda: self._on_ended(job))
        return job

    def retranslate(self) -> None:
        """The time left in the current language."""
        self._say_left()

    def _on_events(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Phase):
                self._left = None
                self.bar.setRange(0, 0)
                if event.title:
                    self.words.show_literal(event.title)
            elif isinstance(event, Progress) and event.total > 0:
                self._left = event.seconds_left
                self.bar.setRange(0, 1000)
                self.bar.setValue(round(1000 * event.done / event.total))
        self._say_left()

    def _say_left(self) -> None:
        if self._left is None:
            self.left.say("")
        else:
            self.left.say(N_("{time} left"), time=duration(self._left))

    def _on_stop(self) -> None:
        if self._job is not None:
            self._job.stop()
            self.stop.setEnabled(False)
            self.words.say(N_("Stopping…"))

    def _on_ended(self, job: Job) -> None:
        if job is self._job:
            self._job = None
            self.setCurrentIndex(0)
