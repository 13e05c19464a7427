"""Everything about one run on one sheet: its numbers, its curves, its pinned queries, its result."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QTimer
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QProgressBar, QWidget

from clip_atelier.engine.core import N_, _, duration, i18n, size_words
from clip_atelier.engine.parts import names
from clip_atelier.gui import theme
from clip_atelier.gui.pages.training.curves import Curves
from clip_atelier.gui.pages.training.parts_table import PartsTable
from clip_atelier.gui.pages.training.strip import Strip
from clip_atelier.gui.parts.result import Result
from clip_atelier.gui.widgets.layout import box, column, row, scrolled
from clip_atelier.gui.widgets.tabs import Figure, Tabs
from clip_atelier.gui.widgets.text import Label, Message

if TYPE_CHECKING:
    from clip_atelier.gui.app_model import AppModel
    from clip_atelier.gui.run_progress import RunRecord

_STRIPS = 4
_CURVES_MS = 1000  # painting both curves holds the window up for some 20 ms, so not at every tick
_TABS = 236  # two rows of pinned queries; the curves take the rest
_ALL = 16_777_215  # Qt's own word for no limit
_TALL = 408  # a table or a result of several questions; the curves are there, but no longer the main thing

_ENDED = {
    "done": N_("Done. The best checkpoint is kept as this training's adapter."),
    "stopped": N_("Stopped. The best checkpoint so far is kept; the training can be resumed."),
    "failed": N_("The training failed. What was saved before is kept; see the notes."),
}
_DOING = {
    "starting": N_("Getting ready…"),
    "paused": N_("Paused. Nothing is lost; “Go on” takes the next step."),
    "": N_("Interrupted. The training can be resumed from its last checkpoint."),
}
_BY_FOLDS = {
    "done": N_("Done. What helped is kept as this training; it has learned from all drawings."),
    "stopped": N_("Stopped. What is done is kept; the training can be resumed."),
    "failed": _ENDED["failed"],
}
_LAST = N_("Training on all drawings: this is what will be kept.")
_AWAITED: Mapping[str, Collection[str]] = {
    "parts": tuple(names.TITLES),
    "folds": ("lora",),
    "choose": ("lora",),
}
"""Which parts are still to be measured in a phase."""


class RunView(QWidget):
    """The sheet. `draw` shows a run as far as it is known, and what is being done with it now."""

    def __init__(self, app_model: AppModel) -> None:
        super().__init__()
        self._drawn: tuple[object, ...] = ()
        self._due: RunRecord | None = None  # whose curves are drawn when the timer ends
        self._curved: RunRecord | None = None  # whose curves are drawn
        self._given: RunRecord | None = None  # whom the room was given to
        self._calm = QTimer(self)
        self._calm.setSingleShot(True)
        self._calm.setInterval(_CURVES_MS)
        self._calm.timeout.connect(self._on_calm)
        self.phase = Label(role="muted")
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.figures = {
            "step": Figure(N_("step"), N_("At each step the model looks at some drawings and is changed a little.")),
            "loss": Figure(N_("loss"), N_("How far the answers are from the right ones: the lower, the better.")),
            "rate": Figure(N_("learning rate"), N_("How much one step changes the model.")),
            "speed": Figure(N_("images a second")), "left": Figure(N_("time left")), "memory": Figure(N_("memory")),
            "device": Figure(N_("device")),
        }  # fmt: skip
        self.curves = Curves(app_model.state)
        self.strips = [Strip(app_model.store) for _n in range(_STRIPS)]
        self.strip_note = Label(
            N_("Questions that were not learned from and their first five results, measured again at every check. Right ones have a green edge."),
            "caption", wrap=True,
        )  # fmt: skip
        self.result = Result()
        self.no_result = Label(
            N_("The comparison of base and adapted model appears here when the training ends."), "muted"
        )
        self.notes = Label(wrap=True)
        strips = box(
            self.strip_note,
            row(self.strips[0], self.strips[1], gap=theme.XL),
            row(self.strips[2], self.strips[3], gap=theme.XL),
            None,
        )
        self.tabs = Tabs()
        self.parts = PartsTable()
        self.tabs.add("strips", N_("Pinned queries"), strips)
        self.tabs.add("parts", N_("What helps"), scrolled(self.parts))
        self.tabs.show_tab("parts", False)
        self.tabs.add("result", N_("Result"), scrolled(box(self.result, self.no_result, None)))
        self.tabs.add("notes", N_("Notes"), scrolled(box(self.notes, None)))
        self.tabs.setFixedHeight(_TABS)
        numbers = row(*self.figures.values(), None, gap=theme.L)
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
        self._draw_numbers(record, going=bool(doing))
        self._say(record, doing)
        self._draw_curves(record, live=doing == "working")
        self._draw_parts(record, going=bool(doing))
        self._given = record
        self._give_room(record)
        queries = list(record.rankings.values())
        for strip, history in zip(self.strips, [*queries, *([[]] * _STRIPS)], strict=False):
            strip.show_ranking(root, history)
        self.strip_note.setVisible(bool(queries))
        result = record.result
        self.result.setVisible(record.result.measured)
        self.no_result.setVisible(not record.result.measured)
        if record.result.measured:
            self.result.show_result(result)
        notes = list(record.notes)
        if record.finished is not None and record.finished.message:
            notes.append(f"{record.finished.message} {record.finished.hint}")
        self.notes.show_literal("\n".join(notes) if notes else _("Nothing to tell."))

    def _draw_curves(self, record: RunRecord, *, live: bool) -> None:
        """The curves of a run that goes on follow once a second; everything else is drawn at once."""
        if live and record is self._curved and self._calm.isActive():
            self._due = record
            return
        self._due, self._curved = None, record
        self.curves.draw(record)
        if live:
            self._calm.start()

    def _draw_parts(self, record: RunRecord, *, going: bool) -> None:
        """What each part does, of a run that tries them."""
        known = bool(record.parts)
        if known != ("parts" in self.tabs.names):
            self.tabs.show_tab("parts", known)
            if known and self.tabs.current == "strips":
                self.tabs.choose("parts")
        self.tabs.show_tab("strips", not record.by_folds)  # nothing is kept aside that could be pinned
        if known:
            phase = (
                record.phase.name if record.phase is not None and going and record.finished is None else ""
            )
            self.parts.show_parts(record.parts, _AWAITED.get(phase, ()))

    def _give_room(self, record: RunRecord) -> None:
        """The curves have the room that the tabs leave; of a run by folds the answers are the main thing.

        In a low window its tabs are lower, and where both would not be seen whole, the curves are left out.
        """
        untrained = record.by_folds and not record.steps and not record.folds
        layout = self.layout()
        assert layout is not None
        curves = self.curves.minimumSizeHint().height()
        others = layout.minimumSize().height() - self.tabs.minimumHeight()
        if self.curves.isHidden():
            others += curves + 2 * theme.XS
        room = self.height() - others
        alone = untrained or (record.by_folds and room < _TABS)
        self.curves.setHidden(alone)
        self.tabs.setMinimumHeight(min(max(room, _TABS), _TALL) if record.by_folds and not alone else _TABS)
        self.tabs.setMaximumHeight(_ALL if alone else self.tabs.minimumHeight())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if self._given is not None:
            self._give_room(self._given)

    def _on_calm(self) -> None:
        if self._due is not None:
            self._draw_curves(self._due, live=True)

    def retranslate(self) -> None:
        """Draws anew at the next chance: numbers and units are in the old language."""
        self._drawn = ()

    def _draw_numbers(self, record: RunRecord, *, going: bool) -> None:
        last, started, fold = record.last, record.started, record.fold
        total = fold.steps if fold else started.steps if started else 0
        done = fold.step if fold else int(last.step) if last else 0
        loss = fold.loss if fold else last.loss if last else None
        none = "–"
        now = last or record.progress  # before the first step it is what goes on that takes time
        left = now.seconds_left if now and going and record.finished is None else None
        shown = {
            "step": f"{done:,} / {total:,}" if total else none,
            "loss": none if loss is None else f"{loss:.3f}",
            "rate": none if last is None else f"{last.learning_rate:.2g}",
            "speed": none if last is None else f"{last.images_per_second:,.0f}",
            "left": none if left is None else duration(left),
            "memory": none if last is None or not last.memory else size_words(last.memory),
            "device": f"{started.device} · {started.precision}" if started else none,
        }
        for name, text in shown.items():
            self.figures[name].show_number(text)
            self.figures[name].setHidden(text == none and record.by_folds)  # a fold tells less of each step
        self.bar.setRange(0, max(total, 1))
        self.bar.setValue(done)

    def _say(self, record: RunRecord, doing: str) -> None:
        """What is going on, in words."""
        phase, progress = record.phase, record.progress
        if record.finished is not None and doing != "working":
            ended = record.finished.status
            self.phase.say((_BY_FOLDS if record.by_folds else _ENDED).get(ended, ""))
        elif doing in _DOING:
            self.phase.say(_DOING[doing] if record.version or doing else "")
        elif phase is not None and phase.name == "train" and record.by_folds:
            self.phase.say(_LAST)
        elif phase is not None and progress is not None and phase.name != "train":
            far = f"{progress.done:,} / {progress.total:,}"
            if record.fold is not None:
                far = _("fold {fold} of {folds}").format(fold=record.fold.fold, folds=record.fold.folds)
            self.phase.say("{phase}  ·  {far}", phase=Message(i18n.source(phase.title)), far=far)
            self.bar.setRange(0, max(progress.total, 1))
            self.bar.setValue(progress.done)
        else:
            self.phase.say(i18n.source(phase.title) if phase is not None else "")
