"""What the pages share: the state, the lanes, the open collection, and the way to say that something went wrong."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, QTimer, Signal
from PySide6.QtWidgets import QFileDialog, QWidget

from clip_atelier.engine import settings
from clip_atelier.engine.core import Event, UserError, _, original, paths
from clip_atelier.gui import jobs
from clip_atelier.gui.parts import leaving
from clip_atelier.gui.parts.pictures import PictureStore
from clip_atelier.gui.parts.run_choice import trained_on
from clip_atelier.gui.strength import Strength
from clip_atelier.gui.workers import Job, Lanes

if TYPE_CHECKING:
    from clip_atelier.engine.data import Collection, Split
    from clip_atelier.engine.runs import RunSummary
    from clip_atelier.gui.state import WindowState
    from clip_atelier.gui.theme import Theme


class AppModel(QObject):
    """The table that everything lies on. Passed to each page; owns the open collection.

    `collection` is None while none is open or the first scan goes on; `split` is None where it cannot be split, and
    `split_error` then says why.
    """

    scanning = Signal(object)  # a list of events
    collection_changed = Signal()
    trouble = Signal(object)  # an exception to be told
    news = Signal(str, str)  # something done, and what to do next; in the user's language
    undoable = Signal(str, str, object)  # the same, and a call that takes back what was done
    page_wanted = Signal(str)
    runs_changed = Signal()
    asked_to_train = Signal()
    asked_to_find = Signal(str)  # a picture's path
    asked_for_common = Signal(object)  # pictures' paths: what they have in common is searched for
    asked_for_captions = Signal(object)  # paths below the folder: their captions are to be edited
    asked_for_words = Signal(str)  # to be searched for
    deleted = Signal(object)  # a list of what was put into the trash
    restored = Signal(object)  # the kinds of what was taken out again
    taken_in = Signal(object)  # what drawings were cut out of pages, and where they are
    paused_changed = Signal()  # work was paused, or goes on, without anybody having pressed the button
    words_taught = Signal(str)  # a run's own words changed; its id
    guide_wanted = Signal()  # to be shown around

    def __init__(self, state: WindowState, lanes: Lanes, theme: Theme) -> None:
        super().__init__()
        self.state = state
        self.lanes = lanes
        self.theme = theme
        self.store = PictureStore(lanes.pictures, self)
        self.collection: Collection | None = None
        self.split: Split | None = None
        self.split_error: UserError | None = None
        self.scan_error: Exception | None = None
        self.scan_job: Job | None = None
        self._warm = False
        self.readings = 0  # how often a folder was read
        self.asked_before_leaving: list[
            Callable[[QWidget], bool]
        ] = []  # each may keep the window from closing
        self.runs: list[RunSummary] = []
        self.show_selected = leaving.show_selected
        self.open_in_manager = leaving.open_folder
        self._scanned_with: list[Any] = []
        self._again = QTimer(self)
        self._again.setSingleShot(True)
        self._again.setInterval(800)
        self._again.timeout.connect(self._rescan_if_other)
        state.changed.connect(self._on_state)
        self.strength = Strength(self, self)

    @property
    def home(self) -> Path:
        """HOME."""
        return self.state.home

    @property
    def part_of(self) -> dict[int, str]:
        """Item index -> part of the split."""
        if self.split is None:
            return {}
        parts = {"train": self.split.train, "validation": self.split.validation, "test": self.split.test}
        return {index: name for name, indices in parts.items() for index in indices}

    def open_folder(self, folder: str | Path) -> None:
        """Makes a folder the collection and reads it."""
        # fspath and not Qt's string: an undecodable byte of the name must survive.
        self.state.open_folder(str(folder))
        self.collection = None
        self.split = None
        self.scan_error = None
        self.collection_changed.emit()
        self.rescan()

    def forget_folder(self) -> None:
        """Closes the open collection, which is about to go; the window is as it was before any was opened."""
        self.lanes.reading.stop_all()
        self.scan_job = None
        self.collection = None
        self.split = None
        self.split_error = None
        self.scan_error = None
        self.state.forget_folder(self.state.folder)
        self.collection_changed.emit()

    def ask_for_folder(self, parent: QWidget) -> None:
        """Lets the user choose a folder and opens it."""
        start = self.state.folder or str(Path.home())
        chosen = QFileDialog.getExistingDirectory(parent, _("Open a folder of drawings"), start)
        if chosen:
            self.open_folder(chosen)
            self.page_wanted.emit("collection")

    def open_sample(self) -> None:
        """Opens the bundled pairs."""
        self.open_folder(paths.sample_collection())

    def rescan(self) -> None:
        """Reads the folder again; only what changed is decoded."""
        folder = self.state.folder
        if not folder:
            return
        self.scan_error = None
        values = self.state.values()
        self._scanned_with = [values[name] for name in settings.affecting("scan", "split")]
        job = Job("scan", partial(jobs.read_folder, Path(folder), values))
        job.events.connect(self._on_events)
        job.done.connect(self._on_scanned)
        job.failed.connect(partial(self._on_failed, job))
        job.ended.connect(self.collection_changed)
        self.scan_job = job
        self.lanes.reading.replace(job)
        self.collection_changed.emit()

    def add_model(self, pack: Path) -> None:
        """Brings a model from a pack into the home and chooses it."""
        job = Job("model", partial(jobs.add_model, pack))
        job.done.connect(self._on_model_added)
        job.failed.connect(self.report)
        self.lanes.files.submit(job)

    def _on_model_added(self, name: str) -> None:
        self.state.set_value("model.name", name)
        self.page_wanted.emit("settings")

    def add_run(self, pack: Path) -> None:
        """Brings a run from a pack into the home and shows it."""
        job = Job("run", partial(jobs.add_run, pack))
        job.done.connect(self._on_run_added)
        job.failed.connect(self.report)
        self.lanes.files.submit(job)

    def _on_run_added(self, run: str) -> None:
        self.state.set("run", run)
        self.page_wanted.emit("training")
        self.read_runs()

    def may_leave(self, parent: QWidget) -> bool:
        """Asks about what is unsaved; whether the window may close."""
        return all(ask(parent) for ask in self.asked_before_leaving)

    @property
    def usable_runs(self) -> list[RunSummary]:
        """The runs that left an update to look at."""
        return [
            r for r in self.runs if (r.result and r.result.measured) or r.status in ("stopped", "interrupted")
        ]

    def read_runs(self) -> None:
        """Reads the list of runs from disk; `runs_changed` tells when `runs` is new."""
        job = Job("runs", lambda tools, _control: jobs.list_runs(tools.home))
        job.done.connect(self._on_runs)
        job.failed.connect(self.report)
        self.lanes.files.replace(job)

    def _on_runs(self, runs: list[RunSummary]) -> None:
        self.runs = runs
        self.runs_changed.emit()

    def warm_up(self) -> None:
        """Has the learning libraries loaded beside the window, so that the first run or search need not wait."""
        if not self._warm:
            self._warm = True
            self.lanes.compute.submit(Job("warm", jobs.warm_up, idle=True))

    def get_trainer_ready(self) -> None:
        """Has the process of the next training start, where there is a folder to train on and memory for it."""
        if self.lanes.ahead and self.state.folder and self.state.value("hardware.own_process"):
            self.lanes.compute.replace(Job("trainer", jobs.get_trainer_ready, idle=True))

    def reveal(self, path: Path) -> None:
        """Shows a file in the file manager, selected; its folder where no file manager takes a selection."""
        path = original(path)
        words = leaving.command(sys.platform, path)
        job = Job("reveal", lambda _tools, _control: jobs.at_once(lambda: self.show_selected(words)))
        job.done.connect(lambda shown: None if shown else self.open_in_manager(path.parent))
        job.failed.connect(self.report)
        self.lanes.files.submit(job)

    def report(self, error: Exception) -> None:
        """Tells the user what went wrong, wherever it happened."""
        self.trouble.emit(error)

    def find_common(self, files: Sequence[Path]) -> None:
        """Opens the Search page on what pictures have in common."""
        self.page_wanted.emit("search")
        self.asked_for_common.emit(files)

    def edit_captions(self, paths_wanted: Sequence[str]) -> None:
        """Opens the captions of some drawings."""
        self.page_wanted.emit("collection")
        self.asked_for_captions.emit(paths_wanted)

    def newest(self, runs: Sequence[RunSummary]) -> str:
        """The newest of these runs that was trained on the open collection; empty where there is none."""
        return next((run.run for run in reversed(runs) if trained_on(run, self.state.folder)), "")

    def _on_state(self, what: str) -> None:
        if what == "folder":
            # What is shown of a run is of the open collection, until another one is chosen by hand.
            now = next((run for run in self.runs if run.run == self.state.get("run")), None)
            if now is None or not trained_on(now, self.state.folder):
                self.state.set("run", self.newest(self.runs))
        if what in ("draft", "preset") and self.state.folder:
            self._again.start()

    def _rescan_if_other(self) -> None:
        """Captions and split follow the form; the pictures themselves are not decoded again."""
        values = self.state.values()
        now = [values[name] for name in settings.affecting("scan", "split")]
        if now != self._scanned_with and not settings.check(values):
            self.rescan()

    def _on_events(self, events: list[Event]) -> None:
        self.scanning.emit(events)

    def _on_scanned(self, found: tuple[Collection, Split | None, UserError | None]) -> None:
        self.readings += 1
        if str(found[0].root) == str(Path(self.state.folder)):
            self.collection, self.split, self.split_error = found

    def _on_failed(self, job: Job, error: Exception) -> None:
        if job is not self.scan_job:  # another folder was opened meanwhile, or none is open any more
            return
        self.collection = None
        self.split = None
        self.scan_error = error
