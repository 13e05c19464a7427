"""The choice of a run, by its name, time and state."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from clip_atelier.engine.core import N_, _, paths
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
_NONE = N_("Nothing trained on this collection yet")


class RunChoice(Choice):
    """Every run, newest first, below the entries that a page adds."""

    def __init__(self, extra: Mapping[str, str]) -> None:
        self._extra = dict(extra)
        self._runs: tuple[RunSummary, ...] = ()
        self._folder = ""
        super().__init__(extra)

    def show_runs(self, runs: Sequence[RunSummary], folder: str = "") -> None:
        """Offers other runs; the choice stays if its run is still there.

        Args:
            runs: Oldest first.
            folder: The open collection: its runs come first, those of others are named with theirs. Where it has none, an
                entry says so, and nothing of another collection is chosen unasked.
        """
        kept = self.value()
        self._folder = folder
        runs = [run for run in runs if not run.archived or run.run == kept]
        own = [run for run in runs if trained_on(run, folder)]
        self._runs = (*(run for run in runs if run not in own), *own)
        none = {"": _NONE} if folder and not own and not self._extra else {}
        self.renew({**self._extra, **none, **{run.run: "" for run in reversed(self._runs)}})
        self.set_value(kept if self.findData(kept) >= 0 else next(iter(self._choices), ""))

    def retranslate(self) -> None:
        """Names and states in the current language."""
        super().retranslate()
        for run in self._runs:
            index = self.findData(run.run)
            if index >= 0:
                self.setItemText(index, run_words(run, self._folder))


def trained_on(run: RunSummary, folder: str) -> bool:
    """Whether a run was trained on the collection of this folder."""
    return bool(folder) and os.path.abspath(run.folder) == os.path.abspath(folder)


def run_words(run: RunSummary, folder: str = "") -> str:
    """A run in one line: its name, when it began, how it stands, and its collection where that is not the open one."""
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(run.created)) if run.created else ""
    status = _(STATUS.get(run.status, ""))
    name = run.name or run.run
    other = paths.shown(Path(run.folder).name) if folder and not trained_on(run, folder) else ""
    parts = (name if name != run.run else "", when or run.run, status, other)
    return " · ".join(part for part in parts if part)
