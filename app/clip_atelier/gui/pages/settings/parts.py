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
from clip_atelier.gui.pages.settings import jobs
from clip_atelier.gui.widgets.layout import column, row
from clip_atelier.gui.widgets.text import Button, Label, SpokenName
from clip_atelier.gui.workers import Job

if TYPE_CHECKING:
    from clip_atelier.engine.training import Estimate
    from clip_atelier.gui.app_model import AppModel


class PresetCard(QFrame):
    """One starting point."""

    chosen = Signal(str)

    def __init__(self, preset: Preset) -> None:
        super().__init__()
        self.preset = preset
        self.setProperty("role", "preset")
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.title = Label(preset.title, "strong")
        layout = column(self.title, Label(preset.summary, "caption", wrap=True), None, gap=theme.XS)
        layout.setContentsMargins(theme.M, theme.M, theme.M, theme.M)
        self.setLayout(layout)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Minimum)
        self.retranslate()

    def retranslate(self) -> None:
        """Its name for screen readers."""
        self.setAccessibleName(_(self.preset.title))

    def show_chosen(self, on: bool) -> None:
        """Gives it the look of the chosen one."""
        self.setProperty("chosen", on)
        self.style().unpolish(self)
        self.style().polish(self)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """A click chooses it."""
        if self.rect().contains(event.position().toPoint()):
            self.chosen.emit(self.preset.name)
        super().mouseReleaseEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Space and Enter choose it."""
        if event.key() in (Qt.Key.Key_Space, Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.chosen.emit(self.preset.name)
            return
        super().keyPressEvent(event)


class Explanation(QWidget):
    """The long explanation of the setting that was turned to."""

    def __init__(self) -> None:
        super().__init__()
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
        layout = column(
            self.title,
            self.key,
            theme.XS,
            self.detail,
            self.choices,
            self.facts,
            self.source,
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
        self.probe = Button(N_("Measure one step"), "plain", "gauge")
        self.probe.clicked.connect(self._measure)
        # Lines of their own, not a grid: a short title leaves its room to a long value.
        lines = (row(Label(titles[name], "muted"), None, value) for name, value in self.values.items())
        layout = column(*lines, self.problem, self.probe, gap=6)
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
        if chosen.train.method == "lora":
            lora = chosen.lora
            under = f"√{lora.r}" if lora.use_rslora else f"{lora.r}"
            self.values["scale"].show_literal(f"{lora.lora_alpha:g} / {under} = {lora.scaling:.4g}")
        self.values["trainable"].show_literal(f"{found.trainable:,}  ({found.share:.2%})")
        self.values["size"].show_literal(size_words(found.adapter_bytes))
        collection, split = self._app_model.collection, self._app_model.split
        if collection is None or split is None:
            return
        from clip_atelier.engine.training import step_count

        steps = step_count(collection.items, split, chosen)
        self.values["steps"].show_literal(f"{steps:,}")
        if self._probed is not None and self._probed[0] == self._key(chosen):
            self._show_probed(self._probed[1])
            return
        speed = self._seconds_a_step(chosen)
        if speed is not None:
            self.values["time"].say(N_("about {time}, by earlier runs"), time=duration(steps * speed))

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
                return result.seconds / result.steps
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
