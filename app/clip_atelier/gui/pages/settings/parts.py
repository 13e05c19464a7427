"""The parts of the Settings page: preset cards, explanations, what the whole comes to, the code."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QKeyEvent, QMouseEvent
from PySide6.QtWidgets import QApplication, QFrame, QPlainTextEdit, QSizePolicy, QWidget

from clip_atelier.engine import settings
from clip_atelier.engine.core import N_, UserError, _, duration, size_words
from clip_atelier.engine.settings import DECLARED, Preset
from clip_atelier.gui import theme
from clip_atelier.gui.form import limits, shown_value
from clip_atelier.gui.glossary import WordsButton
from clip_atelier.gui.pages.settings import jobs
from clip_atelier.gui.pages.settings.cautions import cautions
from clip_atelier.gui.parts.idea_picture import IdeaPicture
from clip_atelier.gui.parts.trust import TRUST
from clip_atelier.gui.widgets.layout import column, row
from clip_atelier.gui.widgets.text import Button, Label, Picture, SpokenName, plain_tooltip
from clip_atelier.gui.workers import Job

if TYPE_CHECKING:
    from clip_atelier.engine.training import Estimate
    from clip_atelier.gui.app_model import AppModel
    from clip_atelier.gui.state import WindowState


class ChoiceCard(QFrame):
    """A card that is chosen by a click, Space or Enter, and says how many of its settings were changed since.

    Args:
        name: What `chosen` tells.
        title: What it is called.
        changed: Where the number of changes stands.
    """

    chosen = Signal(str)

    def __init__(self, name: str, title: Label, changed: Label) -> None:
        super().__init__()
        self.name, self.title, self.changed = name, title, changed
        self.setProperty("role", "preset")
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.changed.hide()

    def show_chosen(self, on: bool, changed: int = 0) -> None:
        """Gives it the look of the chosen one, and says how many of its settings were changed since."""
        self.changed.say(N_("changed: {count}"), count=changed)
        self.changed.setVisible(on and changed > 0)
        self.setProperty("chosen", on)
        self.setProperty("changed", on and changed > 0)
        self.style().unpolish(self)
        self.style().polish(self)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """A click chooses it."""
        if self.rect().contains(event.position().toPoint()):
            self.chosen.emit(self.name)
        super().mouseReleaseEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Space and Enter choose it."""
        if event.key() in (Qt.Key.Key_Space, Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.chosen.emit(self.name)
            return
        super().keyPressEvent(event)


class PresetCard(ChoiceCard):
    """One starting point; the one that fits almost everybody stands out."""

    def __init__(self, preset: Preset, *, primary: bool = False) -> None:
        super().__init__(
            preset.name,
            Label(preset.title, "heading" if primary else "strong"),
            Label(role="warning", wrap=not primary),
        )
        self.preset = preset
        situation = Label(preset.situation, "body", wrap=True)
        summary = Label(preset.summary, "muted" if primary else "caption", wrap=True)
        self.reason = Label(role="body" if primary else "turned", wrap=True)
        self.reason.hide()
        if primary:
            words = column(
                row(self.title, Label(N_("recommended"), "caption"), self.changed, None, gap=theme.M),
                situation, summary, self.reason, gap=theme.XS,
            )  # fmt: skip
            whole = row(Picture("sparkles", 28, "accent"), words, gap=theme.L)
            whole.setStretch(1, 1)
            whole.setContentsMargins(theme.L, theme.L, theme.L, theme.L)
            self.setLayout(whole)
        else:
            layout = column(self.title, situation, summary, self.reason, self.changed, None, gap=theme.XS)
            layout.setContentsMargins(theme.M, theme.M, theme.M, theme.M)
            self.setLayout(layout)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Minimum)
        self.retranslate()

    def retranslate(self) -> None:
        """Its name for screen readers."""
        self.setAccessibleName(_(self.preset.title))

    def show_reason(self, text: str) -> None:
        """Why it fits the open folder, in the user's language; empty where there is nothing to say."""
        self.reason.show_literal(text)
        self.reason.setVisible(bool(text))


class Explanation(QWidget):
    """The long explanation of the setting that was turned to."""

    def __init__(self, state: WindowState) -> None:
        super().__init__()
        self._state = state
        self._name = ""
        self.title = Label(role="heading", wrap=True)
        self.key = Label(role="caption")
        self.key.setFont(theme.monospace())
        self.key.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.detail = Label(wrap=True)
        self.choices = Label(wrap=True)
        self.facts = Label(role="muted", wrap=True)
        self.source = Label(role="caption", wrap=True)
        self.source.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.picture = IdeaPicture()
        self.trust = Label(TRUST, "muted", wrap=True)
        self.words = WordsButton()
        layout = column(
            self.title,
            self.key,
            theme.XS,
            self.picture,
            self.detail,
            self.choices,
            self.facts,
            self.source,
            self.trust,
            row(self.words, None),
            None,
            gap=theme.S,
        )
        layout.setContentsMargins(0, 0, theme.S, 0)
        self.setLayout(layout)

    def show_setting(self, name: str) -> None:
        """Explains a setting."""
        self._name = name
        declared = DECLARED[name]
        self.title.say(declared.title)
        self.key.show_literal(name)
        self.detail.show_literal("\n\n".join(_(t) for t in (declared.summary, declared.detail) if t))
        listed = [f"• {value}: {_(text)}" for value, text in declared.choices.items() if text]
        self.choices.show_literal("\n".join(listed))
        self.choices.setVisible(bool(listed))
        facts = []
        span = limits(declared)
        if span is not None:
            facts.append(_("Allowed: {range}").format(range=str(span)))
        facts.append(_("Default: {value}").format(value=shown_value(declared, declared.default)))
        if declared.unit:
            facts.append(_("Unit: {unit}").format(unit=_(declared.unit)))
        self.facts.show_literal("\n".join(facts))
        self.source.show_literal(
            _("Source: {source}").format(source=declared.source) if declared.source else ""
        )
        self.source.setVisible(bool(declared.source))
        self.trust.setVisible(name == "model.name")
        told = (self.title, self.key, self.detail, self.choices)
        self.words.text_told = "\n".join(label.text() for label in told)
        self.draw()

    def draw(self) -> None:
        """The picture that belongs to the setting, for the rank and scale of the draft."""
        values = self._state.values()
        if not settings.check(values):
            lora = settings.build(values).lora
            self.picture.show_idea(self._name, lora.r, lora.lora_alpha)

    def retranslate(self) -> None:
        """The same setting in the current language."""
        if self._name:
            self.show_setting(self._name)


class Readouts(QFrame):
    """What the draft comes to: scale, parameters, size."""

    def __init__(self, app_model: AppModel) -> None:
        super().__init__()
        self._app_model = app_model
        self.setProperty("role", "card")
        self.values = {
            name: Label(role="strong") for name in ("scale", "trainable", "size", "steps", "time", "memory")
        }
        self._probed: tuple[object, Estimate] | None = None
        titles = {
            "scale": N_("Effective scale"), "trainable": N_("Trainable parameters"),
            "size": N_("Size of the adapter"), "steps": N_("Steps"), "time": N_("Time"),
            "memory": N_("Memory"),
        }  # fmt: skip
        self.problem = Label(role="problem", wrap=True)
        self.caution = Label(role="warning", wrap=True)
        self.probe = Button(N_("Measure one step"), "plain", "gauge")
        self.probe.clicked.connect(self._measure)
        # Lines of their own, not a grid: a short title leaves its room to a long value.
        lines = (row(Label(titles[name], "muted"), None, value) for name, value in self.values.items())
        layout = column(*lines, self.problem, self.caution, self.probe, gap=6)
        layout.setContentsMargins(theme.L, theme.M, theme.L, theme.M)
        self.setLayout(layout)
        self.refresh()

    def retranslate(self) -> None:
        """Numbers and units in the current language."""
        self.refresh()

    def refresh(self) -> None:
        """Works the numbers out again; milliseconds, from the model's file headers."""
        from clip_atelier.engine.models import Models, shapes

        for value in self.values.values():
            value.show_literal("–")
        self.problem.show_literal("")
        self.problem.hide()
        self.caution.hide()
        values = self._app_model.state.values()
        if settings.check(values):
            return
        chosen = settings.build(values)
        try:
            found = shapes.readout(Models(self._app_model.home).resolve(chosen.model.name), chosen)
        except UserError as error:
            self.problem.show_literal(str(error))
            self.problem.show()
            return
        doubts = cautions(chosen, found.narrowest)
        self.caution.show_literal("\n".join(doubts))
        self.caution.setVisible(bool(doubts))
        if chosen.train.method == "lora":
            lora = chosen.lora
            under = f"√{lora.r}" if lora.use_rslora else f"{lora.r}"
            self.values["scale"].show_literal(f"{lora.lora_alpha:g} / {under} = {lora.scaling:.4g}")
        self.values["trainable"].show_literal(f"{found.trainable:,}  ({found.share:.2%})")
        self.values["size"].show_literal(size_words(found.adapter_bytes))
        collection, split = self._app_model.collection, self._app_model.split
        if collection is None or split is None:
            return
        from clip_atelier.engine.training import affordable, run_length

        length = run_length(collection.items, split, chosen)
        if self._probed is not None and self._probed[0] == self._key(chosen):
            self._show_probed(self._probed[1])
            return
        speed = self._seconds_a_step(chosen)
        if speed is not None:
            length = affordable(chosen, length, speed)
            self.values["time"].say(
                N_("about {time}, by earlier trainings"), time=duration(length.total * speed)
            )
        self._show_steps(length.trainings, length.steps)

    def _show_steps(self, trainings: int, steps: int) -> None:
        shown = self.values["steps"]
        if trainings == 1:
            shown.show_literal(f"{steps:,}")
            shown.setToolTip("")
            return
        shown.say(N_("{steps} × {count} trainings"), steps=f"{steps:,}", count=trainings)
        words = _("Trained once for each of {folds} folds, to measure, and once on all drawings, to keep.")
        shown.setToolTip(plain_tooltip(words.format(folds=trainings - 1)))

    def _key(self, chosen: settings.Settings) -> object:
        return chosen, self._app_model.state.folder

    def _measure(self) -> None:
        """Takes one step of this draft on the compute lane."""
        values = self._app_model.state.values()
        if self._app_model.split is None or settings.check(values) or self._app_model.lanes.compute.busy:
            return
        chosen, folder = settings.build(values), Path(self._app_model.state.folder)
        key = self._key(chosen)
        job = Job("estimate", partial(jobs.estimate, folder, chosen), idle=True)
        job.done.connect(lambda found: self._on_measured(key, found))
        job.failed.connect(self._app_model.report)
        self._app_model.lanes.compute.submit(job)

    def _on_measured(self, key: object, found: Estimate) -> None:
        self._probed = (key, found)
        self.refresh()

    def _show_probed(self, found: Estimate) -> None:
        self._show_steps(found.trainings, found.steps // found.trainings)
        self.values["time"].say(N_("about {time}"), time=duration(found.seconds))
        if found.memory:
            self.values["memory"].say(
                N_("{used} of {all}"),
                used=size_words(found.memory),
                all=size_words(found.available),
            )
        if not found.fits:
            self.problem.say(
                N_("Too much for this machine. Chunk size {size} gives the same result in less memory."),
                size=found.chunk_size,
            )
            self.problem.show()

    def _seconds_a_step(self, chosen: settings.Settings) -> float | None:
        """As the newest run measured it that asked for the same arithmetic; None where there is none."""
        values = settings.flat(chosen)
        wanted = {name: _plain(values[name]) for name in settings.affecting("speed")}
        for run in reversed(self._app_model.runs):
            asked, result = run.settings, run.result
            alike = all(_plain(asked.get(name)) == value for name, value in wanted.items())
            if alike and result is not None and result.steps:
                # A run by folds trained as long for each of them, and its time is that of all.
                return result.seconds / (result.steps * (result.folds + 1))
        return None


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


class Code(QWidget):
    """The Python program of the draft, ready to copy."""

    def __init__(self, app_model: AppModel) -> None:
        super().__init__()
        self._app_model = app_model
        self.text = QPlainTextEdit()
        SpokenName(self.text, N_("Python code"))
        self.text.setReadOnly(True)
        self.text.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.text.setFont(theme.monospace())
        self.copy = Button(N_("Copy"), "plain", "copy")
        self.copy.clicked.connect(self._copy)
        words = Label(N_("The same configuration with transformers and PEFT alone."), "caption", wrap=True)
        line = row(words, self.copy)
        line.setStretch(0, 1)
        self.setLayout(column(line, self.text))

    def refresh(self) -> None:
        """Writes the code of the draft."""
        from clip_atelier.engine.models import Models
        from clip_atelier.engine.reports import python_code

        values = self._app_model.state.values()
        if settings.check(values):
            self.text.setPlainText("")
            return
        chosen = settings.build(values)
        try:
            folder = str(Models(self._app_model.home).resolve(chosen.model.name))
        except UserError:
            folder = chosen.model.name
        code = python_code(chosen, folder)
        if code != self.text.toPlainText():
            self.text.setPlainText(code)

    def _copy(self) -> None:
        QApplication.clipboard().setText(self.text.toPlainText())
        self.copy.say(N_("Copied"))
        QTimer.singleShot(1500, self.copy, lambda: self.copy.say(N_("Copy")))
