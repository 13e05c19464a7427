"""The choice of a run, by its name, time and state."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from clip_atelier.engine.core import N_, _
from clip_atelier.gui.widgets.inputs import Choice

STATUS = {
    "running": N_("running"),
    "done": N_("done"),
    "stopped": N_("stopped"),
    "failed": N_("failed"),
    "interrupted": N_("interrupted"),
}


class RunChoice(Choice):
    """Every run, newest first, below the entries that a page adds."""

    def __init__(self, extra: Mapping[str, str]) -> None:
        self._extra = dict(extra)
        self._runs: tuple[Mapping[str, Any], ...] = ()
        super().__init__(extra)

    def show_runs(self, runs: Sequence[Mapping[str, Any]]) -> None:
        """Offers other runs; the choice stays if its run is still there."""
        kept = self.value()
        self._runs = tuple(runs)
        self.renew({**self._extra, **{str(run["run"]): "" for run in reversed(self._runs)}})
        self.set_value(kept if self.findData(kept) >= 0 else next(iter(self._choices), ""))

    def retranslate(self) -> None:
        """Names and states in the current language."""
        super().retranslate()
        for run in self._runs:
            index = self.findData(str(run["run"]))
            if index >= 0:
                self.setItemText(index, run_words(run))


def run_words(run: Mapping[str, Any]) -> str:
    """A run in one line: its name, when it began, and how it stands."""
    began = run.get("created")
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(began)) if isinstance(began, int | float) else ""
    status = _(STATUS.get(str(run.get("status")), ""))
    name = str(run.get("name") or run["run"])
    parts = (name if name != run["run"] else "", when or str(run["run"]), status)
    return " · ".join(part for part in parts if part)
