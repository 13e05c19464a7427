"""Which of the results are shown, and what the adapted model's are compared with."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from clip_atelier.engine.core import N_
from clip_atelier.gui import theme
from clip_atelier.gui.parts.run_choice import RunChoice
from clip_atelier.gui.widgets.inputs import Choice
from clip_atelier.gui.widgets.layout import row
from clip_atelier.gui.widgets.text import Label, SpokenName

if TYPE_CHECKING:
    from clip_atelier.engine.runs import RunSummary

_ALL_FOLDERS, _ALL_LABELS = N_("All folders"), N_("All labels")
#: Days back, as text, and what they are called.
_PERIODS = {
    "": N_("Any date"),
    "1": N_("Last 24 hours"),
    "7": N_("Last 7 days"),
    "31": N_("Last month"),
    "366": N_("Last year"),
}


class Narrowing(QWidget):
    """A line of choices; each part is there where there is something to choose."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.against = RunChoice({"": N_("Untouched base")})
        self.folder = Choice({"": _ALL_FOLDERS})
        self.label = Choice({"": _ALL_LABELS})
        self.days = Choice(_PERIODS)
        self._against_title = Label(N_("Compared with"), "muted")
        self._only = Label(N_("Only from"), "muted")
        for control, words in (
            (self.against, N_("Compared with")), (self.folder, N_("Only from this folder")),
            (self.label, N_("Only with this label")), (self.days, N_("Only files changed since then")),
        ):  # fmt: skip
            SpokenName(control, words)
            control.setMaximumWidth(300)
            control.edited.connect(self.changed)
        self.setLayout(
            row(
                self._against_title, self.against, self._only, self.folder, self.label, self.days, None, gap=theme.S
            )
        )  # fmt: skip
        self._there = False  # whether there is anything to narrow
        self._draw()

    @property
    def since(self) -> float:
        """Seconds since the epoch of the oldest change that is shown; 0 for all."""
        days = self.days.value()
        return time.time() - int(days) * 86_400 if days else 0.0

    def offer_runs(self, runs: Sequence[RunSummary], chosen: str, folder: str) -> None:
        """The trainings that the chosen one can be compared with; none without one."""
        self.against.show_runs([run for run in runs if run.run != chosen] if chosen else [], folder)
        self._draw()

    def offer(self, folders: Sequence[str], labels: Sequence[str]) -> bool:
        """Folders and labels of what is searched; whether a choice is no more, and was taken back."""
        self._there = True
        before = self.folder.value(), self.label.value()
        for control, first, names in (
            (self.folder, _ALL_FOLDERS, folders),
            (self.label, _ALL_LABELS, labels),
        ):
            kept = control.value()
            control.renew({"": first, **dict.fromkeys(names, "")})
            control.set_value(kept if kept in names else "")
        self._draw()
        return before != (self.folder.value(), self.label.value())

    def forget(self) -> None:
        """Shows everything: another gallery is searched."""
        self.offer((), ())
        self._there = False
        self.days.set_value("")
        self._draw()

    def _draw(self) -> None:
        runs, folders, labels = (c.count() > 1 for c in (self.against, self.folder, self.label))
        for control, there in ((self.against, runs), (self.folder, folders), (self.label, labels)):
            control.setVisible(there)
        self._against_title.setVisible(runs)
        self.days.setVisible(self._there)
        self._only.setVisible(self._there)
        self.setVisible(runs or self._there)
