"""The dialog that shows what was deleted and when it goes for good, puts it back, or empties the trash."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QItemSelectionModel, Qt
from PySide6.QtWidgets import QDialog, QHeaderView, QWidget

from clip_atelier.engine.core import N_, _, paths, size_words
from clip_atelier.gui import jobs, theme
from clip_atelier.gui.parts.collection_folders import offer_again
from clip_atelier.gui.parts.delete_question import may_empty
from clip_atelier.gui.parts.plain_table import fill_table, plain_table
from clip_atelier.gui.widgets.layout import card, column, row
from clip_atelier.gui.widgets.text import Button, Label, SpokenName
from clip_atelier.gui.workers import Job

if TYPE_CHECKING:
    from pathlib import Path

    from clip_atelier.engine.storage import TrashEntry
    from clip_atelier.gui.app_model import AppModel

_KINDS = {
    "run": N_("Training"),
    "model": N_("Model"),
    "table": N_("Table"),
    "captions": N_("Captions"),
    "collection": N_("Collection"),
    "drawings": N_("Drawings"),
}


class TrashDialog(QDialog):
    """A line for each thing; what is done is done to the chosen ones, or to all where none is chosen."""

    def __init__(self, app_model: AppModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.app_model = app_model
        self.entries: list[TrashEntry] = []
        self.setWindowTitle(_("Trash"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.resize(820, 460)
        self.about = Label(
            N_("What was deleted stays here for 30 days; beyond 20 GB the oldest go earlier."),
            "muted",
            wrap=True,
        )
        self.table = plain_table((N_("Name"), N_("Kind"), N_("Size"), N_("Deleted"), N_("Goes for good")))
        _share(self.table.horizontalHeader())
        SpokenName(self.table, N_("Trash"))
        self.told = Label(role="caption", wrap=True)
        self.empty = Button(N_("Empty the trash"), "plain", "eraser")
        self.shut = Button(N_("Close"), "plain")
        self.back = Button(N_("Put back"), "primary", "undo-2")
        layout = column(
            self.about, card(self.table, margin=1), self.told, row(self.empty, None, self.shut, self.back),
            gap=theme.M,
        )  # fmt: skip
        layout.setStretch(1, 1)
        layout.setContentsMargins(theme.XL, theme.L, theme.XL, theme.L)
        self.setLayout(layout)
        self.table.itemSelectionChanged.connect(self._on_chosen)
        self.back.clicked.connect(self.put_back)
        self.empty.clicked.connect(self.ask_to_empty)
        self.shut.clicked.connect(self.reject)
        self.told.say(N_("Reading…"))
        self._on_chosen()
        self.read()

    def read(self) -> None:
        """Lists what is in the trash now."""
        self._do("trash", jobs.trash, self._on_entries)

    def put_back(self) -> None:
        """Puts the chosen things back where they were."""
        entries = self.chosen()
        self._do("undo", partial(jobs.restore, entries), partial(self._on_back, entries))

    def ask_to_empty(self) -> None:
        """Asks first: this cannot be undone."""
        entries = self.chosen() or self.entries
        if may_empty(self, len(entries)):
            self._do("empty", partial(jobs.empty_trash, entries), lambda _count: self.read())

    def choose(self, line: int) -> None:
        """Chooses one line and no other, whatever keys are held down meanwhile."""
        flags = QItemSelectionModel.SelectionFlag.ClearAndSelect | QItemSelectionModel.SelectionFlag.Rows
        self.table.setCurrentCell(line, 0, flags)

    def chosen(self) -> list[TrashEntry]:
        """The entries of the chosen lines."""
        lines = sorted({index.row() for index in self.table.selectedIndexes()})
        return [self.entries[line] for line in lines]

    def _do(self, name: str, make: jobs.Make, done: Callable[..., None]) -> None:
        job = Job(name, make)
        job.done.connect(done)
        job.failed.connect(self._on_failed)

        def forget(_result: int) -> None:
            if not job.over:  # what it puts back goes on being told, but not to a dialog that is gone
                job.done.disconnect(done)
                job.failed.disconnect(self._on_failed)
                job.failed.connect(self.app_model.report)
                if name == "undo":
                    job.ended.connect(self.app_model.read_runs)

        self.finished.connect(forget)
        self.app_model.lanes.files.submit(job)

    def _on_entries(self, entries: list[TrashEntry]) -> None:
        self.entries = entries
        fill_table(self.table, [_line(entry) for entry in entries])
        if entries:
            size = size_words(sum(entry.thing.size for entry in entries))
            self.told.say(N_("{count} in the trash, {size}"), count=len(entries), size=size)
            self.choose(0)
        else:
            self.told.say(N_("The trash is empty."))
        self._on_chosen()

    def _on_back(self, entries: Sequence[TrashEntry], places: Sequence[Path]) -> None:
        offer_again(self.app_model, entries, places)
        self.app_model.restored.emit({entry.kind for entry in entries})
        self.app_model.read_runs()
        self.read()

    def _on_failed(self, error: Exception) -> None:
        """Beside the list, as the window's own message lies behind this dialog; and the list as it is by now."""
        self.read()
        hint = getattr(error, "hint", "")
        self.app_model.report(error)
        self.about.show_literal(f"{getattr(error, 'message', error)} {hint}".strip())

    def _on_chosen(self) -> None:
        chosen = self.chosen() if self.entries else []
        self.back.setEnabled(bool(chosen))
        self.empty.setEnabled(bool(self.entries))
        self.empty.say(N_("Delete for good") if chosen else N_("Empty the trash"))


def _line(entry: TrashEntry) -> tuple[str, ...]:
    kind = _(_KINDS[entry.kind]) if entry.kind in _KINDS else entry.kind
    return (
        paths.shown(entry.name), kind, size_words(entry.thing.size), _date(entry.thing.deleted), _date(entry.until),
    )  # fmt: skip


def _date(when: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(when))


def _share(header: QHeaderView) -> None:
    header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
    header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
