"""A line that warns of captions in a language that the chosen model does not know, with the models that do."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtWidgets import QFrame

from clip_atelier.engine.core import N_, Control, UserError, Work
from clip_atelier.gui import theme
from clip_atelier.gui.widgets.layout import row
from clip_atelier.gui.widgets.text import Button, Label, Picture
from clip_atelier.gui.workers import Job

if TYPE_CHECKING:
    from clip_atelier.gui.app_model import AppModel
    from clip_atelier.gui.workers import Tools


class LanguageWarning(QFrame):
    """Hidden while there is nothing to warn of.

    Of a model that the shelf knows it is told at once; another one is measured when the compute lane is free, once ever.
    """

    def __init__(self, app_model: AppModel) -> None:
        super().__init__()
        self._app_model = app_model
        self._asked_for = ""
        self._measured: dict[str, tuple[str, ...]] = {}
        self.words = Label(role="warning", wrap=True)
        self.other = Button(N_("Choose another model"), "plain")
        self.other.clicked.connect(lambda: app_model.page_wanted.emit("models"))
        layout = row(Picture("triangle-alert", 18, "warning"), self.words, self.other, gap=theme.M)
        layout.setStretch(1, 1)
        self.setLayout(layout)
        self.hide()
        app_model.collection_changed.connect(self.refresh)
        app_model.state.changed.connect(self._on_state)
        self.refresh()

    def _on_state(self, what: str) -> None:
        if what in ("draft", "preset"):
            self.refresh()

    def retranslate(self) -> None:
        """The warning in the current language."""
        self.refresh()

    def refresh(self) -> None:
        """Looks at the captions of the open collection and at the chosen model."""
        from clip_atelier.engine.models import languages

        collection = self._app_model.collection
        name = str(self._app_model.state.value("model.name"))
        known = languages.told(name) or self._measured.get(name)
        text = ""
        if collection is not None and known is not None:
            captions = (caption for item in collection.items for caption in item.captions)
            text = languages.warning(captions, known, name)
        elif collection is not None:
            self._measure(name)
        self.words.show_literal(text)
        self.setVisible(bool(text))

    def _measure(self, name: str) -> None:
        if name == self._asked_for:
            return
        self._asked_for = name
        job = Job("languages", partial(_languages, name), idle=True)
        job.done.connect(partial(self._on_measured, name))
        self._app_model.lanes.compute.submit(job)

    def _on_measured(self, name: str, known: tuple[str, ...]) -> None:
        self._measured[name] = known
        self.refresh()


def _languages(name: str, tools: Tools, control: Control) -> Work[tuple[str, ...]]:
    """The languages of a model, measured; none of one that cannot be opened, which is said where it is trained."""
    from clip_atelier.engine.models import languages
    from clip_atelier.engine.settings import HardwareSettings

    try:
        clip = tools.models.open(name, HardwareSettings())
    except UserError:
        return ()
    return (yield from languages.languages(clip, tools.home, control))
