"""What one lane of work is doing, for the bar above the pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtWidgets import QProgressBar, QWidget

from clip_atelier.engine.core import N_, Event, Phase, Progress, Started, Step, duration, i18n
from clip_atelier.gui.widgets.layout import row
from clip_atelier.gui.widgets.text import Button, Label

if TYPE_CHECKING:
    from clip_atelier.gui.workers import Lane

_JOBS = {
    "scan": N_("Reading the folder"),
    "train": N_("Training"),
    "estimate": N_("Measuring one step"),
    "grid": N_("Filling the table"),
    "export": N_("Exporting"),
    "search": N_("Searching"),
}


class Status(QWidget):
    """What is being done, how far it is, and a way to stop it."""

    def __init__(self, lane: Lane) -> None:
        super().__init__()
        self._steps = 0
        self._training = False
        self.words = Label(role="muted")
        self.left = Label(role="muted")
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setFixedWidth(120)
        self.stop = Button("", "icon", "x", tip=N_("Stop"))
        self.setLayout(row(self.words, self.left, self.bar, self.stop))
        self.stop.clicked.connect(lane.stop_all)
        lane.current_changed.connect(self._on_current)
        lane.events.connect(self._on_events)
        self.hide()

    def _on_current(self, job: object) -> None:
        self.setVisible(job is not None)
        if job is not None:
            self._training = False
            name = getattr(job, "name", "")
            self.words.say(_JOBS.get(name, N_("Working")))
            self.left.say("")
            self.bar.setRange(0, 0)

    def _on_events(self, events: list[Event]) -> None:
        phase = next((e for e in reversed(events) if isinstance(e, Phase)), None)
        progress = next((e for e in reversed(events) if isinstance(e, Progress)), None)
        step = next((e for e in reversed(events) if isinstance(e, Step)), None)
        started = next((e for e in reversed(events) if isinstance(e, Started)), None)
        if started is not None:
            self._steps = started.steps
        if phase is not None:
            self._training = phase.name == "train"
            self.left.say("")
            self.words.say(i18n.source(phase.title))
            self.bar.setRange(0, 0)
        if step is not None and self._steps:
            self.bar.setRange(0, self._steps)
            self.bar.setValue(step.step)
        # The checks within training have a progress of their own, which would jump to and fro here.
        if progress is not None and progress.total > 0 and not self._training:
            self.bar.setRange(0, 1000)
            self.bar.setValue(round(1000 * progress.done / progress.total))
        now = step or (None if self._training else progress)
        if now is not None:
            seconds = now.seconds_left
            self.left.say(N_("{time} left") if seconds else "", time=duration(seconds or 0))
