"""The Settings page: presets, the form, what a setting means, and what the whole comes to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QFrame, QWidget

from clip_atelier.engine.core import N_
from clip_atelier.engine.settings import PRESETS
from clip_atelier.gui import theme
from clip_atelier.gui.form import Form
from clip_atelier.gui.pages.settings.model_choice import ModelChoice
from clip_atelier.gui.widgets.layout import column, row, scrolled
from clip_atelier.gui.widgets.tabs import Tabs
from clip_atelier.gui.widgets.text import Button, Label

if TYPE_CHECKING:
    from clip_atelier.gui.app_model import AppModel
from clip_atelier.gui.pages.settings.parts import Code, Explanation, PresetCard, Readouts

_PANEL = 332


def make(app_model: AppModel) -> QWidget:
    """The page."""
    return SettingsPage(app_model)


class SettingsPage(QWidget):
    """All of it."""

    def __init__(self, app_model: AppModel) -> None:
        super().__init__()
        self.app_model = app_model
        state = app_model.state
        self.presets = {name: PresetCard(preset) for name, preset in PRESETS.items()}
        for one in self.presets.values():
            one.chosen.connect(state.choose_preset)
        self.form = Form(state, {"model.name": lambda _declared: ModelChoice(app_model.home)})
        cards = row(*self.presets.values(), gap=theme.M)
        left = QWidget()
        content = column(
            Label(N_("Start from a preset"), "heading"), cards, theme.L, self.form, None, gap=theme.M
        )
        content.setContentsMargins(theme.XL, theme.L, theme.XL, theme.XL)
        left.setLayout(content)
        self.area = scrolled(left)

        self.explanation = Explanation()
        self.code = Code(app_model)
        self.readouts = Readouts(app_model)
        self.tabs = Tabs()
        self.tabs.add("explanation", N_("Explanation"), scrolled(self.explanation))
        self.tabs.add("code", N_("Python code"), self.code)
        self.tabs.changed.connect(lambda _name: self.code.refresh())
        self.train = Button(N_("Train with these settings"), "primary", "play")
        self.train.clicked.connect(self._train)
        self.why_not = Label(role="muted", wrap=True)
        panel = QFrame()
        panel.setProperty("role", "panel")
        panel.setFixedWidth(_PANEL)
        side = column(self.tabs, self.readouts, self.why_not, self.train, gap=theme.M)
        side.setStretch(0, 1)
        side.setContentsMargins(theme.L, theme.S, theme.L, theme.L)
        panel.setLayout(side)
        whole = row(self.area, panel, gap=0)
        whole.setStretch(0, 1)
        self.setLayout(whole)

        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(120)
        self._soon.timeout.connect(self._work_out)
        self.form.turned_to.connect(self._explain)
        self.form.checked.connect(lambda _good: self._soon.start())
        state.changed.connect(self._on_state)
        app_model.collection_changed.connect(self._work_out)
        app_model.runs_changed.connect(self._work_out)
        app_model.read_runs()
        self._explain("lora.r")
        self._mark_preset()
        self._work_out()

    def show_error(self, setting: str, message: str) -> bool:
        """Shows an error of the engine beside its setting; False if there is no such setting here."""
        if setting not in self.form.rows:
            return False
        self.form.show_error(setting, message)
        return True

    def views(self) -> tuple[Tabs, ...]:
        """The tabs of the page, for pictures of all of it."""
        return (self.tabs,)

    def retranslate(self) -> None:
        """What was put together from several messages."""
        self._work_out()

    def _explain(self, name: str) -> None:
        self.explanation.show_setting(name)
        for row_name, made in self.form.rows.items():
            made.show_turned_to(row_name == name)

    def _on_state(self, what: str) -> None:
        if what == "preset":  # A click is answered at once; what it comes to may take a moment.
            self._mark_preset()
        if what in ("draft", "preset"):
            self._soon.start()

    def _mark_preset(self) -> None:
        for name, one in self.presets.items():
            one.show_chosen(name == self.app_model.state.get("preset"))

    def _work_out(self) -> None:
        self.readouts.refresh()
        if self.tabs.current == "code":
            self.code.refresh()
        problems = self.form.problems()
        ready = self.app_model.split is not None and not problems and not self.app_model.lanes.compute.busy
        self.train.setEnabled(ready)
        reason = ""
        if problems:
            reason = N_("Mend the settings marked in red first.")
        elif self.app_model.split is None:
            reason = N_("Open a folder of drawings first.")
        self.why_not.say(reason)
        self.why_not.setVisible(bool(reason))

    def _train(self) -> None:
        self.app_model.page_wanted.emit("training")
        self.app_model.asked_to_train.emit()
