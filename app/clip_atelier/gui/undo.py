"""Deleting can be taken back: the message that something was deleted carries an Undo."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject

from clip_atelier.engine.core import _, paths
from clip_atelier.engine.data import places_of
from clip_atelier.gui import jobs
from clip_atelier.gui.parts.collection_folders import offer_again
from clip_atelier.gui.workers import Job

if TYPE_CHECKING:
    from clip_atelier.engine.intake import IntakeSummary
    from clip_atelier.engine.storage import TrashEntry
    from clip_atelier.gui.app_model import AppModel
    from clip_atelier.gui.widgets.banners import Banner


class Undo(QObject):
    """Tells in a banner what was deleted, and puts it back when asked to."""

    def __init__(self, app_model: AppModel, banner: Banner) -> None:
        super().__init__(banner)
        self._app_model = app_model
        self._banner = banner
        app_model.deleted.connect(self._on_deleted)
        app_model.taken_in.connect(self._on_taken_in)
        app_model.restored.connect(lambda kinds: self._read("drawings" in kinds))

    def _on_deleted(self, entries: Sequence[TrashEntry]) -> None:
        if not entries:
            return
        if len(entries) > 1:
            message = _("Deleted: {count} trainings.").format(count=len(entries))
        else:
            words = {
                "run": _("The training “{name}” is deleted."),
                "model": _("The model “{name}” is deleted."),
                "table": _("The unfinished table is deleted; its trainings stay."),
                "collection": _(
                    "The collection “{name}” is deleted; its folders and drawings are as they were."
                ),
                "captions": _("The unsaved captions of “{name}” are discarded."),
                "drawings": _("The drawings in “{name}” are taken back."),
            }
            message = words[entries[0].kind].format(name=paths.shown(entries[0].name))
        hint = _("It stays in the trash for 30 days: “…” below the pages, Trash.")
        self._banner.tell(message, hint, partial(self.undo, entries))

    def undo(self, entries: Sequence[TrashEntry]) -> None:
        """Puts things back where they were."""
        self._banner.hide()
        job = Job("undo", partial(jobs.restore, entries))
        job.done.connect(partial(self._on_back, entries))
        job.failed.connect(self._app_model.report)
        job.ended.connect(self._app_model.read_runs)
        self._app_model.lanes.files.submit(job)

    def _on_back(self, entries: Sequence[TrashEntry], places: Sequence[Path]) -> None:
        for root in offer_again(self._app_model, entries, places):
            self._app_model.open_folder(root)
        self._app_model.restored.emit({entry.kind for entry in entries})

    def _on_taken_in(self, summary: IntakeSummary) -> None:
        """Tells of drawings that were cut out of pages, and shows them."""
        if not summary.drawings:
            return
        folder = Path(summary.folder)
        message = _("Drawings cut out: {drawings}, of pages: {pages}.").format(
            drawings=summary.drawings, pages=summary.pages
        )
        hint = _(
            "They are in {folder}. Drawings of one page are never divided between training and checking."
        )
        self._banner.tell(message, hint.format(folder=paths.shown(folder)), partial(self.take_back, summary))
        root = self._app_model.state.folder
        if not root:
            self._app_model.open_folder(folder)
        else:
            self._read(places_of(Path(root)).inside(folder))

    def take_back(self, summary: IntakeSummary) -> None:
        """Puts drawings that were cut out into the trash."""
        self._banner.hide()
        job = Job("undo", partial(jobs.take_back, summary))
        job.done.connect(lambda entry: self._app_model.deleted.emit([entry]))
        job.done.connect(lambda _entry: self._read(True))
        job.failed.connect(self._app_model.report)
        self._app_model.lanes.files.submit(job)

    def _read(self, wanted: bool) -> None:
        if wanted:
            self._app_model.rescan()
