"""Saving the map: as a picture of what is seen, or its points as a table."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtWidgets import QFileDialog, QMenu

from clip_atelier.engine.core import N_, _, paths
from clip_atelier.gui.pages.map import jobs
from clip_atelier.gui.workers import Job

if TYPE_CHECKING:
    from clip_atelier.gui.pages.map.page import MapPage


class Saving:
    """Asks where to, writes, and says where it lies."""

    def __init__(self, page: MapPage) -> None:
        self.page = page

    def fill(self, menu: QMenu) -> None:
        """The menu of kinds."""
        menu.clear()
        menu.addAction(_("As a picture (.png)…"), partial(self._ask, "png"))
        menu.addAction(_("As a table (.csv)…"), partial(self._ask, "csv"))

    def _ask(self, kind: str) -> None:
        start = Path.home() / (_("map") + f".{kind}")
        name, _filter = QFileDialog.getSaveFileName(self.page, _("Save the map"), str(start), f"*.{kind}")
        if name:
            self.save(Path(name) if name.lower().endswith(f".{kind}") else Path(f"{name}.{kind}"))

    def save(self, out: Path) -> None:
        """Writes the map as it is seen (.png) or its points (.csv)."""
        page = self.page
        if page.result is None:
            return
        if out.suffix.lower() == ".png":
            job = Job("export", partial(jobs.write_picture, page.scatter.picture(), out))
        else:
            job = Job("export", partial(jobs.write_map, page.result, out))
        job.done.connect(lambda _path: page.count.say(N_("Saved as {name}"), name=paths.shown(out.name)))
        job.failed.connect(page.app_model.report)
        page.app_model.lanes.files.submit(job)
