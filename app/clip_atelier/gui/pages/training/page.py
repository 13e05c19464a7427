"""The Training page: the curves of a run while it learns, and of every run before it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QStackedWidget, QWidget

from clip_atelier.engine import settings
from clip_atelier.engine.core import N_, Event, Finished, UserError, paths
from clip_atelier.gui import theme
from clip_atelier.gui.actions import Bound, pressed
from clip_atelier.gui.pages.training import jobs
from clip_atelier.gui.pages.training.curves import drawn
from clip_atelier.gui.pages.training.queue_card import QueueCard, plan_words
from clip_atelier.gui.pages.training.run_menu import RunMenu
from clip_atelier.gui.pages.training.run_view import RunView
from clip_atelier.gui.pages.training.waiting import Waiting
from clip_atelier.gui.parts.beginning import Beginning
from clip_atelier.gui.parts.run_choice import RunChoice
from clip_atelier.gui.run_progress import RunRecord
from clip_atelier.gui.state import own_preset
from clip_atelier.gui.widgets.layout import TwoEnds, column, row_box
from clip_atelier.gui.widgets.text import Button, Label, SpokenName
from clip_atelier.gui.workers import Job

if TYPE_CHECKING:
    from clip_atelier.engine.runs import RunSummary
    from clip_atelier.gui.app_model import AppModel
    from clip_atelier.gui.widgets.tabs import Tabs


def make(app_model: AppModel) -> QWidget:
    """The page."""
    return TrainingPage(app_model)


class TrainingPage(QWidget):
    """All of it."""

    def __init__(self, app_model: AppModel) -> None:
        super().__init__()
        self.app_model = app_model
        self._job: Job | None = None
        self.live = RunRecord()
        self._live_root = Path()
        self.shown = RunRecord()
        self._root = Path()
        self._stopping = False

        self.runs = RunChoice({})
        SpokenName(self.runs, N_("Training"))
        self.runs.setMinimumWidth(280)
        self.runs.edited.connect(self._on_run_chosen)
        self.more = Button("", "icon", "ellipsis", tip=N_("More about this training"))
        self.menu = RunMenu(app_model, self._summary, lambda: drawn(app_model.state, self.shown), self)
        self.menu.deleted.connect(self._on_deleted)
        self.more.clicked.connect(
            lambda: self.menu.popup(self.more.mapToGlobal(self.more.rect().bottomLeft()))
        )
        self.evaluate = Button(
            N_("Evaluate now"), "plain", "gauge", tip=N_("Measure retrieval at the next step")
        )
        self.pause = Button(N_("Pause"), "plain", "pause")
        self.stop = Button(N_("Stop"), "plain", "square", tip=N_("End here and keep the best checkpoint"))
        self.resume = Button(
            N_("Resume this training"), "plain", "play", tip=N_("Go on exactly where it stopped")
        )
        self.start = Button(N_("Start training"), "primary", "play")
        self.search = Button(N_("Search with it"), "plain", "search")
        self.another = Button(
            N_("Add to the queue"), "plain", "plus",
            tip=N_("Train with the settings as they are now, when what goes on has ended"),
        )  # fmt: skip
        self.another.clicked.connect(self.begin)
        self.evaluate.clicked.connect(self._on_evaluate)
        self.pause.clicked.connect(self._on_pause)
        self.stop.clicked.connect(self._on_stop)
        self.resume.clicked.connect(self._on_resume)
        self.start.clicked.connect(self.begin)
        self.search.clicked.connect(lambda: app_model.page_wanted.emit("search"))
        done = row_box(
            self.search, self.another, self.evaluate, self.pause, self.stop, self.resume, self.start, None
        )
        top = TwoEnds(row_box(self.runs, self.more, None), done)

        self.plan = Label(role="muted")
        self.view = RunView(app_model)
        self.tabs = self.view.tabs
        self.result = self.view.result
        full = QWidget()
        whole = column(self.plan, self.view, gap=theme.S)
        whole.setStretch(1, 1)
        full.setLayout(whole)
        self.begin_here = Button(N_("Start training"), "primary", "play")
        self.begin_here.clicked.connect(self.begin)
        self.empty = Beginning(app_model, "activity", title=N_("Nothing trained yet"), more=self.begin_here)
        self.stack = QStackedWidget()
        self.stack.addWidget(self.empty)
        self.stack.addWidget(full)
        self.waiting = Waiting(app_model)
        self.queue = QueueCard(self.waiting)
        self.queue.wanted.connect(self._begin_next)
        layout = column(top, self.queue, self.stack, gap=theme.M)
        layout.setStretch(2, 1)
        layout.setContentsMargins(theme.XL, theme.L, theme.XL, theme.L)
        self.setLayout(layout)

        for name, button in (
            ("start", self.start),
            ("pause", self.pause),
            ("evaluate", self.evaluate),
            ("stop", self.stop),
            ("resume", self.resume),
        ):
            Bound(f"training.{name}", self, button.click, usable=pressed(button))
        app_model.asked_to_train.connect(self.begin)
        app_model.runs_changed.connect(self._on_runs)
        app_model.paused_changed.connect(self.refresh)
        app_model.collection_changed.connect(self._on_buttons)
        app_model.lanes.compute.busy_changed.connect(lambda _busy: self._on_buttons())
        app_model.state.changed.connect(self._on_state)
        app_model.read_runs()
        self.refresh()

    # Work

    @property
    def training(self) -> bool:
        """Whether a run started here is going on."""
        return self._job is not None and not self._job.over

    def begin(self) -> None:
        """Trains a new run with the draft's settings on the open folder, or queues it while another one goes on."""
        app_model = self.app_model
        if not app_model.state.folder:
            return
        try:
            chosen = settings.build(app_model.state.values())
        except UserError as error:
            app_model.report(error)
            return
        folder = Path(app_model.state.folder)
        name = str(app_model.state.get("preset") or "").removeprefix(own_preset(""))
        if self.training:
            self.waiting.add(folder, chosen, name)
        else:
            self._run(partial(jobs.train, folder, chosen, name), folder)

    def _begin_next(self) -> None:
        """Trains what waits, unless something is trained or nothing may begin."""
        taken = None if self.training else self.waiting.take()
        if taken is not None:
            entry, chosen = taken
            folder = Path(entry.folder)
            self._run(partial(jobs.train, folder, chosen, entry.name), folder)

    def _on_resume(self) -> None:
        run = self._summary()
        if run is not None and not self.training:
            folder = Path(run.folder)
            record = self.shown
            own_process = bool(self.app_model.state.value("hardware.own_process"))
            self._run(partial(jobs.resume, run.run, own_process), folder, record)

    def _run(self, make: Any, folder: Path, record: RunRecord | None = None) -> None:
        job = Job("train", make)
        self._job = job
        self._stopping = False
        self.live = record or RunRecord()
        self._live_root = folder
        job.events.connect(self._on_events)
        job.failed.connect(self._on_failed)
        job.ended.connect(self._on_ended)
        self._show(self.live, folder)
        self.tabs.choose("strips")
        self.app_model.lanes.compute.submit(job)
        self.refresh()

    def _on_events(self, events: list[Event]) -> None:
        before = self.live.started
        self.live.feed(events)
        if self.live.started is not before and self.live.started is not None:
            self.waiting.begun()
            self.app_model.state.set("run", self.live.started.run)
            self.app_model.read_runs()
        if (
            any(isinstance(e, Finished) for e in events)
            and self.shown is self.live
            and self.live.result.measured
        ):
            self.tabs.choose("result")
        if self.isVisible():
            self.refresh()

    def _on_failed(self, error: Exception) -> None:
        self.app_model.report(error)
        self.waiting.failed(error)

    def _on_ended(self) -> None:
        stopped = self._job is not None and self._job.control.stopping
        self.waiting.ended(stopped=stopped)
        self.app_model.read_runs()
        self._begin_next()
        self.refresh()

    def _on_pause(self) -> None:
        if self._job is None:
            return
        self._job.control.toggle()
        self.refresh()

    def _on_stop(self) -> None:
        if self._job is not None:
            self._stopping = True
            self._job.stop()
            self._on_buttons()

    def _on_evaluate(self) -> None:
        if self._job is not None:
            self._job.control.evaluate_now()

    # Which run

    def _summary(self) -> RunSummary | None:
        chosen = self.runs.value()
        return next((run for run in self.app_model.runs if run.run == chosen), None)

    def _on_runs(self) -> None:
        self.runs.show_runs(self.app_model.runs, self.app_model.state.folder)
        wanted = self.app_model.state.get("run")
        if wanted and self.runs.findData(wanted) >= 0:
            self.runs.set_value(wanted)
        nothing = self.shown.version == 0 and not self.training
        if nothing and self._summary() is not None:
            self._replay()
        self.refresh()

    def _on_run_chosen(self) -> None:
        self.app_model.state.set("run", self.runs.value())

    def _on_state(self, what: str) -> None:
        if what in ("run", "folder") and not self.training:
            self._on_run_wanted()
        if what in ("draft", "preset"):
            self._on_buttons()

    def _on_run_wanted(self) -> None:
        """Shows what is wanted now: a run, or that there is none of this collection."""
        self.runs.show_runs(self.app_model.runs, self.app_model.state.folder)
        if not self.app_model.state.get("run"):
            self.runs.set_value(self.app_model.newest(self.app_model.runs))
        if self.runs.value():
            self._replay()
        else:
            self._show(RunRecord(), Path())

    def _replay(self) -> None:
        """Shows the chosen run: the live one as it is, an old one from its recorded events."""
        wanted = self.app_model.state.get("run") or self.runs.value()
        if self.live.started is not None and self.live.started.run == wanted:
            self._show(self.live, self._live_root)
            return
        if not any(run.run == wanted for run in self.app_model.runs):
            return
        self.runs.set_value(wanted)
        record = RunRecord()
        job = Job("replay", partial(jobs.replay, wanted))
        job.events.connect(partial(self._on_replayed, record))
        job.failed.connect(self.app_model.report)
        folder = next((r.folder for r in self.app_model.runs if r.run == wanted), "")
        self._show(record, Path(folder))
        self.app_model.lanes.files.replace(job)

    def _on_replayed(self, record: RunRecord, events: list[Event]) -> None:
        record.feed(events)
        if record is self.shown:
            if record.result.measured:
                self.tabs.choose("result")
            self.refresh()

    def _show(self, record: RunRecord, root: Path) -> None:
        self.shown = record
        self._root = root
        self.refresh()

    def _on_deleted(self) -> None:
        self.app_model.state.set("run", "")
        self._show(RunRecord(), Path())
        self.app_model.read_runs()

    # Drawing

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        if not self.training:
            self.app_model.get_trainer_ready()
        self.refresh()

    def views(self) -> tuple[Tabs, ...]:
        """The tabs of the page, for pictures of all of it."""
        return (self.tabs,)

    def landmark(self) -> QWidget:
        """What a newcomer is pointed to here: how far it is, then what came of it."""
        return self.result.verdict if self.result.isVisible() else self.view.bar

    def beside_landmark(self) -> tuple[QWidget, ...]:
        """What is to be seen together with it."""
        return (self.result.questions,) if self.result.isVisible() else ()

    @property
    def compared(self) -> bool:
        """Whether the training that is shown here has ended with a comparison."""
        return self.shown.result.measured

    def retranslate(self) -> None:
        """Numbers and units in the current language."""
        self.refresh()

    def refresh(self) -> None:
        """Draws what is new of the shown run."""
        self._on_buttons()
        record = self.shown
        anything = record.version > 0 or self.training or bool(self.app_model.runs)
        self.stack.setCurrentIndex(1 if anything else 0)
        paused = self._job is not None and self._job.control.paused
        working = self.training and record is self.live
        doing = ("paused" if paused else "working" if record.phase else "starting") if working else ""
        self.view.draw(record, self._root, doing)

    def _on_buttons(self) -> None:
        running, shown_live = self.training, self.shown is self.live and self.training
        paused = self._job is not None and self._job.control.paused
        for button in (self.evaluate, self.pause, self.stop):
            button.setVisible(shown_live)
        self.another.setVisible(running)
        self.pause.say(N_("Go on") if paused else N_("Pause"))
        self.pause.set_icon("play" if paused else "pause")
        self.stop.setEnabled(not self._stopping)
        self.pause.setEnabled(not self._stopping)
        checked = bool(self.live.checks)  # by folds there is nothing to evaluate before the end
        self.evaluate.setEnabled(not self._stopping and not paused and checked)
        self.stop.say(N_("Stopping…") if self._stopping else N_("Stop"))
        summary = self._summary()
        status = summary.status if summary else ""
        self.resume.setVisible(not running and status in ("interrupted", "stopped", "failed"))
        self.search.setVisible(not running and bool(summary and summary.result and summary.result.measured))
        self.start.setVisible(not running)
        self.runs.setVisible(bool(self.app_model.runs))
        self.more.setVisible(summary is not None)
        app_model = self.app_model
        problems = settings.check(app_model.state.values())
        ready = app_model.split is not None and not problems
        for button in (self.start, self.another, self.begin_here):
            button.setEnabled(ready)
        self.empty.teach(
            N_("Some settings need attention first.")
            if problems
            else N_(
                "Training starts with the settings as chosen; loss and retrieval on drawings not learned from appear here live."
            )
        )
        self._say_plan(summary)

    def _say_plan(self, summary: RunSummary | None) -> None:
        """The settings of the shown run in one line; of a damaged one what is wrong with it."""
        if summary is not None and summary.status == "damaged":
            self.plan.show_literal(paths.shown(summary.error))
            return
        values = summary.settings if summary else {}
        if not values or (self.shown is self.live and self.training and self.live.started is None):
            values = self.app_model.state.values()
        self.plan.show_literal(plan_words(values, self._root))
