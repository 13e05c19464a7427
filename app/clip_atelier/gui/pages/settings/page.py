"""The Settings page: presets, the form, what a setting means, and what the whole comes to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QTimer
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QFrame, QWidget

from clip_atelier.engine.core import N_, _
from clip_atelier.engine.settings import PRESETS, recommended
from clip_atelier.gui import theme
from clip_atelier.gui.actions import Bound
from clip_atelier.gui.form import Form
from clip_atelier.gui.pages.settings.model_choice import ModelChoice
from clip_atelier.gui.pages.settings.own_presets import OwnPresets
from clip_atelier.gui.pages.settings.pictures import Pictures
from clip_atelier.gui.parts.beginning import NoFolder
from clip_atelier.gui.widgets.layout import Even, column, row, scrolled
from clip_atelier.gui.widgets.tabs import Tabs
from clip_atelier.gui.widgets.text import Button, Label

if TYPE_CHECKING:
    from clip_atelier.gui.app_model import AppModel
from clip_atelier.gui.pages.settings.parts import Code, Explanation, PresetCard, Readouts

_PANEL = 332
_CARD = 130  # pixels: the words of a preset are not put into narrower columns
_PRIMARY = "auto"
"""The preset that almost everybody is served best by; the others are for who knows what they want."""


def make(app_model: AppModel) -> QWidget:
    """The page."""
    return SettingsPage(app_model)


class SettingsPage(QWidget):
    """All of it."""

    def __init__(self, app_model: AppModel) -> None:
        super().__init__()
        self.app_model = app_model
        state = app_model.state
        self.presets = {
            name: PresetCard(preset, primary=name == _PRIMARY) for name, preset in PRESETS.items()
        }
        for one in self.presets.values():
            one.chosen.connect(state.choose_preset)
        self.form = Form(state, {"model.name": lambda _declared: ModelChoice(app_model.home)})
        self.own = OwnPresets(state)
        experts = Even(_CARD)
        for name, one in self.presets.items():
            if name != _PRIMARY:
                experts.addWidget(one)
        left = QWidget()
        content = column(
            Label(N_("Start from a preset"), "heading"), self.presets[_PRIMARY],
            Label(N_("For experts: one way of training, chosen by hand"), "caption"), experts, self.own, theme.L,
            self.form, None, gap=theme.M,
        )  # fmt: skip
        content.setContentsMargins(theme.L, theme.L, theme.L, theme.XL)
        left.setLayout(content)
        self.area = scrolled(left)

        self.explanation = Explanation(state)
        self.code = Code(app_model)
        self.readouts = Readouts(app_model)
        self.tabs = Tabs()
        self.tabs.add("explanation", N_("Explanation"), scrolled(self.explanation))
        self.pictures = Pictures(app_model)
        self.tabs.add("picture", N_("Picture"), scrolled(self.pictures))
        self.tabs.add("code", N_("Python code"), self.code)
        self.tabs.setMinimumHeight(120)  # on a low screen they give way to the button that trains
        self.tabs.changed.connect(lambda _name: self._show_tab())
        self.train = Button(N_("Train with these settings"), "primary", "play")
        self.train.clicked.connect(self._train)
        self.why_not = Label(role="muted", wrap=True)
        self.no_folder = NoFolder(
            app_model, N_("Training needs drawings. What is chosen here stays as it is."), narrow=True
        )
        panel = QFrame()
        panel.setProperty("role", "panel")
        panel.setFixedWidth(_PANEL)
        side = column(self.tabs, self.readouts, self.no_folder, self.why_not, self.train, gap=theme.M)
        side.setStretch(0, 1)
        side.setContentsMargins(theme.L, theme.S, theme.L, theme.L)
        panel.setLayout(side)
        whole = row(self.area, panel, gap=0)
        whole.setStretch(0, 1)
        self.setLayout(whole)

        Bound("settings.train", self, self.train.click, usable=self.train.isEnabled)
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(120)
        self._soon.timeout.connect(self._work_out)
        self.form.turned_to.connect(self._explain)
        self.form.checked.connect(lambda _good: self._soon.start())
        state.changed.connect(self._on_state)
        app_model.collection_changed.connect(self._work_out)
        app_model.runs_changed.connect(self._work_out)
        app_model.lanes.compute.current_changed.connect(lambda _job: self._say_train())
        app_model.read_runs()
        self._explain("evaluation.parts" if state.get("preset") == _PRIMARY else "lora.r")
        self._mark_preset()
        self._say_train()
        self._work_out()

    def showEvent(self, event: QShowEvent) -> None:
        """Whoever looks at the settings may train next."""
        super().showEvent(event)
        self.app_model.get_trainer_ready()

    def show_error(self, setting: str, message: str) -> bool:
        """Shows an error of the engine beside its setting; False if there is no such setting here."""
        if setting not in self.form.rows:
            return False
        self.form.show_error(setting, message)
        return True

    def reveal(self, setting: str) -> None:
        """Turns to the field of a setting, and explains it."""
        self.form.reveal(setting)
        QTimer.singleShot(0, self, lambda: self.area.ensureWidgetVisible(self.form.rows[setting], 0, 80))

    def views(self) -> tuple[Tabs, ...]:
        """The tabs of the page, for pictures of all of it."""
        return (self.tabs,)

    def landmark(self) -> QWidget:
        """What a newcomer is pointed to here."""
        return self.train

    def retranslate(self) -> None:
        """What was put together from several messages."""
        self._work_out()

    def _explain(self, name: str) -> None:
        self.explanation.show_setting(name)
        for row_name, made in self.form.rows.items():
            made.show_turned_to(row_name == name)

    def _on_state(self, what: str) -> None:
        if what in ("draft", "preset"):  # A click is answered at once; what it comes to may take a moment.
            self._mark_preset()
            self._soon.start()

    def _mark_preset(self) -> None:
        for name, one in self.presets.items():
            one.show_chosen(
                name == self.app_model.state.get("preset"), len(self.app_model.state.changed_from_preset)
            )

    def _show_tab(self) -> None:
        """What is on top follows the draft."""
        if self.tabs.current == "code":
            self.code.refresh()
        elif self.tabs.current == "picture":
            self.pictures.refresh()

    def _work_out(self) -> None:
        self._recommend()
        self.readouts.refresh()
        self.explanation.draw()
        self._show_tab()
        problems = self.form.problems()
        ready = self.app_model.split is not None and not problems
        self.train.setEnabled(ready)
        reason = ""
        if problems:
            reason = N_("Fix the settings marked in red first.")
        elif self.app_model.split is None and self.app_model.state.folder:
            reason = N_("Training can begin when the folder is read.")
        self.why_not.say(reason)
        self.why_not.setVisible(bool(reason))

    def _recommend(self) -> None:
        """Says what fits the open folder, and why."""
        reasons = dict.fromkeys(self.presets, "")
        collection = self.app_model.collection
        if collection is not None and collection.items:
            count, pairs = len(collection.items), len(collection.pairs)
            found = recommended(count, pairs)
            because = _(found.because).format(count=f"{count:,}", pairs=f"{pairs:,}")
            reasons[found.by_hand] = _("Fits this folder: {reason}.").format(reason=because)
            reasons[found.preset] = _(
                "Recommended for this folder, since what helps differs from one to the next: it is tried and measured on "
                "your {count} drawings. By hand “{preset}” would fit: {reason}."
            ).format(count=f"{count:,}", preset=_(PRESETS[found.by_hand].title), reason=because)
        for name, one in self.presets.items():
            one.show_reason(reasons[name])

    def _say_train(self) -> None:
        """What the button does now: a training that goes on is not disturbed."""
        now = self.app_model.lanes.compute.current
        queued = now is not None and now.name == "train"
        self.train.say(N_("Add to the queue") if queued else N_("Train with these settings"))

    def _train(self) -> None:
        self.app_model.page_wanted.emit("training")
        self.app_model.asked_to_train.emit()
