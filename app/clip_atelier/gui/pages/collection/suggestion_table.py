"""The dialog that takes many suggestions at once: a line for each drawing, with a tick."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QTableWidgetItem, QWidget

from clip_atelier.engine.core import N_, _, paths
from clip_atelier.gui import theme
from clip_atelier.gui.parts.plain_table import fill_table, plain_table
from clip_atelier.gui.widgets.layout import card, column, row
from clip_atelier.gui.widgets.text import Button, Label, SpokenName

if TYPE_CHECKING:
    from clip_atelier.engine.search import Suggestion
    from clip_atelier.gui.pages.collection.caption_model import CaptionModel

GRADES = {"sure": N_("sure"), "possible": N_("possible"), "guess": N_("a guess")}
_TICK = Qt.ItemFlag.ItemIsUserCheckable


class ManySuggestions(QDialog):
    """The first suggestion of every drawing; those that are sure are ticked. Nothing is changed before it is asked for.

    Args:
        captions: What the drawings are called now.
        drawings: What is suggested for them.
        parent: The dialog's.
    """

    def __init__(
        self, captions: CaptionModel, drawings: Sequence[Suggestion], parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.captions = captions
        there = set(captions.paths)
        self.drawings = [one for one in drawings if one.path in there and one.captions]
        self.setWindowTitle(_("Suggestions for many drawings"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.resize(760, 520)
        about = Label(
            N_("What is ticked gets the caption suggested first. It is one step that can be taken back."),
            "muted",
            wrap=True,
        )
        self.table = plain_table((N_("File"), N_("Now"), N_("Suggestion"), N_("How likely it is right")))
        for place, width in enumerate((140, 130, 180)):
            self.table.setColumnWidth(place, width)
        SpokenName(self.table, N_("Suggestions for captions"))
        self._fill()
        self.all = Button(N_("Tick all"), "quiet")
        self.none = Button(N_("Tick none"), "quiet")
        self.do = Button("", "primary")
        self.shut = Button(N_("Close"), "plain")
        for button in (self.all, self.none, self.shut):
            button.setAutoDefault(False)
        self.do.setDefault(True)
        self.all.clicked.connect(lambda: self._tick(Qt.CheckState.Checked))
        self.none.clicked.connect(lambda: self._tick(Qt.CheckState.Unchecked))
        self.shut.clicked.connect(self.reject)
        self.do.clicked.connect(self.take)
        self.table.itemChanged.connect(self._tell)
        ends = row(self.all, self.none, None, self.shut, self.do, gap=theme.S)
        layout = column(about, card(self.table, margin=1), ends, gap=theme.S)
        layout.setStretch(1, 1)
        layout.setContentsMargins(theme.XL, theme.L, theme.XL, theme.L)
        self.setLayout(layout)
        self._tell()

    def _fill(self) -> None:
        lines = [
            (
                paths.shown(one.path),
                " · ".join(self.captions.told(one.path).captions),
                one.captions[0],
                likely(one),
            )
            for one in self.drawings
        ]
        fill_table(self.table, lines)
        for n, one in enumerate(self.drawings):
            cell = self._cell(n)
            cell.setFlags(cell.flags() | _TICK)
            cell.setCheckState(Qt.CheckState.Checked if one.sure else Qt.CheckState.Unchecked)
        if self.drawings:
            self.table.setCurrentCell(0, 0)

    def _cell(self, line: int) -> QTableWidgetItem:
        cell = self.table.item(line, 0)
        assert cell is not None
        return cell

    @property
    def ticked(self) -> dict[str, str]:
        """The captions that are ticked, by path."""
        return {
            one.path: one.captions[0]
            for n, one in enumerate(self.drawings)
            if self._cell(n).checkState() == Qt.CheckState.Checked
        }

    def _tick(self, state: Qt.CheckState) -> None:
        self.table.blockSignals(True)
        for n in range(self.table.rowCount()):
            self._cell(n).setCheckState(state)
        self.table.blockSignals(False)
        self.table.viewport().update()
        self._tell()

    def _tell(self, _cell: object = None) -> None:
        count = len(self.ticked)
        self.do.say(N_("Take the {count} ticked"), count=count)
        self.do.setEnabled(count > 0)

    def take(self) -> None:
        """Gives the ticked drawings their captions, in one step."""
        there = set(self.captions.paths)
        values = {
            path: self.captions.told(path)._replace(captions=(words,))
            for path, words in self.ticked.items()
            if path in there
        }
        self.captions.change(values, _("Suggested captions"))
        self.accept()


def likely(one: Suggestion) -> str:
    """A grade, and by what it is told, in the user's language."""
    if not one.alike:
        return _(GRADES[one.grade])
    return _("{grade}: {right} of {alike} like it were right").format(
        grade=_(GRADES[one.grade]), right=one.right, alike=one.alike
    )
