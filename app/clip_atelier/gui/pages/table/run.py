"""The chosen run below the table: its settings, its verdict, and what can be done with it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QMenu, QStackedWidget, QWidget

from clip_atelier.engine.core import N_, _, paths
from clip_atelier.engine.settings import written
from clip_atelier.gui import theme
from clip_atelier.gui.parts.result import Result
from clip_atelier.gui.parts.table_model import run_title
from clip_atelier.gui.widgets.layout import box, column, row, scrolled
from clip_atelier.gui.widgets.text import Button, ElidedLabel, Label

if TYPE_CHECKING:
    from clip_atelier.engine.evaluation import Row


class RunPane(QWidget):
    """One run in words and numbers."""

    training = Signal(str)  # open it on the Training page
    search = Signal(str)  # search with it
    adopt = Signal(str)  # take over its settings
    reveal = Signal(str)
    delete = Signal(object)  # run ids
    label = Signal(object)  # a row: its name, note and colour
    archive = Signal(object)  # rows
    compare = Signal(object)  # two rows

    def __init__(self) -> None:
        super().__init__()
        self._rows: list[Row] = []
        self.name = ElidedLabel(role="heading")
        self.facts = ElidedLabel(role="muted")
        self.to_training = Button(N_("Open in Training"), "plain", "activity")
        self.to_search = Button(N_("Search with it"), "plain", "search")
        self.more = Button("", "icon", "ellipsis", tip=N_("More about this training"))
        self.menu = QMenu(self)
        self.menu.aboutToShow.connect(self._fill_menu)
        self.more.setMenu(self.menu)
        self.result = Result(own_measure=False)  # the page has one for everything
        self.nothing = Label(role="muted", wrap=True)
        head = row(
            column(self.name, self.facts, gap=0), self.to_training, self.to_search, self.more, gap=theme.S
        )
        head.setStretch(0, 1)
        self._stack = QStackedWidget()
        full = QWidget()
        whole = column(head, scrolled(box(self.result, self.nothing, None)), gap=theme.S)
        whole.setStretch(1, 1)
        full.setLayout(whole)
        self._stack.addWidget(
            box(Label(N_("Choose a training in the table to see its verdict."), "muted"), None)
        )
        self._stack.addWidget(full)
        self.setLayout(column(self._stack))
        self.to_training.clicked.connect(lambda: self.training.emit(self._rows[0].run))
        self.to_search.clicked.connect(lambda: self.search.emit(self._rows[0].run))

    def show_rows(self, rows: Sequence[Row]) -> None:
        """Shows the first of the chosen runs; what is done is done to all of them."""
        self._rows = list(rows)
        self._stack.setCurrentIndex(1 if rows else 0)
        if not rows:
            return
        first = rows[0]
        name = run_title(first)
        self.name.show_literal(
            name if len(rows) == 1 else _("{name} and {count} more").format(name=name, count=len(rows) - 1)
        )
        settings = first.settings
        facts = [first.targets]
        if settings.get("train.method") == "lora":
            facts = [
                f"r = {settings.get('lora.r')}",
                f"lora_alpha = {written(settings.get('lora.lora_alpha'))}",
                *facts,
            ]
        facts += [f"seed = {settings.get('train.seed')}", paths.shown(Path(first.folder).name)]
        if first.label.note:
            facts.append(first.label.note.splitlines()[0])
        self.facts.show_literal("  ·  ".join(facts))
        self.result.setVisible(first.measured)
        self.nothing.setVisible(not first.measured)
        self.to_search.setVisible(first.measured)
        if first.measured:
            self.result.show_result(first.result)
        else:
            self.nothing.say(
                N_(
                    "This training has no comparison: it did not come to its end. Open its curves to go on with it."
                )
            )

    def show_metric(self, name: str) -> None:
        """Shows the numbers of another metric."""
        if self.result.measure.value() != name:
            self.result.measure.set_value(name)
            self.result.measure.edited.emit()

    def retranslate(self) -> None:
        """The same in the current language."""
        self.show_rows(self._rows)

    def _fill_menu(self) -> None:
        self.menu.clear()
        self.add_actions(self.menu)

    def add_actions(self, menu: QMenu) -> None:
        """What can be done with the chosen runs."""
        if not self._rows:
            return
        rows = list(self._rows)
        runs = [row.run for row in rows]
        if len(runs) == 1:
            menu.addAction(_("Open on the Training page"), lambda: self.training.emit(runs[0]))
            if self._rows[0].measured:
                menu.addAction(_("Search with it"), lambda: self.search.emit(runs[0]))
            menu.addAction(_("Open its folder"), lambda: self.reveal.emit(runs[0]))
            menu.addAction(_("Train again with these settings"), lambda: self.adopt.emit(runs[0]))
            menu.addSeparator()
            menu.addAction(_("Name, note and colour…"), lambda: self.label.emit(rows[0]))
        if len(runs) == 2:
            menu.addAction(_("Differences…"), lambda: self.compare.emit(rows))
        away = all(row.label.archived for row in rows)
        menu.addAction(
            _("Take out of the archive") if away else _("Archive"), lambda: self.archive.emit(rows)
        )
        menu.addSeparator()
        words = (
            _("Delete this training…")
            if len(runs) == 1
            else _("Delete {count} trainings…").format(count=len(runs))
        )
        action = menu.addAction(words, lambda: self.delete.emit(runs))
        action.setEnabled(all(row.status != "running" for row in self._rows))
