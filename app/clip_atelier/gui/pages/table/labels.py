"""What the user says of trainings: name, note and colour; archiving them; and in what two of them differ."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QHeaderView, QPlainTextEdit, QWidget

from clip_atelier.engine.core import N_, Control, Work, _
from clip_atelier.engine.settings import DECLARED
from clip_atelier.gui import theme
from clip_atelier.gui.jobs import at_once
from clip_atelier.gui.parts.plain_table import fill_table, plain_table
from clip_atelier.gui.parts.table_model import run_title, told_apart
from clip_atelier.gui.widgets.inputs import Choice
from clip_atelier.gui.widgets.layout import column
from clip_atelier.gui.widgets.text import Field, Label, SpokenName, finish_composing
from clip_atelier.gui.workers import Job

if TYPE_CHECKING:
    from clip_atelier.engine.evaluation import Row
    from clip_atelier.engine.runs import RunDifference
    from clip_atelier.gui.app_model import AppModel
    from clip_atelier.gui.workers import Tools

TAGS = {
    "": N_("no colour"), "red": N_("red"), "orange": N_("orange"), "yellow": N_("yellow"), "green": N_("green"),
    "blue": N_("blue"), "purple": N_("purple"),
}  # fmt: skip


class LabelDialog(QDialog):
    """Name, note and colour of one training."""

    def __init__(self, row: Row, parent: QWidget | None) -> None:
        super().__init__(parent)
        self.setWindowTitle(_("Name, note and colour"))
        self.name = Field(N_("Name"))
        self.name.setMaxLength(120)
        self.name.setText(run_title(row) if row.name else "")
        self.note = QPlainTextEdit(row.label.note)
        self.note.setTabChangesFocus(True)
        self.tag = Choice(TAGS)
        self.tag.set_value(row.label.tag)
        for control, words in ((self.name, N_("Name")), (self.note, N_("Note")), (self.tag, N_("Colour"))):
            SpokenName(control, words)
        kinds = QDialogButtonBox.StandardButton
        buttons = QDialogButtonBox(kinds.Save | kinds.Cancel)
        buttons.button(kinds.Save).setText(_("Save"))
        buttons.button(kinds.Cancel).setText(_("Cancel"))
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        layout = column(
            Label(N_("Name"), "caption"), self.name, Label(N_("Note"), "caption"), self.note,
            Label(N_("Colour"), "caption"), self.tag, theme.S, buttons,
        )  # fmt: skip
        layout.setContentsMargins(theme.L, theme.L, theme.L, theme.L)
        self.setLayout(layout)
        self.resize(440, 340)

    def accept(self) -> None:
        """Saved is what is seen, with the syllable that an input method is still at."""
        finish_composing()
        super().accept()

    @property
    def changes(self) -> dict[str, Any]:
        """What is to be said of the training now."""
        return {"name": self.name.text(), "note": self.note.toPlainText(), "tag": self.tag.value()}


class DifferenceDialog(QDialog):
    """The settings in which two trainings differ, side by side."""

    def __init__(self, found: RunDifference, names: Sequence[str], parent: QWidget | None) -> None:
        super().__init__(parent)
        self.setWindowTitle(_("Differences"))
        self.said = Label(role="muted", wrap=True)
        lines = [
            (
                _(DECLARED[one.setting].title) if one.setting in DECLARED else one.setting,
                one.first,
                one.second,
            )
            for one in found.settings
        ]
        self.table = plain_table((N_("Setting"), *names))
        fill_table(self.table, lines)
        self.table.setColumnWidth(0, 220)
        self.table.horizontalHeader().setSectionResizeMode(1, QHeaderView.ResizeMode.Stretch)
        words = [] if lines else [_("Their settings are the same.")]
        if found.same_collection is False:
            words.append(_("They learned from different drawings or captions."))
        self.said.show_literal(" ".join(words))
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.button(QDialogButtonBox.StandardButton.Close).setText(_("Close"))
        buttons.rejected.connect(self.reject)
        layout = column(self.said, self.table, buttons, gap=theme.M)
        layout.setContentsMargins(theme.L, theme.L, theme.L, theme.L)
        self.setLayout(layout)
        self.table.setHidden(not lines)
        self.said.setHidden(not words)
        self.resize(760, 380)


class Labels(QObject):
    """Asks, and has it done on the lane for files."""

    def __init__(self, app_model: AppModel, parent: QWidget) -> None:
        super().__init__(parent)
        self._app_model = app_model
        self._parent = parent
        self.dialog: QDialog | None = None

    def edit(self, row: Row) -> None:
        """Lets the user name a training, write a note on it and give it a colour."""
        dialog = LabelDialog(row, self._parent)
        dialog.accepted.connect(lambda: self._do([row.run], dialog.changes))
        self._open(dialog)

    def archive(self, rows: Sequence[Row]) -> None:
        """Leaves trainings out of lists; takes them back where all of them are archived."""
        self._do([row.run for row in rows], {"archived": not all(row.label.archived for row in rows)})

    def compare(self, rows: Sequence[Row]) -> None:
        """Shows in what two trainings differ."""
        one, other = rows
        job = Job("differ", partial(_difference, one.run, other.run))
        names = told_apart(rows)
        job.done.connect(lambda found: self._open(DifferenceDialog(found, names, self._parent)))
        job.failed.connect(self._app_model.report)
        self._app_model.lanes.files.submit(job)

    def _open(self, dialog: QDialog) -> None:
        self.dialog = dialog
        dialog.open()

    def _do(self, runs: Sequence[str], changes: dict[str, Any]) -> None:
        job = Job("label", partial(_relabel, runs, changes))
        job.failed.connect(self._app_model.report)
        job.ended.connect(self._app_model.read_runs)
        self._app_model.lanes.files.submit(job)


def _relabel(runs: Sequence[str], changes: dict[str, Any], tools: Tools, _control: Control) -> Work[None]:
    from clip_atelier.engine.runs import Runs, relabel

    def write() -> None:
        for run in runs:
            relabel(Runs(tools.home).open(run).path, **changes)

    return at_once(write)


def _difference(one: str, other: str, tools: Tools, _control: Control) -> Work[RunDifference]:
    from clip_atelier.engine.runs import Runs, difference

    runs = Runs(tools.home)
    return at_once(lambda: difference(runs.open(one), runs.open(other)))
