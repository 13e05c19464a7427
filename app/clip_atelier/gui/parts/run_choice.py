"""The choice of a run, by its name, time and state."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from clip_atelier.engine.core import N_, _
from clip_atelier.gui.widgets.inputs import Choice

if TYPE_CHECKING:
    from clip_atelier.engine.runs import RunSummary

STATUS = {
    "running": N_("running"),
    "done": N_("done"),
    "stopped": N_("stopped"),
    "failed": N_("failed"),
    "interrupted": N_("interrupted"),
    "damaged": N_("damaged"),
}


class RunChoice(Choice):
    """Every run, newest first, below the entries that a page adds."""

    def __init__(self, extra: Mapping[str, str]) -> None:
        self._extra = dict(extra)
        self._runs: tuple[RunSummary, ...] = ()
        super().__init__(extra)

    def show_runs(self, runs: Sequence[RunSummary]) -> None:
        """Offers other runs; the choice stays if its run is still there."""
        kept = self.value()
        self._runs = tuple(runs)
        self.renew({**self._extra, **{run.run: "" for run in reversed(self._runs)}})
        self.set_value(kept if self.findData(kept) >= 0 else next(iter(self._choices), ""))

    def retranslate(self) -> None:
        """Names and states in the current language."""
        super().retranslate()
        for run in self._runs:
            index = self.findData(run.run)
            if index >= 0:
                self.setItemText(index, run_words(run))


def run_words(run: RunSummary) -> str:
    """A run in one line: its name, when it began, and how it stands."""
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(run.created)) if run.created else ""
    status = _(STATUS.get(run.status, ""))
    name = run.name or run.run
    parts = (name if name != run.run else "", when or run.run, status)
    return " · ".join(part for part in parts if part)
