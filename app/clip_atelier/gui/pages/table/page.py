"""The Table page: every run with what it did for retrieval, and the grid that fills the table."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QPoint
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QFrame, QMenu, QStackedWidget, QWidget

from clip_atelier.engine.core import N_
from clip_atelier.gui import theme
from clip_atelier.gui.jobs import delete_runs
from clip_atelier.gui.pages.table import heatmap, jobs
from clip_atelier.gui.pages.table.export import Exports, Written
from clip_atelier.gui.pages.table.fill import Empty, FillPanel
from clip_atelier.gui.pages.table.halves import Halves, make_room
from clip_atelier.gui.pages.table.heatmap import HeatMap
from clip_atelier.gui.pages.table.jobs import Request, Stand
from clip_atelier.gui.pages.table.labels import Labels
from clip_atelier.gui.pages.table.narrowing import Narrowing
from clip_atelier.gui.pages.table.overlay import MOST, Overlay
from clip_atelier.gui.pages.table.queue import QueueCard
from clip_atelier.gui.pages.table.run import RunPane
from clip_atelier.gui.pages.table.view import TableView
from clip_atelier.gui.parts.delete_question import may_delete
from clip_atelier.gui.parts.table_model import run_title, told_apart
from clip_atelier.gui.widgets.inputs import Choice
from clip_atelier.gui.widgets.layout import TwoEnds, box, card, column, row_box, scrolled
from clip_atelier.gui.widgets.tabs import Tabs
from clip_atelier.gui.widgets.text import Button, Label, SpokenName
from clip_atelier.gui.workers import Job

if TYPE_CHECKING:
    from clip_atelier.engine.core import Check
    from clip_atelier.engine.evaluation import Row
    from clip_atelier.engine.experiments import Unfinished
    from clip_atelier.gui.app_model import AppModel

_BLANK, _EMPTY, _TABLE, _FILL = range(4)


def make(app_model: AppModel) -> QWidget:
    """The page."""
    return TablePage(app_model)


class TablePage(QWidget):
    """All of it."""

    def __init__(self, app_model: AppModel) -> None:
        super().__init__()
        self.app_model = app_model
        self.stand = self._whole = Stand()
        self._known = False
        self._marks: dict[str, dict[str, Any]] = {}
        self._checks: dict[str, list[Check]] = {}
        self.task = Choice({})
        SpokenName(self.task, N_("Question"))
        self.measure = Choice({"R@1": ""})
        SpokenName(self.measure, N_("Measure"))
        self.measure.setMaximumWidth(250)
        self.columns = Button(N_("Columns"), "plain", "sliders-horizontal")
        self.written = Written(app_model)
        self.export = Exports(app_model, self._to_write, self.written)
        self.fill = Button(N_("Fill the table"), "primary", "layers")
        self.queue = QueueCard()
        self.narrowing = Narrowing()
        self.summary = Label(role="muted", wrap=True)
        self.view = TableView(app_model.state)
        SpokenName(self.view, N_("Table"))
        self.run = RunPane()
        self.heat = HeatMap()
        self.heat_note = Label(role="caption", wrap=True)
        self.overlay = Overlay()
        self.empty = Empty(app_model)
        self.panel = FillPanel(app_model)
        menu = QMenu(self)
        menu.aboutToShow.connect(lambda: self.view.fill_columns_menu(menu))
        self.view.columns_changed.connect(self._mark)
        self.columns.setMenu(menu)
        self._lay_out()
        self._connect()
        self.refresh()

    def _lay_out(self) -> None:
        self.tabs = Tabs()
        self.tabs.add("run", N_("Verdict"), self.run)
        self.tabs.add("heat", N_("Heat map"), scrolled(box(self.heat_note, theme.S, self.heat, None)))
        self.tabs.add("curves", N_("Curves"), self.overlay)
        framed = card(self.view, margin=1)
        lower = QFrame()
        lower_layout = column(theme.S, self.tabs, gap=0)
        lower_layout.setStretch(1, 1)
        lower.setLayout(lower_layout)
        self.labels = Labels(self.app_model, self)
        self.split = Halves(self.app_model.state, framed, self.view, lower)
        full = QWidget()
        whole = column(self.narrowing, self.summary, self.split, gap=theme.S)
        whole.setStretch(2, 1)
        full.setLayout(whole)
        self.stack = QStackedWidget()
        wide = row_box(self.panel, None)
        wide.layout().setStretch(0, 1000)  # type: ignore[union-attr]
        for view in (QWidget(), self.empty, full, scrolled(wide)):
            self.stack.addWidget(view)
        title = row_box(Label(N_("Table"), "title"), theme.S)
        asked = row_box(title, self.task, self.measure, None)
        self.top = TwoEnds(asked, row_box(self.columns, self.export, self.fill, None))
        layout = column(self.top, self.queue, self.written, self.stack)
        layout.setStretch(3, 1)
        self.setLayout(layout)
        make_room(self, title)

    def _connect(self) -> None:
        app_model = self.app_model
        self.fill.clicked.connect(self.open_panel)
        self.empty.fill.clicked.connect(self.open_panel)
        self.panel.asked.connect(self._on_asked)
        self.panel.closed.connect(self._close_panel)
        self.queue.go_on.connect(self._on_go_on)
        self.queue.leave.connect(self._on_leave)
        self.queue.news.connect(app_model.read_runs)
        app_model.paused_changed.connect(self.queue.refresh)
        self.task.edited.connect(self._on_direction)
        self.measure.edited.connect(self._on_measure)
        self.view.chosen.connect(self._on_chosen)
        self.view.opened.connect(lambda: self._to_training(self.view.runs()[0]) if self.view.runs() else None)
        self.view.menu_wanted.connect(self._on_menu)
        self.view.delete_wanted.connect(self._on_delete_key)
        self.heat.chosen.connect(self._on_heat)
        self.tabs.changed.connect(lambda _name: self._read_checks())
        self.run.training.connect(self._to_training)
        self.run.search.connect(partial(self._to_training, page="search"))
        self.run.adopt.connect(self._adopt)
        self.run.reveal.connect(lambda run: app_model.reveal(app_model.home / "runs" / run / "run.json"))
        self.run.delete.connect(self._delete)
        self.run.label.connect(self.labels.edit)
        self.run.archive.connect(self.labels.archive)
        self.run.compare.connect(self.labels.compare)
        self.narrowing.changed.connect(lambda: self._on_read(self._whole))
        app_model.restored.connect(lambda kinds: self.read() if "table" in kinds else None)
        app_model.runs_changed.connect(self.read)
        app_model.collection_changed.connect(self.panel.refresh)
        app_model.state.changed.connect(self._on_state)

    # What is on disk

    def read(self) -> None:
        """Reads all runs and unfinished grids again."""
        job = Job("rows", jobs.read)
        job.done.connect(self._on_read)
        job.failed.connect(self.app_model.report)
        self.app_model.lanes.files.replace(job)

    def _on_read(self, stand: Stand) -> None:
        self._whole = stand
        self.narrowing.offer(stand.rows)
        self.stand = Stand(self.narrowing.kept(stand.rows), stand.unfinished)
        self._known = True
        kept = {row.run for row in stand.rows}
        self._checks = {run: checks for run, checks in self._checks.items() if run in kept}
        self.queue.offer(stand.unfinished)
        self._offer_measures()
        self.refresh()
        if not self.view.runs() and self.view.table.rows:
            self.view.choose([self.view.table.rows[0].run])
        self._mark()

    def _mark(self) -> None:
        shown = [column.name for column in self.view.table.columns if column.kind == "metric"]
        keys = dict.fromkeys([self.key, *shown])
        job = Job("marks", partial(jobs.mark, self.stand.rows, list(keys)))
        job.done.connect(self._on_marked)
        job.failed.connect(self.app_model.report)
        self.app_model.lanes.files.replace(job)

    def _on_marked(self, marks: dict[str, dict[str, Any]]) -> None:
        self._marks = marks
        self.view.table.show_marks(marks)
        self._draw()

    def _read_checks(self) -> None:
        """Reads the curves of the chosen runs that are not known yet, where they are to be seen."""
        if self.tabs.current != "curves":
            return
        done = {row.run for row in self.stand.rows if row.status != "running"}
        wanted = [run for run in self.view.runs()[:MOST] if run not in self._checks or run not in done]
        if not wanted:
            self._draw_curves()
            return
        job = Job("curves", partial(jobs.checks, wanted))
        job.done.connect(self._on_checks)
        job.failed.connect(self.app_model.report)
        self.app_model.lanes.files.replace(job)

    def _on_checks(self, found: dict[str, list[Check]]) -> None:
        self._checks.update(found)
        self._draw_curves()

    # The measure

    @property
    def key(self) -> str:
        """The measure in force: task/metric."""
        return f"{self.task.value()}/{self.measure.value()}"

    def _offer_measures(self) -> None:
        from clip_atelier.engine.evaluation import METRICS, TASKS, comparison

        keys = comparison.keys(self.stand.rows)
        directions = dict.fromkeys(key.rpartition("/")[0] for key in keys)
        newest = next((row.primary_metric for row in reversed(self.stand.rows) if row.primary_metric), "")
        wanted = self.app_model.state.view("table.direction", "") or newest.rpartition("/")[0]
        self.task.renew({name: TASKS[name] for name in TASKS if name in directions})
        self.task.set_value(wanted if wanted in directions else next(iter(directions), ""))
        names = dict.fromkeys(key.rpartition("/")[2] for key in keys)
        metric = self.app_model.state.view("table.metric", "R@1")
        self.measure.renew({name: METRICS[name].title if name in METRICS else "" for name in names})
        self.measure.set_value(metric if metric in names else next(iter(names), ""))

    def _on_direction(self) -> None:
        self.app_model.state.set_view("table.direction", self.task.value())
        self.refresh()
        self._mark()

    def _on_measure(self) -> None:
        self.app_model.state.set_view("table.metric", self.measure.value())
        self._draw()
        self._draw_curves()
        self._mark()

    # Filling

    def open_panel(self) -> None:
        """Shows what can be filled in."""
        self.panel.refresh()
        self.stack.setCurrentIndex(_FILL)
        self._show_parts()

    def _close_panel(self) -> None:
        self._show_table()
        self._show_parts()

    def _on_asked(self, request: Request) -> None:
        self._close_panel()
        job = Job("grid", partial(jobs.fill, request))
        job.failed.connect(self.app_model.report)
        job.ended.connect(self._on_filled)
        self.queue.follow(job)
        self.app_model.lanes.compute.submit(job)
        self._show_parts()

    def _on_filled(self) -> None:
        self._show_parts()
        self.app_model.read_runs()

    def _on_go_on(self, unfinished: Unfinished) -> None:
        grid = unfinished.grid
        self._on_asked(Request(grid.folder, grid.values, grid.vary, grid.seeds, grid.preset))

    def _on_leave(self, unfinished: Unfinished) -> None:
        job = Job("forget", partial(jobs.forget, unfinished.id))
        job.done.connect(lambda _entries: self.read())
        job.done.connect(self.app_model.deleted)
        job.failed.connect(self.app_model.report)
        self.app_model.lanes.files.submit(job)

    # Chosen runs

    def _rows(self) -> list[Row]:
        by_run = {row.run: row for row in self.stand.rows}
        return [by_run[run] for run in self.view.runs() if run in by_run]

    def _on_chosen(self) -> None:
        self.run.show_rows(self._rows())
        self.heat.show_chosen(self.view.runs())
        self._draw_heat()
        self._read_checks()

    def _on_heat(self, runs: list[str]) -> None:
        self.view.choose(runs)

    def _on_menu(self, at: QPoint) -> None:
        menu = QMenu(self)
        self.run.add_actions(menu)
        if not menu.isEmpty():
            menu.popup(self.view.viewport().mapToGlobal(at))

    def _on_delete_key(self) -> None:
        rows = self._rows()
        if rows and all(row.status != "running" for row in rows):
            self._delete([row.run for row in rows])

    def _to_training(self, run: str, page: str = "training") -> None:
        self.app_model.state.set("run", run)
        self.app_model.page_wanted.emit(page)

    def _adopt(self, run: str) -> None:
        row = next(row for row in self.stand.rows if row.run == run)
        self.app_model.state.adopt(row.settings)
        self.app_model.page_wanted.emit("settings")

    def _delete(self, runs: Sequence[str]) -> None:
        names = [run_title(row) for row in self.stand.rows if row.run in runs]
        from clip_atelier.engine.runs import run_warning

        if may_delete(self, names, run_warning(runs, self.app_model.runs)):
            job = Job("delete", partial(delete_runs, list(runs)))
            job.failed.connect(self.app_model.report)
            job.done.connect(self.app_model.deleted)
            job.ended.connect(self.app_model.read_runs)
            self.app_model.lanes.files.submit(job)

    def _to_write(self) -> list[Row]:
        """The chosen rows, or all of them where fewer than two are chosen."""
        return self._rows() if len(self.view.runs()) > 1 else list(self.view.table.rows)

    # Drawing

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self.read()

    def _on_state(self, what: str) -> None:
        if what in ("draft", "preset", "folder"):
            self.panel.refresh()

    def views(self) -> tuple[Tabs, ...]:
        """The tabs of the page, for pictures of all of it."""
        return (self.tabs,)

    def retranslate(self) -> None:
        """Painted words and titles in the current language."""
        self.refresh()

    def refresh(self) -> None:
        """Draws the rows."""
        rows = self.stand.rows
        self.view.show_rows(rows, self.task.value())
        self.split.share()
        self.run.show_rows(self._rows())
        if self.stack.currentIndex() != _FILL:
            self._show_table()
        self._show_parts()
        self._draw()
        self._read_checks()

    def _show_table(self) -> None:
        self.stack.setCurrentIndex(_TABLE if self._whole.rows else _EMPTY if self._known else _BLANK)

    def _show_parts(self) -> None:
        self.top.setVisible(self.stack.currentIndex() == _TABLE)
        for part in (self.task, self.measure):
            part.setVisible(part.count() > 0)
        busy = self.queue.filling
        self.fill.setEnabled(not busy)
        self.empty.fill.setEnabled(not busy)

    def _draw(self) -> None:
        self.run.show_metric(self.measure.value())
        self._summarise()
        self._draw_heat()

    def _summarise(self) -> None:
        from clip_atelier.engine.evaluation import comparison

        marks = self._marks.get(self.key)
        self.summary.show_literal(
            "" if marks is None else comparison.conclusion(self.stand.rows, self.key, marks)
        )

    def _draw_heat(self) -> None:
        rows = self.stand.rows
        chosen = self._rows()
        like = chosen[0] if chosen else next((row for row in reversed(rows) if row.measured), None)
        alike = [] if like is None else heatmap.comparable(rows, like)
        left_out = sum(row.measured for row in rows) - sum(row.measured for row in alike)
        marked = {run for run, mark in self._marks.get(self.key, {}).items() if mark == "best"}
        shown = heatmap.panels(alike, self.key, marked)
        self.heat.show_panels(shown)
        self.heat_note.say(
            N_("Difference to the untouched base, below it the adapted value. Blue helped, orange harmed; pale and plain: "
               "the interval does not exclude chance. All else is held equal, as in “{run}”; left out because they differ: {count}.")
            if shown
            else N_("The heat map appears when LoRA trainings of this collection are finished."),
            run=run_title(like) if like is not None else "", count=left_out,
        )  # fmt: skip

    def _draw_curves(self) -> None:
        rows = self._rows()
        shown = [
            (name, self._checks.get(row.run, [])) for name, row in zip(told_apart(rows), rows, strict=True)
        ]
        self.overlay.show_checks(shown, self.key)
