"""Everything about one run on one sheet: its numbers, its curves, its pinned queries, its result."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QProgressBar, QWidget

from clip_atelier.engine.core import N_, _, duration, size_words
from clip_atelier.gui import theme
from clip_atelier.gui.pages.training.curves import Curves
from clip_atelier.gui.pages.training.part_table import PartTable
from clip_atelier.gui.pages.training.strip import Strip
from clip_atelier.gui.parts.result import Result
from clip_atelier.gui.widgets.layout import box, column, row, scrolled
from clip_atelier.gui.widgets.tabs import Figure, Tabs
from clip_atelier.gui.widgets.text import Label

if TYPE_CHECKING:
    from clip_atelier.gui.app_model import AppModel
    from clip_atelier.gui.run_progress import RunRecord

_STRIPS = 4
_CURVES_MS = 1000  # painting both curves holds the window up for some 20 ms, so not at every tick
_TABS = 236  # two rows of pinned queries; the curves take the rest

_ENDED = {
    "done": N_("Done. The best checkpoint is kept as this run's adapter."),
    "stopped": N_("Stopped. The best checkpoint so far is kept; the run can be resumed."),
    "failed": N_("The run failed. What was saved before is kept; see the notes."),
}
_DOING = {
    "starting": N_("Getting ready…"),
    "paused": N_("Paused. Nothing is lost; “Go on” takes the next step."),
    "": N_("Interrupted. The run can be resumed from its last checkpoint."),
}


class RunView(QWidget):
    """The sheet. `draw` shows a run as far as it is known, and what is being done with it now."""

    def __init__(self, app_model: AppModel) -> None:
        super().__init__()
        self._drawn: tuple[object, ...] = ()
        self._due: RunRecord | None = None  # whose curves are drawn when the timer ends
        self._curved: RunRecord | None = None  # whose curves are drawn
        self._calm = QTimer(self)
        self._calm.setSingleShot(True)
        self._calm.setInterval(_CURVES_MS)
        self._calm.timeout.connect(self._on_calm)
        self.phase = Label(role="muted")
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.figures = {
            "step": Figure(N_("step")), "loss": Figure(N_("loss")), "rate": Figure(N_("learning rate")),
            "speed": Figure(N_("images a second")), "left": Figure(N_("time left")), "memory": Figure(N_("memory")),
            "device": Figure(N_("device")),
        }  # fmt: skip
        self.curves = Curves(app_model.state)
        self.strips = [Strip(app_model.store) for _n in range(_STRIPS)]
        self.strip_note = Label(
            N_("Held-out queries and their first five results, measured again at every check. Right ones have a green edge."),
            "caption", wrap=True,
        )  # fmt: skip
        self.result = Result()
        self.no_result = Label(
            N_("The comparison of base and adapted model appears here when the run ends."), "muted"
        )
        self.parts = PartTable()
        self.notes = Label(wrap=True)
        strips = box(
            self.strip_note,
            row(self.strips[0], self.strips[1], gap=theme.XL),
            row(self.strips[2], self.strips[3], gap=theme.XL),
            None,
        )
        self.tabs = Tabs()
        self.tabs.add("strips", N_("Pinned queries"), strips)
        self.parts_tab = self.tabs.add("parts", N_("What helps"), scrolled(box(self.parts, None)))
        self.parts_tab.setVisible(False)
        self.tabs.add("result", N_("Result"), scrolled(box(self.result, self.no_result, None)))
        self.tabs.add("notes", N_("Notes"), scrolled(box(self.notes, None)))
        self.tabs.setFixedHeight(_TABS)
        numbers = row(*self.figures.values(), None, gap=theme.XXL)
        whole = column(numbers, self.phase, self.bar, theme.XS, self.curves, theme.XS, self.tabs)
        whole.setStretch(4, 1)
        self.setLayout(whole)

    def draw(self, record: RunRecord, root: Path, doing: str) -> None:
        """Draws what is new.

        Args:
            record: The run.
            root: Its collection's folder, for the pictures of the pinned queries.
            doing: "starting", "working", "paused", or empty where nobody works on it.
        """
        now = (record.version, id(record), doing)
        if now == self._drawn:
            return
        self._drawn = now
        self._draw_numbers(record)
        self._say(record, doing)
        self._draw_curves(record, live=doing == "working")
        queries = list(record.rankings.values())
        for strip, history in zip(self.strips, [*queries, *([[]] * _STRIPS)], strict=False):
            strip.show_ranking(root, history)
        self.strip_note.setVisible(bool(queries))
        self._show_parts(record, doing)
        result = record.result
        self.result.setVisible(bool(result.measured))
        self.no_result.setVisible(not result.measured)
        if result.measured:
            self.result.show_result(result)
        notes = list(record.notes)
        if record.finished is not None and record.finished.message:
            notes.append(f"{record.finished.message} {record.finished.hint}")
        self.notes.show_literal("\n".join(notes) if notes else _("Nothing to tell."))

    def _show_parts(self, record: RunRecord, doing: str) -> None:
        """The table of parts fills while a run finds out what helps; runs that do not try parts have none."""
        first = bool(record.parts) and not self.parts_tab.isVisibleTo(self.tabs)
        self.parts_tab.setVisible(bool(record.parts))
        self.parts.show_parts(record.parts)
        if first and doing == "working":
            self.tabs.choose("parts")
        elif not record.parts and self.tabs.current == "parts":
            self.tabs.choose("strips")

    def _draw_curves(self, record: RunRecord, *, live: bool) -> None:
        """The curves of a run that goes on follow once a second; everything else is drawn at once."""
        if live and record is self._curved and self._calm.isActive():
            self._due = record
            return
        self._due, self._curved = None, record
        self.curves.draw(record)
        if live:
            self._calm.start()

    def _on_calm(self) -> None:
        if self._due is not None:
            self._draw_curves(self._due, live=True)

    def retranslate(self) -> None:
        """Draws anew at the next chance: numbers and units are in the old language."""
        self._drawn = ()

    def _draw_numbers(self, record: RunRecord) -> None:
        last, started = record.last, record.started
        total = started.steps if started else 0
        done = int(last.step) if last else 0
        none = "–"
        left = last.seconds_left if last and record.finished is None else None
        shown = {
            "step": f"{done:,} / {total:,}" if total else none,
            "loss": none if last is None or last.loss is None else f"{last.loss:.3f}",
            "rate": none if last is None else f"{last.learning_rate:.2g}",
            "speed": none if last is None else f"{last.images_per_second:,.0f}",
            "left": none if left is None else duration(left),
            "memory": none if last is None or not last.memory else size_words(last.memory),
            "device": f"{started.device} · {started.precision}" if started else none,
        }
        for name, text in shown.items():
            self.figures[name].show_number(text)
        self.bar.setRange(0, max(total, 1))
        self.bar.setValue(done)

    def _say(self, record: RunRecord, doing: str) -> None:
        """What is going on, in words."""
        phase, progress = record.phase, record.progress
        if record.finished is not None and doing != "working":
            self.phase.say(_ENDED.get(record.finished.status, ""))
        elif doing in _DOING:
            self.phase.say(_DOING[doing] if record.version or doing else "")
        elif phase is not None and progress is not None and phase.name != "train":
            left = f"  ·  {duration(progress.seconds_left)}" if progress.seconds_left is not None else ""
            self.phase.show_literal(f"{phase.title}  {progress.done:,} / {progress.total:,}{left}")
            self.bar.setRange(0, max(progress.total, 1))
            self.bar.setValue(progress.done)
        else:
            self.phase.show_literal(phase.title if phase is not None else "")
