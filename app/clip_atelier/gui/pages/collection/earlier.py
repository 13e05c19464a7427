"""The dialog that brings back captions as they were before they were overwritten."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QHeaderView,
    QListWidget,
    QListWidgetItem,
    QTableWidget,
    QWidget,
)

from clip_atelier.engine.core import N_, _, paths
from clip_atelier.gui import theme
from clip_atelier.gui.pages.collection import jobs
from clip_atelier.gui.parts.plain_table import fill_table, plain_table
from clip_atelier.gui.widgets.layout import card, column, row
from clip_atelier.gui.widgets.text import Button, Label, SpokenName
from clip_atelier.gui.workers import Job

if TYPE_CHECKING:
    from pathlib import Path

    from clip_atelier.engine.data import Backup, Collection
    from clip_atelier.gui.app_model import AppModel

_SHOWN = 200  # differences that the table shows


class EarlierCaptions(QDialog):
    """On the left the dates, on the right what was different then."""

    def __init__(self, app_model: AppModel, collection: Collection, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.app_model = app_model
        self._collection = collection
        self._backups: list[Backup] = []
        self.setWindowTitle(_("Earlier versions of the captions"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.resize(860, 480)
        about = Label(
            N_(
                "Whenever captions are saved, the table is kept as it was: the last ten, and one a day for a month."
            ),
            "muted",
            wrap=True,
        )
        self.dates = QListWidget()
        self.dates.setFixedWidth(190)
        self.dates.setSpacing(3)
        SpokenName(self.dates, N_("Dates"))
        self.told = Label(role="caption", wrap=True)
        self.changes = plain_table((N_("File"), N_("Now"), N_("Then")))
        self.changes.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        _share(self.changes)
        SpokenName(self.changes, N_("What was different then"))
        self.back = Button(N_("Bring these captions back"), "primary", "rotate-ccw")
        self.back.setEnabled(False)
        self.shut = Button(N_("Close"), "plain")
        self.card = card(self.changes, margin=1)
        right = column(self.told, self.card, gap=theme.XS)
        right.setStretch(1, 1)
        both = row(self.dates, right, gap=theme.L)
        both.setStretch(1, 1)
        layout = column(about, both, row(None, self.shut, self.back), gap=theme.M)
        layout.setStretch(1, 1)
        layout.setContentsMargins(theme.XL, theme.L, theme.XL, theme.L)
        self.setLayout(layout)
        self.dates.currentRowChanged.connect(self._on_date)
        self.back.clicked.connect(self.bring_back)
        self.shut.clicked.connect(self.reject)
        self._ask("backups", jobs.backups(collection.root), self._on_backups)

    def _ask(self, name: str, make: jobs.Make, done: object) -> None:
        job = Job(name, make)
        job.done.connect(done)
        job.failed.connect(self.app_model.report)
        self.finished.connect(lambda _result: None if job.over else job.done.disconnect(done))
        self.app_model.lanes.files.replace(job)

    def _on_backups(self, backups: list[Backup]) -> None:
        from clip_atelier.engine.data import further_of

        self._backups = backups
        for backup in backups:
            own = further_of(backup, self._collection)
            QListWidgetItem(f"{backup.date}\n{paths.shown(own)}" if own else backup.date, self.dates)
        if backups:
            self.dates.setCurrentRow(0)
        else:
            self.told.say(N_("Nothing was overwritten in this folder so far."))
            self.told.setAlignment(Qt.AlignmentFlag.AlignTop)
            for empty in (self.dates, self.card):
                empty.hide()

    def _on_date(self, number: int) -> None:
        self.back.setEnabled(False)
        backup = self._backups[number]
        self._ask("then", jobs.captions_then(self._collection, backup), partial(self._on_then, backup))

    def _on_then(self, backup: Backup, then: dict[str, tuple[str, ...]]) -> None:
        lines = [
            (paths.shown(item.path), " · ".join(item.captions), " · ".join(then.get(item.path, ())))
            for item in self._collection.items
            if then.get(item.path, ()) != item.captions and self._tells_of(backup, item.path)
        ]
        if backup.absent:
            self.told.say(N_("There was no table before this date; bringing that back removes it."))
        else:
            self.told.say(N_("Drawings with other words then: {count}"), count=len(lines))
        fill_table(
            self.changes, [(name, now, old or _("nothing in the table")) for name, now, old in lines[:_SHOWN]]
        )
        self.back.setEnabled(True)

    def _tells_of(self, backup: Backup, path: str) -> bool:
        """Whether a table can speak of a drawing: that of a further folder tells of its own drawings alone."""
        from clip_atelier.engine.data import further_of, places_of

        own = further_of(backup, self._collection)
        return own == places_of(self._collection.root).name_of(path)

    def bring_back(self) -> None:
        """Puts the chosen table in its place and reads the folder again."""
        backup = self._backups[self.dates.currentRow()]
        job = Job("restore", jobs.restore_captions(backup))
        job.done.connect(partial(self._on_back, backup))
        job.failed.connect(self.app_model.report)
        self.app_model.lanes.reading.submit(job)
        self.accept()

    def _on_back(self, backup: Backup, _file: Path) -> None:
        self.app_model.news.emit(
            _("The captions are as they were before {date}.").format(date=backup.date),
            _("Those of just now are among the earlier versions."),
        )
        self.app_model.rescan()


def _share(table: QTableWidget) -> None:
    header = table.horizontalHeader()
    table.setColumnWidth(0, 160)
    for column_number in (1, 2):
        header.setSectionResizeMode(column_number, QHeaderView.ResizeMode.Stretch)
