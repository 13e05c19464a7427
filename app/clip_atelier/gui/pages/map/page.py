"""The Map page: t-SNE of the collection before and after the adaptation, and how far to trust it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QPoint, Qt, QTimer
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QMenu, QStackedWidget, QWidget

from clip_atelier.engine.analysis import FolderMap, Measured, Subject, state_of
from clip_atelier.engine.core import N_, Event, Preview, _
from clip_atelier.gui import theme
from clip_atelier.gui.pages.map.points import MapData
from clip_atelier.gui.pages.map.saving import Saving
from clip_atelier.gui.pages.map.scatter import Mask, Scatter
from clip_atelier.gui.pages.map.scatter_bar import ScatterBar
from clip_atelier.gui.pages.map.side import Side
from clip_atelier.gui.parts import measuring
from clip_atelier.gui.parts.beginning import Beginning
from clip_atelier.gui.parts.measurement import Measurement
from clip_atelier.gui.parts.pictures import Tile
from clip_atelier.gui.parts.run_choice import RunChoice
from clip_atelier.gui.parts.strength_dial import StrengthDial, StrengthLine
from clip_atelier.gui.widgets.inputs import Choice, Number, describe
from clip_atelier.gui.widgets.layout import card, column, row
from clip_atelier.gui.widgets.text import Button, Label, SpokenName
from clip_atelier.gui.workers import Job

if TYPE_CHECKING:
    from clip_atelier.gui.app_model import AppModel

_SIDE = 292
_QUICK = 1_000  # points that are placed anew within a second or two
_REST_MS = 700  # how long the dial rests before a larger map follows
_USUAL = 30.0
_PERPLEXITY = N_(
    "About how many neighbours each image attends to. Small numbers (5) show tight groups, large ones (50) the broad "
    "shape. 30 is usual."
)

_ABOUT = N_(
    "A map puts images close together that the model takes for alike. It is drawn before and after the "
    "adaptation, with a control that shows how much of the motion is chance."
)


def make(app_model: AppModel) -> QWidget:
    """The page."""
    return MapPage(app_model)


class MapPage(QWidget):
    """All of it."""

    def __init__(self, app_model: AppModel) -> None:
        super().__init__()
        self.app_model = app_model
        self.result: FolderMap | None = None  # what is shown, maybe unfinished
        self._finished: FolderMap | None = None
        self._measured_at = 0.0
        self.data: MapData | None = None
        self.subject: Subject | None = None
        self.job: Job | None = None  # draws a map, or places one at another strength
        self._given_up = False  # whether the user stopped it from following the dial
        self.resting = QTimer(self)
        self.resting.setSingleShot(True)
        self.resting.setInterval(_REST_MS)
        self.resting.timeout.connect(self._follow)

        self.runs = RunChoice({"": N_("Base model only")})
        SpokenName(self.runs, N_("Training"))
        self.runs.setMinimumWidth(250)
        self.perplexity = Number(minimum=2, maximum=100, step=5)
        SpokenName(self.perplexity, N_("Perplexity"))
        self.perplexity.set_value(app_model.state.view("map.perplexity", _USUAL))
        self.perplexity.setFixedWidth(88)
        self.measurement = Measurement(N_("Draw the map"), "map")
        top = row(
            Label(N_("Training"), "muted"), self.runs, theme.M, Label(N_("Perplexity"), "muted"), self.perplexity,
            self.measurement,
        )  # fmt: skip
        top.setStretch(5, 1)
        self.dial = StrengthDial(app_model)
        self.worth = StrengthLine(app_model)
        self.behind = Label(role="muted")
        strength = row(self.dial, theme.M, self.behind, None)
        self.scatter = Scatter(app_model.store)
        self.bar = ScatterBar()
        self.colour = Choice({"none": ""})
        SpokenName(self.colour, N_("Colour"))
        self.colour.setMinimumWidth(150)
        self.saving = Saving(self)
        self.export = Button("", "icon", "download", tip=N_("Save the map"))
        menu = QMenu(self.export)
        menu.aboutToShow.connect(partial(self.saving.fill, menu))
        self.export.setMenu(menu)
        self.count = Label(role="muted")
        head = row(self.count, None, Label(N_("Colour"), "muted"), self.colour, self.export)
        drawn = card(head, self.scatter, self.bar, gap=theme.S, margin=theme.M)
        drawn.layout().setStretch(1, 1)  # type: ignore[union-attr]

        self.side = Side(app_model.store)
        self.reading, self.legend, self.list = self.side.reading, self.side.legend, self.side.list
        panel = card(self.side, margin=theme.M)
        panel.setFixedWidth(_SIDE)
        both = row(drawn, panel, gap=theme.L)
        both.setStretch(0, 1)
        whole = QWidget()
        whole.setLayout(both)

        empty = Beginning(app_model, "map")
        empty.teach(_ABOUT)
        self.stack = QStackedWidget()
        self.stack.addWidget(empty)
        self.stack.addWidget(whole)
        layout = column(
            top, Label(_PERPLEXITY, "caption", wrap=True), strength, self.worth, self.stack, gap=theme.S
        )
        layout.setStretch(4, 1)
        layout.setContentsMargins(theme.XL, theme.L, theme.XL, theme.L)
        self.setLayout(layout)
        self._connect()
        self._on_runs()
        app_model.read_runs()

    def _connect(self) -> None:
        app_model = self.app_model
        self.runs.edited.connect(self._on_run_chosen)
        self.perplexity.edited.connect(
            lambda: app_model.state.set_view("map.perplexity", self.perplexity.value())
        )
        self.measurement.wanted.connect(self.draw_map)
        self.measurement.stop.clicked.connect(self._give_up)
        app_model.strength.changed.connect(self._on_turned)
        self.colour.edited.connect(self._on_colour)
        self.legend.picked.connect(self._on_picked)
        self.bar.amount_changed.connect(self.scatter.set_amount)
        self.bar.arrows_changed.connect(self.scatter.set_arrows)
        self.bar.lasso_changed.connect(self.scatter.set_lasso)
        self.bar.fit_wanted.connect(self.scatter.fit)
        self.scatter.opened.connect(lambda index: self._find(self._path(index)))
        self.scatter.menu_wanted.connect(lambda index, at: self._menu(self._path(index), at))
        self.scatter.chosen.connect(self._on_selected)
        self.side.drop.clicked.connect(lambda: self.scatter.select(None))
        self.side.shown.connect(self.scatter.select)
        self.side.common_wanted.connect(app_model.find_common)
        self.side.captions_wanted.connect(app_model.edit_captions)
        self.list.opened.connect(lambda tile: self._find(tile.path))
        self.list.customContextMenuRequested.connect(self._list_menu)
        app_model.runs_changed.connect(self._on_runs)
        app_model.state.changed.connect(self._on_state)

    # What is mapped

    def _on_runs(self) -> None:
        usable = self.app_model.usable_runs
        self.runs.show_runs(usable)
        wanted = self.app_model.state.get("run") or (usable[-1].run if usable else "")
        if self.runs.findData(wanted) >= 0 and not self.app_model.state.view("map.base", False):
            self.runs.set_value(wanted)
        self._choose()

    def _on_run_chosen(self) -> None:
        run = self.runs.value()
        self.app_model.state.set_view("map.base", not run)
        if run:
            self.app_model.state.set("run", run)
        self._choose()

    def _on_state(self, what: str) -> None:
        if what == "run":
            self._on_runs()
        elif what in ("folder", "draft"):
            self._choose()

    def _choose(self) -> None:
        """Shows the last map of the folder and run that are chosen now."""
        folder, run, subject = self.app_model.state.folder, self.runs.value(), None
        if folder:
            summary = next((r for r in self.app_model.runs if r.run == run), None)
            model = "" if run else str(self.app_model.state.value("model.name"))
            subject = Subject("map", run, state_of(summary) if run else model, folder)
        self.measurement.start.setEnabled(subject is not None)
        for part in (self.dial, self.worth, self.behind):
            part.setVisible(self.app_model.strength.is_of(run))
        if subject == self.subject and subject is not None:
            return
        self.subject = subject
        self._finished = None
        self._show(None)
        if subject is not None:
            job = Job("kept-map", partial(measuring.read_kept, subject))
            job.done.connect(partial(self._on_result, subject))
            job.failed.connect(self.app_model.report)
            self.app_model.lanes.files.replace(job)

    def draw_map(self) -> None:
        """Starts t-SNE in the background."""
        perplexity = self.perplexity.value()
        if self.subject is not None and not self.measurement.busy:
            usable = isinstance(perplexity, int | float) and perplexity >= 1
            self._start(self.subject, float(perplexity) if usable else _USUAL)

    def _start(self, subject: Subject, perplexity: float) -> None:
        self._given_up = False
        strength = self.app_model.strength.value if subject.run else None
        job = Job("map", measuring.measure(subject, perplexity, strength))
        job.events.connect(partial(self._on_events, subject))
        job.done.connect(partial(self._on_result, subject))
        job.failed.connect(self._on_failed)
        job.ended.connect(lambda: self._on_ended(job))
        self.job = self.measurement.follow(job)
        self.app_model.lanes.compute.submit(job)
        self._say_behind()

    def _on_events(self, subject: Subject, events: list[Event]) -> None:
        pictures = [event.result for event in events if isinstance(event, Preview)]
        if pictures and subject == self.subject:
            self._show(pictures[-1])

    def _on_result(self, subject: Subject, found: Measured[FolderMap] | None) -> None:
        if subject != self.subject or (found is None and self.result is not None):
            return
        result = self._finished = found.result if found else None
        self._measured_at = found.measured_at if found else 0.0
        data = self.data
        if result is not None and data is not None and data.finished and data.same_images(result):
            self._move(result)
        else:
            self._show(result)
        self._keep_up()

    def _on_failed(self, error: Exception) -> None:
        self._given_up = True
        self.app_model.report(error)

    def _on_ended(self, job: Job) -> None:
        if job is self.job:
            self.job = None
            if self.data is not None and not self.data.finished:
                self._show(self._finished)
            self._keep_up()

    # Following the dial

    def _strays(self) -> bool:
        """Whether the map shows another strength than the dial."""
        strength, subject, result = self.app_model.strength, self.subject, self._finished
        if subject is None or result is None or not strength.is_of(subject.run):
            return False
        return bool(result.strength != strength.value)

    def _on_turned(self) -> None:
        self._given_up = False
        self._keep_up()

    def _keep_up(self) -> None:
        """Has the map follow the dial, one strength at a time.

        A small map is placed to its end first, so that the points keep moving while the dial is turned. A larger one
        waits until the dial rests.
        """
        if not self._strays() or self.data is None or len(self.data.points) <= _QUICK:
            self._follow()
            return
        if self.job is not None:
            self.job.stop()
        self.resting.start()

    def _follow(self) -> None:
        self.resting.stop()
        subject, result = self.subject, self.result
        if self._strays() and self.job is None and not self._given_up and self.isVisible():
            assert subject is not None
            assert result is not None
            self._start(subject, result.perplexity)
        self._say_behind()

    def _give_up(self) -> None:
        self._given_up = True

    def _say_behind(self) -> None:
        if self._strays() and self.result is not None:
            self.behind.say(
                N_("The map still shows strength {strength}."), strength=f"{self.result.strength:g}"
            )
        elif self.result is not None and self.result.run and self.result.strength == 0:
            self.behind.say(
                N_("This is the base's own map. Turn the strength up to see what the update does.")
            )
        else:
            self.behind.say("")

    def showEvent(self, event: QShowEvent) -> None:
        """The map follows a strength that was chosen on another page."""
        super().showEvent(event)
        self._keep_up()

    # Showing it

    def _show(self, result: FolderMap | None) -> None:
        self.result = result
        self.data = None if result is None else MapData(result)
        self.stack.setCurrentIndex(0 if result is None else 1)
        self.side.setCurrentIndex(0)
        if self.data is None or result is None:
            self.scatter.show_data(None)
            return
        adapted = self.data.adapted is not None
        self.bar.way.setVisible(adapted)
        self.scatter.show_data(self.data)
        self.bar.slider.setValue(self.bar.slider.maximum() if adapted else 0)
        ways = self.data.colourings
        self.colour.renew(ways)
        wanted = str(self.app_model.state.view("map.colour", "")) or next(iter(ways))
        self.colour.set_value(wanted if wanted in ways else next(iter(ways)))
        self._say()

    def _move(self, result: FolderMap) -> None:
        """Shows the same images at other places; what is looked at and chosen stays."""
        self.result, self.data = result, MapData(result)
        self.bar.way.setVisible(self.data.adapted is not None)
        self.scatter.go_to(self.data)
        self._say_scores()
        if self.colour.value() == "change":
            self._colour()

    def _say(self) -> None:
        """What the current language changes."""
        self._say_scores()
        describe(self.perplexity, _(_PERPLEXITY))
        self._colour()

    def _say_scores(self) -> None:
        if self.data is None or self.result is None:
            return
        self.count.say(N_("{count} images"), count=f"{len(self.data.points):,}")
        self.export.setEnabled(self.data.finished)
        self.side.offer(self.data)
        self.side.say(self.result, self._measured_at)

    def retranslate(self) -> None:
        """The map in the current language."""
        self._say()

    def _on_picked(self, entry: int | None) -> None:
        (self.scatter.choose if self.colour.value() == "group" else self.scatter.pick)(entry)

    def _on_colour(self) -> None:
        self.app_model.state.set_view("map.colour", self.colour.value())
        self._colour()

    def _colour(self) -> None:
        if self.data is not None:
            which, entries = self.data.coloured(self.colour.value())
            self.side.meant.setVisible(self.colour.value() == "change")
            self.scatter.set_colours(which, entries)
            counts = np.bincount(which, minlength=len(entries))
            self.legend.show_entries(entries, [int(n) for n in counts])

    def _on_selected(self, mask: Mask | None) -> None:
        data = self.data
        self.side.setCurrentIndex(0 if mask is None or data is None else 1)
        if mask is None or data is None:
            self.side.show_chosen([])
            return
        self.side.show_chosen(
            [Tile(data.path(n), data.title(n), data=n) for n in map(int, np.flatnonzero(mask))]
        )

    def save(self, out: Path) -> None:
        """Writes the map as it is seen (.png) or its points (.csv)."""
        self.saving.save(out)

    # Images

    def _path(self, index: int) -> Path:
        assert self.data is not None
        return self.data.path(index)

    def _find(self, path: Path) -> None:
        self.app_model.page_wanted.emit("search")
        self.app_model.asked_to_find.emit(str(path))

    def _menu(self, path: Path, at: QPoint) -> None:
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.addAction(_("Find similar"), lambda: self._find(path))
        menu.addAction(_("Open in the file manager"), lambda: self.app_model.reveal(path))
        menu.popup(at)

    def _list_menu(self, at: QPoint) -> None:
        index = self.list.indexAt(at)
        if index.isValid():
            self._menu(self.list.tiles.tile(index.row()).path, self.list.viewport().mapToGlobal(at))
