"""What can be done with one run besides looking at it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFileDialog, QMenu, QWidget

from clip_atelier.engine.core import N_, _, shown
from clip_atelier.gui.jobs import delete_runs
from clip_atelier.gui.pages.training import jobs
from clip_atelier.gui.parts.delete_question import may_delete
from clip_atelier.gui.workers import Job

if TYPE_CHECKING:
    from PySide6.QtGui import QImage

    from clip_atelier.engine.runs import RunSummary
    from clip_atelier.gui.app_model import AppModel

_EXPORTS = {
    "adapter": N_("Adapter for PEFT (a folder)…"),
    "merged": N_("Whole model for transformers (a folder)…"),
    "onnx": N_("ONNX encoders (a folder)…"),
    "open_clip": N_("Model for open_clip (a folder)…"),
    "embeddings": N_("Embeddings of its collection (a folder)…"),
    "code": N_("Python code (a file)…"),
    "csv": N_("Losses and metrics (a table)…"),
}
_SUFFIXES = {"code": ".py", "csv": ".csv"}
_CURVES = N_("Curves as a picture (PNG)…")


class RunMenu(QMenu):
    """Take its settings over, open its folders, export it, delete it.

    Args:
        app_model: The window's.
        chosen: The training it is about.
        drawn: Its curves as a picture.
        parent: The page.
    """

    deleted = Signal()

    def __init__(
        self,
        app_model: AppModel,
        chosen: Callable[[], RunSummary | None],
        drawn: Callable[[], QImage],
        parent: QWidget,
    ) -> None:
        super().__init__(parent)
        self._app_model = app_model
        self._chosen = chosen
        self._drawn = drawn
        self.aboutToShow.connect(self._fill)

    def _fill(self) -> None:
        self.clear()
        run = self._chosen()
        if run is None:
            return
        path = self._app_model.home / "runs" / run.run
        self.addAction(_("Train again with these settings"), partial(self._adopt, run))
        onward = self.addAction(_("Train on from it"), partial(self.train_on_from, run.run))
        onward.setEnabled(bool(run.result and run.result.strength))
        self.addAction(_("Open its folder"), partial(self._app_model.reveal, path / "run.json"))
        self.addAction(_("Open its collection"), partial(self._app_model.open_folder, run.folder))
        export = self.addMenu(_("Export"))
        for to, text in _EXPORTS.items():
            export.addAction(_(text), partial(self._ask_for_place, run, to))
            export.actions()[-1].setEnabled(bool(run.result))
        # What it learned until it was stopped can be drawn too.
        export.addAction(_(_CURVES), partial(self._ask_for_curves, run))
        self.addSeparator()
        delete = self.addAction(_("Delete this training…"), partial(self._ask_to_delete, run))
        delete.setEnabled(run.status != "running")

    def _adopt(self, run: RunSummary) -> None:
        self._app_model.state.adopt(run.settings)
        self._app_model.page_wanted.emit("settings")

    def _ask_for_place(self, run: RunSummary, to: str) -> None:
        name = f"{run.name or run.run}-{to}{_SUFFIXES.get(to, '')}"
        start = str(Path.home() / name)
        # The engine overwrites nothing, so there is nothing to confirm.
        option = QFileDialog.Option.DontConfirmOverwrite
        chosen, _kind = QFileDialog.getSaveFileName(
            self.parentWidget(), _(_EXPORTS[to]), start, options=option
        )
        if chosen:
            self.export(run.run, to, Path(chosen))

    def export(self, run: str, to: str, out: Path) -> None:
        """Writes a run for use elsewhere; tells where it lies."""
        job = Job("export", partial(jobs.export_run, run, to, out))
        self._follow(job, out)
        self._app_model.lanes.compute.submit(job)

    def _ask_for_curves(self, run: RunSummary) -> None:
        start = str(Path.home() / f"{run.name or run.run}-curves.png")
        chosen, _kind = QFileDialog.getSaveFileName(self.parentWidget(), _(_CURVES), start, "PNG (*.png)")
        if chosen:
            out = Path(chosen) if Path(chosen).suffix.lower() == ".png" else Path(chosen + ".png")
            self.export_curves(out)

    def export_curves(self, out: Path) -> None:
        """Writes the picture of the curves as they are drawn now."""
        job = Job("export", partial(jobs.export_picture, self._drawn(), out))
        self._follow(job, out)
        self._app_model.lanes.files.submit(job)

    def _follow(self, job: Job, out: Path) -> None:
        """Tells where what is written lies, or what went wrong."""
        job.failed.connect(self._app_model.report)
        job.done.connect(
            lambda _files: self._app_model.news.emit(
                _("Exported."), _("It is at {path}.").format(path=shown(out))
            )
        )

    def train_on_from(self, run: str) -> None:
        """Makes a model of the run, its update added to the weights, and chooses it for the next training."""
        job = Job("merge", partial(jobs.merge_run, run))
        job.failed.connect(self._app_model.report)
        job.done.connect(self._on_merged)
        self._app_model.lanes.compute.submit(job)

    def _on_merged(self, name: str) -> None:
        self._app_model.state.set_value("model.name", name)
        self._app_model.news.emit(
            _("The model “{name}” is at hand.").format(name=name),
            _("It is chosen for the next training: what that learns comes on top."),
        )
        self._app_model.page_wanted.emit("settings")

    def _ask_to_delete(self, run: RunSummary) -> None:
        from clip_atelier.engine.runs import run_warning

        warning = run_warning([run.run], self._app_model.runs)
        if may_delete(self.parentWidget(), [run.name or run.run], warning):
            self.delete(run.run)

    def delete(self, run: str) -> None:
        """Puts a run into the trash."""
        job = Job("delete", partial(delete_runs, [run]))
        job.failed.connect(self._app_model.report)
        job.done.connect(lambda _entries: self.deleted.emit())
        job.done.connect(self._app_model.deleted)
        self._app_model.lanes.files.submit(job)
