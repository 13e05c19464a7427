"""Writing the table and the report to files, and saying where they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtWidgets import QFileDialog, QMenu, QWidget

from clip_atelier.engine.core import N_, _, paths
from clip_atelier.gui.pages.table import jobs
from clip_atelier.gui.widgets.layout import row
from clip_atelier.gui.widgets.text import Button, ElidedLabel, Picture
from clip_atelier.gui.workers import Job

if TYPE_CHECKING:
    from clip_atelier.engine.evaluation import Row
    from clip_atelier.gui.app_model import AppModel

FILES = {
    "csv": N_("Table as CSV (for spreadsheets)…"),
    "md": N_("Table as Markdown…"),
    "tex": N_("Table as LaTeX…"),
    "html": N_("One-page report (HTML)…"),
    "pdf": N_("One-page report (PDF)…"),
}


class Written(QWidget):
    """Where a file was written, until it is closed."""

    def __init__(self, app_model: AppModel) -> None:
        super().__init__()
        self._app_model = app_model
        self._path = Path()
        self.words = ElidedLabel(role="muted")
        show = Button(N_("Show in folder"), "quiet", "external-link")
        away = Button("", "icon", "x", tip=N_("Close this message"))
        line = row(Picture("circle-check", 18, "gain"), self.words, show, away)
        line.setStretch(1, 1)
        self.setLayout(line)
        show.clicked.connect(lambda: self._app_model.reveal(self._path))
        away.clicked.connect(self.hide)
        self.hide()

    def tell(self, path: Path) -> None:
        """Names a file."""
        self._path = path
        self.words.say(N_("Written: {path}"), path=paths.shown(path))
        self.show()


class Exports(Button):
    """The button with every form in which the table can leave.

    Args:
        app_model: For work and its troubles.
        rows: The rows to write, asked for when something is written.
        written: Told where the file is.
    """

    def __init__(self, app_model: AppModel, rows: Callable[[], Sequence[Row]], written: Written) -> None:
        super().__init__(N_("Export"), "plain", "download")
        self._app_model = app_model
        self._rows = rows
        self._written = written
        self.menu_of_forms = QMenu(self)
        self.menu_of_forms.aboutToShow.connect(self._fill)
        self.setMenu(self.menu_of_forms)

    def _fill(self) -> None:
        menu = self.menu_of_forms
        menu.clear()
        for suffix, text in FILES.items():
            if suffix == "html":
                menu.addSeparator()
            menu.addAction(_(text), partial(self._ask, suffix))

    def _ask(self, suffix: str) -> None:
        name = str(Path.home() / f"clip-atelier-table.{suffix}")
        chosen, _filter = QFileDialog.getSaveFileName(self, _(FILES[suffix]), name, f"*.{suffix}")
        if chosen:
            out = Path(chosen)
            self.write(out if out.suffix.lower() == f".{suffix}" else out.with_name(f"{out.name}.{suffix}"))

    def write(self, out: Path) -> None:
        """Writes the form that the file's suffix names."""
        rows = list(self._rows())
        runs = [row.run for row in rows]
        suffix = out.suffix.lower()
        if suffix == ".html":
            job = Job("report", partial(jobs.write_report, runs, out))
        elif suffix == ".pdf":
            from clip_atelier.gui.pages.table.pdf import write as write_pdf

            job = Job("report", partial(write_pdf, runs, out))
        else:
            job = Job("table file", partial(jobs.write_table, rows, out))
        job.done.connect(lambda _result: self._written.tell(out))
        job.failed.connect(self._app_model.report)
        self._app_model.lanes.files.submit(job)
