"""The words that the user taught to a run, and how sure each is."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QInputDialog,
    QMessageBox,
    QStackedWidget,
    QTableWidget,
    QTableWidgetItem,
    QWidget,
)

from clip_atelier.engine.core import N_, Control, Work, _
from clip_atelier.gui import theme
from clip_atelier.gui.pages.learned import jobs
from clip_atelier.gui.parts.beginning import Beginning
from clip_atelier.gui.parts.taught_words import SURE, found, how_sure
from clip_atelier.gui.widgets.layout import card, column, row
from clip_atelier.gui.widgets.text import Button, Label, SpokenName, plain_tooltip
from clip_atelier.gui.workers import Job

if TYPE_CHECKING:
    from clip_atelier.engine.parts import TaughtList, TaughtWord
    from clip_atelier.engine.runs import RunSummary
    from clip_atelier.gui.app_model import AppModel
    from clip_atelier.gui.workers import Tools

_COLUMNS = (N_("Word"), N_("Drawings"), N_("Found"), N_("How sure"))


class Taught(QWidget):
    """A run's own words: a table, and what can be done with the chosen one."""

    def __init__(self, app_model: AppModel) -> None:
        super().__init__()
        self.app_model = app_model
        self.words: tuple[TaughtWord, ...] = ()
        self._run: RunSummary | None = None
        about = Label(
            N_(
                "Words of your own, each taught from a few drawings. Found says how many of its drawings a word finds when "
                "it is learned from the others."
            ),
            "muted",
            wrap=True,
        )
        self.table = QTableWidget(0, len(_COLUMNS))
        SpokenName(self.table, N_("Words you taught"))
        self.table.verticalHeader().hide()
        self.table.setShowGrid(False)
        self.table.setTabKeyNavigation(False)
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        header = self.table.horizontalHeader()
        header.setHighlightSections(False)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        header.setSectionResizeMode(len(_COLUMNS) - 1, QHeaderView.ResizeMode.Stretch)
        self.table.setColumnWidth(0, 260)
        self.rename = Button(N_("Rename…"))
        self.forget = Button(N_("Forget"))
        self.rename.clicked.connect(self._ask_for_name)
        self.forget.clicked.connect(self._ask_to_forget)
        hint = Label(N_("Double-click a word to search for it."), "caption", wrap=True)
        below = row(hint, self.rename, self.forget)
        below.setStretch(0, 1)
        framed = card(self.table, below, gap=theme.S, margin=theme.M)
        self.beginning = Beginning(app_model, "type", 420, trained=True)
        self.stack = QStackedWidget()
        self.stack.addWidget(self.beginning)
        self.stack.addWidget(framed)
        layout = column(about, self.stack, gap=theme.M)
        layout.setStretch(1, 1)
        self.setLayout(layout)
        self.table.itemSelectionChanged.connect(self._enable)
        self.table.cellActivated.connect(lambda y, _x: self._search(self.words[y].word))
        app_model.words_taught.connect(self._on_taught)
        self.retranslate()
        self._show(())

    def choose(self, run: RunSummary | None) -> None:
        """Shows another run's words."""
        if run is None or self._run is None or run.run != self._run.run:
            self._run = run
            self._show(())
            self._read()

    def retranslate(self) -> None:
        """The table in the current language."""
        self.table.setHorizontalHeaderLabels([_(title) for title in _COLUMNS])
        self._show(self.words)

    @property
    def chosen(self) -> TaughtWord | None:
        """The word of the selected row."""
        rows = self.table.selectionModel().selectedRows()
        return self.words[rows[0].row()] if rows else None

    def give_name(self, word: str, name: str) -> None:
        """Renames a word."""
        self._change(lambda run: partial(jobs.rename_taught, run, word, name))

    def take_away(self, word: str) -> None:
        """Forgets a word."""
        self._change(lambda run: partial(jobs.forget_taught, run, word))

    def _on_taught(self, run: str) -> None:
        if self._run is not None and self._run.run == run:
            self._read()

    def _read(self) -> None:
        if self._run is not None:
            self._submit("taught", partial(jobs.list_taught, self._run.run))

    def _change(self, of_run: Callable[[str], Callable[[Tools, Control], Work[Any]]]) -> None:
        if self._run is not None:
            run = self._run.run
            job = self._submit("change-taught", of_run(run))
            job.done.connect(lambda _found: self.app_model.words_taught.emit(run))

    def _submit(self, name: str, make: Callable[[Tools, Control], Work[Any]]) -> Job:
        job = Job(name, make)
        job.done.connect(partial(self._on_words, self._run))
        job.failed.connect(self.app_model.report)
        self.app_model.lanes.files.submit(job)
        return job

    def _on_words(self, run: RunSummary | None, taught: TaughtList) -> None:
        if self._run is not None and run is not None and run.run == self._run.run:
            self._show(taught.words)

    def _show(self, words: tuple[TaughtWord, ...]) -> None:
        kept = self.chosen
        self.words = words
        self.table.setRowCount(len(words))
        for y, word in enumerate(words):
            texts = (word.word, str(len(word.drawings)), found(word), _(SURE[word.sure]))
            for x, text in enumerate(texts):
                cell = QTableWidgetItem(text)
                cell.setToolTip(plain_tooltip(how_sure(word)))
                self.table.setItem(y, x, cell)
            if kept is not None and word.word == kept.word:
                self.table.selectRow(y)
        self.stack.setCurrentIndex(1 if words else 0)
        self.beginning.teach(
            N_(
                "No word was taught to this training yet. Choose three or more drawings on the Collection page."
            )
            if self._run
            else N_("Words that you teach a training stand here, each with how surely it is found.")
        )
        self._enable()

    def _enable(self) -> None:
        for button in (self.rename, self.forget):
            button.setEnabled(self.chosen is not None)

    def _search(self, word: str) -> None:
        self.app_model.page_wanted.emit("search")
        self.app_model.asked_for_words.emit(word)

    def _ask_for_name(self) -> None:
        word = self.chosen
        if word is None:
            return
        name, given = QInputDialog.getText(
            self, _("Rename"), _("Another name for “{word}”:").format(word=word.word), text=word.word
        )
        if given and name.strip() and name.strip() != word.word:
            self.give_name(word.word, name.strip())

    def _ask_to_forget(self) -> None:
        word = self.chosen
        if word is not None and _may_forget(self, word.word):
            self.take_away(word.word)


def _may_forget(parent: QWidget, word: str) -> bool:
    question = QMessageBox(parent)
    question.setTextFormat(Qt.TextFormat.PlainText)
    question.setIcon(QMessageBox.Icon.NoIcon)
    question.setText(_("Forget the word “{word}”?").format(word=word))
    question.setInformativeText(_("Its drawings stay where they are, and it can be taught again."))
    yes = question.addButton(_("Forget"), QMessageBox.ButtonRole.DestructiveRole)
    question.addButton(_("Keep"), QMessageBox.ButtonRole.RejectRole)
    question.exec()
    return question.clickedButton() is yes
