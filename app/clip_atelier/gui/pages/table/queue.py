"""The grid that is being filled, and the one that was left unfinished: what is done, how long it takes, go on, stop."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QTimer, Signal
from PySide6.QtWidgets import QFrame, QProgressBar

from clip_atelier.engine.core import N_, Cell, Event, FoldStep, Phase, Started, Step, duration, i18n, paths
from clip_atelier.gui import theme
from clip_atelier.gui.pages.table.fill import described
from clip_atelier.gui.widgets.layout import column, row
from clip_atelier.gui.widgets.text import Button, ElidedLabel, Label, Message, Picture

if TYPE_CHECKING:
    from clip_atelier.engine.experiments import Unfinished
    from clip_atelier.gui.workers import Job


class GridRecord:
    """How far a grid is, from its events."""

    def __init__(self) -> None:
        self.cell: Cell | None = None
        self.failed: list[Cell] = []
        self.phase = ""
        self._steps = 0
        self._step: Step | None = None
        self._before = 0.0  # share of the run that its folds took
        self._within = 0.0  # share of the run that is done
        self._left_at = 0.0  # when the last estimate was made

    def feed(self, events: Sequence[Event]) -> bool:
        """Takes in events; whether a run began or a cell ended, so that the table has something new."""
        news = False
        for event in events:
            if isinstance(event, Cell):
                self.cell = event
                self._step, self._steps = None, 0
                self._before = self._within = 0.0
                self._left_at = event.time
                news = news or event.status in ("done", "failed")
                if event.status == "failed":
                    self.failed.append(event)
            elif isinstance(event, Started):
                self._steps = event.steps
                news = True
            elif isinstance(event, Step):
                self._within = self._before + (1 - self._before) * event.step / max(self._steps, 1)
                self._step = event
            elif isinstance(event, FoldStep):
                # One training for each fold, and as many steps again for the update that is kept.
                self._before = (event.fold - 1 + event.step / event.steps) / (event.folds + 1)
                self._within = self._before
            elif isinstance(event, Phase):
                self.phase = i18n.source(event.title)
        return news

    @property
    def share(self) -> float:
        """How much of all runs is done, 0 to 1."""
        if self.cell is None:
            return 0.0
        before = self.cell.number - (1 if self.cell.status == "running" else 0)
        return min((before + self._within) / self.cell.total, 1.0)

    def left(self, now: float) -> float | None:
        """Seconds left for all of it; None before the first run is done."""
        if self.cell is None or self.cell.seconds_left is None:
            return None
        return max(0.0, self.cell.seconds_left - (now - self._left_at))

    @property
    def left_of_run(self) -> float | None:
        """Seconds left of the run at work."""
        return self._step.seconds_left if self._step else None


class QueueCard(QFrame):
    """A strip above the table, shown while there is something to say about a grid."""

    go_on = Signal(object)  # an Unfinished
    leave = Signal(object)  # an Unfinished
    news = Signal()  # a run began or a cell ended

    def __init__(self) -> None:
        super().__init__()
        self.setProperty("role", "notice")
        self.record = GridRecord()
        self._job: Job | None = None
        self._stopping = False
        self._begun = False
        self._offered: Unfinished | None = None
        self.words = Label(role="strong")
        self.detail = ElidedLabel(role="muted")
        self.time = Label(role="muted")
        self.bar = QProgressBar()
        self.bar.setRange(0, 1000)
        self.bar.setTextVisible(False)
        self.pause = Button(N_("Pause"), "plain", "pause")
        self.stop = Button(N_("Stop"), "plain", "square")
        self.forward = Button(N_("Go on with the table"), "primary", "play")
        self.forget = Button(N_("Leave it"), "plain")
        self.forget.tell(N_("Its finished trainings stay in the table."))
        words = column(row(self.words, None, self.time, gap=theme.M), self.detail, self.bar, gap=theme.XS)
        layout = row(
            Picture("layers", 20, "accent"),
            words,
            self.pause,
            self.stop,
            self.forget,
            self.forward,
            gap=theme.M,
        )
        layout.setStretch(1, 1)
        layout.setContentsMargins(theme.L, theme.M, theme.M, theme.M)
        self.setLayout(layout)
        self._clock = QTimer(self)
        self._clock.setInterval(1000)
        self._clock.timeout.connect(self.refresh)
        self.pause.clicked.connect(self._on_pause)
        self.stop.clicked.connect(self._on_stop)
        self.forward.clicked.connect(lambda: self.go_on.emit(self._offered))
        self.forget.clicked.connect(lambda: self.leave.emit(self._offered))
        self.hide()

    @property
    def filling(self) -> bool:
        """Whether a grid is at work or waits for its turn."""
        return self._job is not None and not self._job.over

    def follow(self, job: Job) -> None:
        """Shows how a grid's job goes."""
        self._job = job
        self._stopping = False
        self.record = GridRecord()
        self._begun = False
        job.started.connect(self._on_started)
        job.events.connect(self._on_events)
        job.ended.connect(self._on_ended)
        self._clock.start()
        self.refresh()

    def offer(self, unfinished: Sequence[Unfinished]) -> None:
        """Offers the latest unfinished grid again, where nothing is at work."""
        self._offered = unfinished[0] if unfinished else None
        self.refresh()

    def retranslate(self) -> None:
        """The same in the current language."""
        self.refresh()

    def _on_started(self) -> None:
        self._begun = True
        self.refresh()

    def _on_events(self, events: list[Event]) -> None:
        if self.record.feed(events):
            self.news.emit()
        self.refresh()

    def _on_ended(self) -> None:
        self._clock.stop()
        self.refresh()

    def _on_pause(self) -> None:
        if self._job is not None:
            self._job.control.toggle()
            self.refresh()

    def _on_stop(self) -> None:
        if self._job is not None:
            self._stopping = True
            # The run goes on later: comparing it half-way would only keep the user waiting.
            self._job.control.leave()
            self.refresh()

    def refresh(self) -> None:
        """Draws what is known."""
        filling, offered = self.filling, self._offered
        self.setVisible(filling or offered is not None)
        for part in (self.pause, self.stop, self.time):
            part.setVisible(filling)
        for part in (self.forward, self.forget):
            part.setVisible(not filling)
        if filling:
            self._draw_work()
        elif offered is not None:
            self._draw_offer(offered)

    def _draw_work(self) -> None:
        assert self._job is not None
        record, paused = self.record, self._job.control.paused
        self.pause.say(N_("Go on") if paused else N_("Pause"))
        self.pause.set_icon("play" if paused else "pause")
        self.pause.setEnabled(not self._stopping)
        self.stop.setEnabled(not self._stopping)
        self.stop.say(N_("Stopping…") if self._stopping else N_("Stop"))
        self.bar.setVisible(True)
        self.bar.setValue(round(1000 * record.share))
        cell = record.cell
        if cell is None:
            self.words.say(N_("Filling the table") if self._begun else N_("Waits for the work before it"))
            self.detail.say(record.phase)
            self.time.say("")
            return
        self.words.say(N_("Training {number} of {total}"), number=cell.number, total=cell.total)
        failed = Message(N_("{count} failed so far"), count=len(record.failed)) if record.failed else ""
        self.detail.show_literal(
            "  ·  ".join(str(part) for part in (cell.title, Message(record.phase), failed) if str(part))
        )
        left, of_run = record.left(time.time()), record.left_of_run
        if paused:
            self.time.say(N_("paused"))
        elif left is not None:
            self.time.say(N_("about {time} left"), time=duration(left))
        elif of_run is not None:
            self.time.say(N_("this training: about {time} left"), time=duration(of_run))
        else:
            self.time.say("")

    def _draw_offer(self, offered: Unfinished) -> None:
        values: dict[str, Any] = {"done": offered.done, "total": offered.total, "failed": offered.failed}
        name = paths.shown(offered.grid.folder.name)
        only_failed = offered.done + offered.failed == offered.total
        if only_failed:
            self.words.say(N_("{failed} of {total} trainings of a table failed"), **values)
            self.detail.show_literal("  ·  ".join(part for part in (name, offered.error) if part))
        else:
            self.words.say(N_("A table was left unfinished: {done} of {total} trainings are done"), **values)
            self.detail.show_literal("  ·  ".join((name, described(offered.grid.vary))))
        self.forward.say(N_("Try them again") if only_failed else N_("Go on with the table"))
        self.bar.setVisible(False)
