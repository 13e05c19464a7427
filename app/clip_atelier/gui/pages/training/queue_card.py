"""The queue on the Training page: what waits, in which order, and why nothing begins where nothing does."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFrame, QSizePolicy, QWidget

from clip_atelier.engine import settings
from clip_atelier.engine.core import N_, _, paths
from clip_atelier.gui import theme
from clip_atelier.gui.widgets.layout import clear, column, row, scrolled
from clip_atelier.gui.widgets.text import Button, ElidedLabel, Label, Picture

if TYPE_CHECKING:
    from clip_atelier.engine.experiments import QueuedTraining
    from clip_atelier.gui.pages.training.waiting import Waiting

_MOST = 4
"""Rows that are seen at once; the others scroll."""
_ROW = 34

_HELD = {
    "": N_("The next one starts by itself when the training before it has ended."),
    "stopped": N_("Paused, because you stopped a training."),
    "restart": N_("Left from the last time. None starts before you say so."),
    "user": N_("Paused by you."),
}


def plan_words(values: Mapping[str, Any], folder: Path) -> str:
    """The settings of a training in one line."""
    name = str(values.get("model.name", ""))
    parts = [paths.shown(Path(name).name) if "/" in name else name]
    if values.get("train.method") == "lora":
        layers = values.get("lora.target_modules")
        parts += [
            f"r = {settings.written(values.get('lora.r'))}",
            f"lora_alpha = {settings.written(values.get('lora.lora_alpha'))}",
            ", ".join(map(str, layers)) if isinstance(layers, list | tuple) else "",
        ]
    else:
        parts.append("LayerNorm")
    parts.append(paths.shown(folder.name))
    return "  ·  ".join(str(part) for part in parts if part)


class QueueCard(QFrame):
    """A strip above the curves, shown while something waits."""

    wanted = Signal()  # the next one may begin, if nothing is trained now

    def __init__(self, waiting: Waiting) -> None:
        super().__init__()
        self.setProperty("role", "notice")
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        self.waiting = waiting
        self.words = Label(role="strong")
        self.why = ElidedLabel(role="muted")
        self.back = Button(N_("Put it back"), "quiet", "undo-2")
        self.hold = Button(N_("Pause the queue"), "plain", "pause")
        self.go = Button(N_("Go on with the queue"), "primary", "play")
        self.back.clicked.connect(waiting.put_back)
        self.hold.clicked.connect(lambda: waiting.hold("user"))
        self.go.clicked.connect(self._on_go)
        self._lines = column(gap=0)
        lines = QWidget()
        lines.setLayout(self._lines)
        self._area = scrolled(lines)
        head = row(
            Picture("layers", 20, "accent"), self.words, self.why, self.back, self.hold, self.go, gap=theme.M
        )
        head.setStretch(2, 1)
        layout = column(head, self._area, gap=theme.XS)
        layout.setContentsMargins(theme.L, theme.S, theme.M, theme.S)
        self.setLayout(layout)
        self.rows: list[QueuedRow] = []
        waiting.changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Draws the queue as it is now."""
        entries = self.waiting.shown
        held = self.waiting.held
        stuck = bool(entries) and all(entry.error for entry in entries)
        self.words.say(N_("Waiting trainings: {count}"), count=len(entries))
        self.why.say(
            N_("These could not start; the others were done.") if stuck and not held else _HELD[held]
        )
        self.why.setVisible(bool(entries))
        self.back.setVisible(self.waiting.may_put_back)
        self.hold.setVisible(bool(entries) and not held and not stuck)
        self.go.setVisible(bool(entries) and bool(held or stuck))
        self.go.say(N_("Try again") if stuck and not held else N_("Go on with the queue"))
        clear(self._lines)
        self.rows = [QueuedRow(self.waiting, entry, n, len(entries)) for n, entry in enumerate(entries)]
        for one in self.rows:
            self._lines.addWidget(one)
        self._area.setFixedHeight(_ROW * min(len(entries), _MOST))
        self.setVisible(bool(entries) or self.waiting.may_put_back)

    def retranslate(self) -> None:
        """Draws anew: lines are put together from several messages."""
        self.refresh()

    def _on_go(self) -> None:
        self.waiting.hold("")
        self.wanted.emit()


class QueuedRow(QWidget):
    """One training that waits."""

    def __init__(self, waiting: Waiting, entry: QueuedTraining, place: int, count: int) -> None:
        super().__init__()
        self.setFixedHeight(_ROW)
        plan = plan_words(entry.settings, Path(entry.folder))
        named = f"{entry.name}  ·  {plan}" if entry.name else plan
        self.words = ElidedLabel()
        self.words.show_literal(f"{place + 1}.  {named}")
        self.error = ElidedLabel(role="warning")
        self.error.show_literal(
            _("Could not start: {reason}").format(reason=entry.error) if entry.error else ""
        )
        self.error.setVisible(bool(entry.error))
        self.earlier = Button("", "icon", "chevron-up", tip=N_("Start it earlier"))
        self.later = Button("", "icon", "chevron-down", tip=N_("Start it later"))
        self.remove = Button("", "icon", "x", tip=N_("Take it out of the queue"))
        self.earlier.setEnabled(place > 0)
        self.later.setEnabled(place < count - 1)
        self.earlier.clicked.connect(partial(waiting.move, entry.id, -1))
        self.later.clicked.connect(partial(waiting.move, entry.id, 1))
        self.remove.clicked.connect(partial(waiting.remove, entry.id))
        layout = row(self.words, self.error, self.earlier, self.later, self.remove, gap=theme.S)
        layout.setStretch(0, 3)
        layout.setStretch(1, 2 if entry.error else 0)
        self.setLayout(layout)
