"""The models that are suggested, each fetched only when somebody asks for it and says yes to what it is."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QMessageBox, QWidget

from clip_atelier.engine.core import N_, _, size_words
from clip_atelier.gui import theme
from clip_atelier.gui.pages.models import jobs
from clip_atelier.gui.parts.measurement import Measurement
from clip_atelier.gui.parts.plain_table import fill_table, whole_table
from clip_atelier.gui.widgets.layout import card, column, row
from clip_atelier.gui.widgets.text import Label, SpokenName
from clip_atelier.gui.workers import Job

if TYPE_CHECKING:
    from clip_atelier.engine.models import ShelfModel
    from clip_atelier.gui.app_model import AppModel


class Suggested(QWidget):
    """A table of models with their facts, and a button that fetches the chosen one."""

    added = Signal(object)  # a model's name

    def __init__(self, app_model: AppModel) -> None:
        super().__init__()
        self._app_model = app_model
        self.table = whole_table(
            (N_("Model"), N_("Languages"), N_("Image size"), N_("Size"), N_("Licence"), N_("Good at"))
        )
        SpokenName(self.table, N_("Suggested models"))
        self.measurement = Measurement(N_("Download…"), "download")
        about = Label(
            N_("Nothing is fetched by itself. Choose a model to download it, or copy its folder here and add it."),
            "muted", wrap=True,
        )  # fmt: skip
        foot = row(about, self.measurement, gap=theme.L)
        foot.setStretch(0, 1)
        self.setLayout(column(card(Label(N_("Suggested models"), "heading"), self.table, foot, gap=theme.S)))
        self.table.itemSelectionChanged.connect(self._on_selected)
        self.measurement.wanted.connect(self.ask)
        self.retranslate()
        self._on_selected()

    @property
    def chosen(self) -> ShelfModel | None:
        """The model that is turned to."""
        from clip_atelier.engine.models import shelf

        selection = self.table.selectionModel()
        offered, line = shelf.suggested(), self.table.currentRow()
        has = selection is not None and selection.hasSelection() and 0 <= line < len(offered)
        return offered[line] if has else None

    def ask(self) -> None:
        """Tells what the chosen model is, and fetches it if the answer is yes."""
        model = self.chosen
        if model is not None and not self.measurement.busy and may_download(self, model):
            self.download(model.name)

    def download(self, name: str) -> None:
        """Fetches a model and adds it."""
        job = Job("download", partial(jobs.download, name))
        job.done.connect(self.added)
        job.failed.connect(self._app_model.report)
        self.measurement.follow(job)
        self._app_model.lanes.network.submit(job)

    def retranslate(self) -> None:
        """The table in the current language."""
        from clip_atelier.engine.models import languages, shelf

        line = self.table.currentRow()
        lines = [
            (
                m.name,
                languages.named(m.languages),
                f"{m.image_size} px",
                size_words(m.bytes),
                m.licence,
                m.use,
            )
            for m in shelf.suggested()
        ]
        fill_table(self.table, lines)
        if line >= 0:
            self.table.selectRow(line)

    def _on_selected(self) -> None:
        self.measurement.start.setEnabled(self.chosen is not None)


def may_download(parent: QWidget, model: ShelfModel) -> bool:
    """Asks whether a model is to be fetched: how large it is, whose licence it has, what it is good at."""
    from clip_atelier.engine.models import languages

    question = QMessageBox(parent)
    question.setTextFormat(Qt.TextFormat.PlainText)
    question.setIcon(QMessageBox.Icon.NoIcon)
    question.setText(_("Download “{model}”?").format(model=model.name))
    facts = _("{size}, licence {licence}, image size {side} px. Languages: {languages}. {use}").format(
        size=size_words(model.bytes), licence=model.licence, side=model.image_size,
        languages=languages.named(model.languages), use=model.use,
    )  # fmt: skip
    how = _(
        "It comes from the Hugging Face hub, or from the mirror that HF_ENDPOINT names; nothing of yours is sent. It can be stopped and goes on from where it was."
    )
    question.setInformativeText(f"{facts}\n\n{how}")
    yes = question.addButton(_("Download"), QMessageBox.ButtonRole.AcceptRole)
    question.addButton(_("Not now"), QMessageBox.ButtonRole.RejectRole)
    question.exec()
    return question.clickedButton() is yes
