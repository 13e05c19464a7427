"""Deleting can be taken back: the message that something was deleted carries an Undo."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject

from clip_atelier.engine.core import _, paths
from clip_atelier.gui import jobs
from clip_atelier.gui.workers import Job

if TYPE_CHECKING:
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
                "captions": _("The unsaved captions of “{name}” are discarded."),
            }
            message = words[entries[0].kind].format(name=paths.shown(entries[0].name))
        hint = _("It stays in the trash for 30 days: “…” below the pages, Trash.")
        self._banner.tell(message, hint, partial(self.undo, entries))

    def undo(self, entries: Sequence[TrashEntry]) -> None:
        """Puts things back where they were."""
        self._banner.hide()
        job = Job("undo", partial(jobs.restore, entries))
        job.done.connect(lambda _places: self._app_model.restored.emit({entry.kind for entry in entries}))
        job.failed.connect(self._app_model.report)
        job.ended.connect(self._app_model.read_runs)
        self._app_model.lanes.files.submit(job)
