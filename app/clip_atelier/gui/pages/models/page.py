"""The Models page: the models at hand with what they are good at, which suits the open drawings, and what can be fetched."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtWidgets import QFileDialog, QWidget

from clip_atelier.engine.core import N_, _, measured
from clip_atelier.gui import theme
from clip_atelier.gui.pages.models import jobs
from clip_atelier.gui.pages.models.suggested import Suggested
from clip_atelier.gui.parts.beginning import NoFolder
from clip_atelier.gui.parts.delete_question import may_remove
from clip_atelier.gui.parts.measurement import Measurement
from clip_atelier.gui.parts.plain_table import fill_table, whole_table
from clip_atelier.gui.parts.trust import TRUST
from clip_atelier.gui.widgets.layout import card, column, row, scrolled
from clip_atelier.gui.widgets.text import Button, ElidedLabel, Label, SpokenName
from clip_atelier.gui.workers import Job

if TYPE_CHECKING:
    from clip_atelier.engine.evaluation import ModelComparison
    from clip_atelier.engine.models import ModelInfo
    from clip_atelier.gui.app_model import AppModel

_SOURCES = {
    "starter": N_("Bundled"),
    "added": N_("Added"),
    "cache": N_("Hugging Face cache"),
}


def make(app_model: AppModel) -> QWidget:
    """The page."""
    return ModelsPage(app_model)


class ModelsPage(QWidget):
    """All of it."""

    def __init__(self, app_model: AppModel) -> None:
        super().__init__()
        self.app_model = app_model
        self.infos: list[ModelInfo] = []
        self.result: ModelComparison | None = None
        self.at_hand = whole_table(
            (
                N_("Model"),
                N_("Languages"),
                N_("Image size"),
                N_("Size"),
                N_("Licence"),
                N_("From"),
                N_("Good at"),
            )
        )
        SpokenName(self.at_hand, N_("Models at hand"))
        self.add_folder = Button(N_("Add a folder…"), "plain", "folder-open")
        self.add_pack = Button(N_("Add a pack…"), "plain", "plus")
        self.use = Button(N_("Use this model"), "primary", "circle-check")
        self.remove = Button(N_("Remove"), "plain", "x")
        self.note = ElidedLabel(role="caption")
        foot = row(self.note, self.remove, self.use)
        foot.setStretch(0, 1)
        first = card(
            row(Label(N_("Models at hand"), "heading"), None, self.add_folder, self.add_pack),
            Label(TRUST, "muted", wrap=True), self.at_hand,
            foot, gap=theme.S,
        )  # fmt: skip

        self.measurement = Measurement(N_("Which model for my drawings?"), "gauge")
        self.reason = Label(role="strong", wrap=True)
        self.warnings = Label(role="warning", wrap=True)
        self.asked = whole_table(
            (
                N_("Model"),
                N_("Question"),
                N_("Queries"),
                N_("mAP (95 % interval)"),
                N_("R@1"),
                N_("Chance"),
                N_("1,000 images"),
            )
        )
        SpokenName(self.asked, N_("Models compared"))
        about = Label(
            N_("Every model at hand is asked about the open drawings as it is, without training: every question, and how long it takes."),
            "muted", wrap=True,
        )  # fmt: skip
        head = row(about, self.measurement, gap=theme.L)
        head.setStretch(0, 1)
        self.no_folder = NoFolder(app_model, N_("Which model suits is measured on your own drawings."))
        second = card(head, self.no_folder, self.reason, self.warnings, self.asked, gap=theme.S)

        self.suggested = Suggested(app_model)
        inner = QWidget()
        content = column(first, second, self.suggested, None, gap=theme.L)
        content.setContentsMargins(theme.XL, theme.L, theme.XL, theme.XL)
        inner.setLayout(content)
        self.setLayout(column(scrolled(inner), gap=0))

        self.add_folder.clicked.connect(self._ask_for_folder)
        self.add_pack.clicked.connect(self._ask_for_pack)
        self.use.clicked.connect(self._use)
        self.remove.clicked.connect(self._remove)
        self.at_hand.itemSelectionChanged.connect(self._on_selected)
        self.measurement.wanted.connect(self.compare)
        self.suggested.added.connect(self._on_added)
        app_model.collection_changed.connect(self._on_collection)
        app_model.state.changed.connect(self._on_state)
        app_model.restored.connect(lambda kinds: self.read() if "model" in kinds else None)
        self._show_result()
        self._on_collection()
        self.read()

    def read(self) -> None:
        """Reads the list of models from disk."""
        job = Job("models", jobs.list_models)
        job.done.connect(self._on_models)
        job.failed.connect(self.app_model.report)
        self.app_model.lanes.files.submit(job)

    def compare(self) -> None:
        """Asks every model at hand about the open drawings."""
        folder = self.app_model.state.folder
        if not folder or self.measurement.busy:
            return
        job = Job("compare-models", partial(jobs.compare, Path(folder), self.app_model.state.values()))
        job.done.connect(self._on_compared)
        job.failed.connect(self.app_model.report)
        self.measurement.follow(job)
        self.app_model.lanes.compute.submit(job)

    @property
    def selected(self) -> ModelInfo | None:
        """The model that is turned to."""
        line = self.at_hand.currentRow()
        chosen = self.at_hand.selectionModel()
        has = chosen is not None and chosen.hasSelection()
        return self.infos[line] if has and 0 <= line < len(self.infos) else None

    def retranslate(self) -> None:
        """What was put together from several messages."""
        self._show_models()
        self._show_result()

    def _on_models(self, found: list[ModelInfo]) -> None:
        self.infos = found
        self._show_models()

    def _show_models(self) -> None:
        from clip_atelier.engine.models import languages, shelf

        lines = []
        for info in self.infos:
            known = shelf.known(info.name)
            lines.append(
                (
                    info.name,
                    languages.named(known.languages) if known else _("measured when it is used"),
                    f"{info.image_size} px",
                    _("{count} M parameters").format(count=f"{info.parameters / 1e6:,.0f}"),
                    (known.licence or _("see its model card")) if known else "–",
                    _(_SOURCES[info.source]),
                    known.use if known else "–",
                )
            )
        fill_table(self.at_hand, lines)
        now = str(self.app_model.state.value("model.name"))
        for line, info in enumerate(self.infos):
            if info.name == now:
                self.at_hand.selectRow(line)
        self._on_selected()

    def _on_selected(self) -> None:
        info = self.selected
        now = str(self.app_model.state.value("model.name"))
        self.use.setEnabled(info is not None and info.name != now)
        self.remove.setEnabled(info is not None and info.source == "added")
        self.note.say(N_("In use: {model}"), model=now)

    def _on_state(self, what: str) -> None:
        if what in ("draft", "preset"):
            self._on_selected()

    def _on_collection(self) -> None:
        self.measurement.start.setEnabled(self.app_model.split is not None)
        folder = self.app_model.state.folder
        if self.result is not None and (
            not folder or Path(folder).resolve() != Path(self.result.folder).resolve()
        ):
            self.result = None
            self._show_result()

    def _on_compared(self, result: ModelComparison) -> None:
        self.result = result
        self._show_result()
        for line, info in enumerate(self.infos):
            if info.name == result.recommended:
                self.at_hand.selectRow(line)

    def _show_result(self) -> None:
        result = self.result
        for part in (self.reason, self.asked, self.warnings):
            part.setVisible(result is not None)
        if result is None:
            return
        from clip_atelier.engine.evaluation import TASKS

        self.reason.show_literal(result.reason or _("No model could be asked."))
        told = [m.warning for m in result.models if m.warning]
        told += [f"{m.name}: {m.error}" for m in result.models if m.error]
        self.warnings.show_literal("\n".join(told))
        self.warnings.setVisible(bool(told))
        lines = [
            (
                model.name,
                _(TASKS[name]),
                f"{answer.queries:,}",
                f"{measured(answer.interval.value)} ({measured(answer.interval.low)} … {measured(answer.interval.high)})",
                measured(answer.metrics.get("R@1")),
                measured(answer.chance),
                _("{seconds} s").format(seconds=f"{model.seconds_per_1000 or 0:.1f}"),
            )
            for model in result.models
            for name, answer in model.questions.items()
        ]
        fill_table(self.asked, lines)

    def _use(self) -> None:
        info = self.selected
        if info is not None:
            self.app_model.state.set_value("model.name", info.name)
            self._on_selected()

    def _remove(self) -> None:
        info = self.selected
        if info is None or info.source != "added":
            return
        from clip_atelier.engine.runs import model_warning

        warning = model_warning(info.name, self.app_model.runs)
        if warning and not may_remove(self, info.name, warning):
            return
        if info.name == self.app_model.state.value("model.name"):
            self.app_model.state.set_value("model.name", "starter")
        job = Job("remove-model", partial(jobs.remove, info.name))
        job.done.connect(self.app_model.deleted)
        job.failed.connect(self.app_model.report)
        job.ended.connect(self.read)
        self.app_model.lanes.files.submit(job)

    def _ask_for_folder(self) -> None:
        chosen = QFileDialog.getExistingDirectory(
            self, _("Choose a Hugging Face or open_clip folder"), str(Path.home())
        )
        if chosen:
            self.add(Path(chosen))

    def _ask_for_pack(self) -> None:
        chosen, _filter = QFileDialog.getOpenFileName(
            self, _("Choose a model pack"), str(Path.home()), "*.clipmodel *.zip"
        )
        if chosen:
            self.add(Path(chosen))

    def add(self, source: Path) -> None:
        """Brings a folder or pack into the home."""
        from clip_atelier.gui.jobs import add_model

        job = Job("model", partial(add_model, source))
        job.done.connect(self._on_added)
        job.failed.connect(self.app_model.report)
        self.app_model.lanes.files.submit(job)

    def _on_added(self, name: str) -> None:
        self.app_model.news.emit(_("The model “{name}” is at hand.").format(name=name), "")
        self.read()
