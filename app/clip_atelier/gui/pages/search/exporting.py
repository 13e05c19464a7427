"""What leaves the Search page as a file: both rankings as a table, or contact sheets of the pictures."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtWidgets import QFileDialog, QMenu

from clip_atelier.engine.core import N_, _, paths
from clip_atelier.gui.pages.search import contact_sheet, jobs
from clip_atelier.gui.pages.search.contact_sheet import Sheet
from clip_atelier.gui.widgets.text import Button
from clip_atelier.gui.workers import Job

if TYPE_CHECKING:
    from clip_atelier.gui.app_model import AppModel
    from clip_atelier.gui.pages.search.jobs import Found


class ExportButton(Button):
    """A button with a menu, for what is found now."""

    def __init__(
        self, app_model: AppModel, found: Callable[[], Found | None], sheet: Callable[[], Sheet]
    ) -> None:
        super().__init__(
            N_("Export…"), "quiet", "download", tip=N_("Save the rankings as a table or on pages")
        )
        self._app_model = app_model
        self._found = found
        self._sheet = sheet
        menu = QMenu(self)
        menu.aboutToShow.connect(lambda: self.fill(menu))
        self.setMenu(menu)

    def fill(self, menu: QMenu) -> None:
        """What can be exported."""
        menu.clear()
        menu.addAction(_("Rankings as a table…"), self._ask_for_table)
        menu.addAction(_("Contact sheet as PDF…"), partial(self._ask_for_sheet, ".pdf"))
        menu.addAction(_("Contact sheet as PNG…"), partial(self._ask_for_sheet, ".png"))

    def _ask_for_table(self) -> None:
        kinds = "CSV (*.csv);;Markdown (*.md);;LaTeX (*.tex)"
        name, _kind = QFileDialog.getSaveFileName(self, _("Save the rankings"), _("ranking") + ".csv", kinds)
        found = self._found()
        if name and found is not None:
            self._submit(partial(jobs.export, found, Path(name)), Path(name))

    def _ask_for_sheet(self, kind: str) -> None:
        start = str(Path.home() / (_("contact sheet") + kind))
        name, _kind = QFileDialog.getSaveFileName(
            self, _("Save the contact sheet"), start, f"{kind[1:].upper()} (*{kind})"
        )
        if name:
            out = Path(name) if Path(name).suffix.lower() == kind else Path(name + kind)
            self._submit(partial(contact_sheet.write, self._sheet(), out), out)

    def _submit(self, make: Callable[..., object], out: Path) -> None:
        job = Job("export", make)  # type: ignore[arg-type]
        job.failed.connect(self._app_model.report)
        job.done.connect(
            lambda _result: self._app_model.news.emit(
                _("Exported."), _("It is at {path}.").format(path=paths.shown(out))
            )
        )
        self._app_model.lanes.files.submit(job)
