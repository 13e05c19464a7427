"""The user's own presets: cards that are chosen, renamed and deleted; and a table of what presets differ in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QDialog, QInputDialog, QTableWidgetItem, QWidget

from clip_atelier.engine import settings
from clip_atelier.engine.core import N_, _
from clip_atelier.gui import theme
from clip_atelier.gui.form import shown_value
from clip_atelier.gui.pages.settings.parts import ChoiceCard
from clip_atelier.gui.parts.plain_table import plain_table
from clip_atelier.gui.state import own_preset
from clip_atelier.gui.widgets.layout import Flow, column, row
from clip_atelier.gui.widgets.text import Button, Label, SpokenName

if TYPE_CHECKING:
    from clip_atelier.gui.state import WindowState


class OwnPresetCard(ChoiceCard):
    """One of the user's presets."""

    renamed = Signal(str)
    deleted = Signal(str)

    def __init__(self, name: str) -> None:
        super().__init__(name, Label("{name}", "strong", name=name), Label(role="warning"))
        self.setAccessibleName(name)
        rename = Button("", "icon", "type", tip=N_("Rename"))
        delete = Button("", "icon", "x", tip=N_("Delete"))
        rename.clicked.connect(lambda: self.renamed.emit(self.name))
        delete.clicked.connect(lambda: self.deleted.emit(self.name))
        layout = row(self.title, self.changed, None, rename, delete, gap=theme.XS)
        layout.setContentsMargins(theme.M, theme.XS, theme.XS, theme.XS)
        self.setLayout(layout)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Space and Enter choose it, Delete deletes it, F2 renames it."""
        if event.key() == Qt.Key.Key_F2:
            self.renamed.emit(self.name)
        elif event.key() == Qt.Key.Key_Delete:
            self.deleted.emit(self.name)
        else:
            super().keyPressEvent(event)


class OwnPresets(QWidget):
    """All of them, and what is done with them."""

    def __init__(self, state: WindowState) -> None:
        super().__init__()
        self._state = state
        self.cards: dict[str, OwnPresetCard] = {}
        self.save = Button(N_("Save as a preset…"), "quiet", "save")
        self.compare = Button(N_("Compare presets…"), "quiet", "table")
        self.save.clicked.connect(self._ask_for_name)
        self.compare.clicked.connect(lambda: PresetComparison(self._state, self).open())
        self._cards = QWidget()
        self._flow = Flow(theme.S)
        self._cards.setLayout(self._flow)
        self.setLayout(column(row(self.save, self.compare, None), self._cards, gap=theme.S))
        state.changed.connect(self._on_state)
        self.refresh()

    def _on_state(self, what: str) -> None:
        if what == "presets":
            self.refresh()
        if what in ("presets", "preset", "draft"):
            self.mark()

    def refresh(self) -> None:
        """Shows a card for each."""
        for card in self.cards.values():
            self._flow.removeWidget(card)
            card.hide()
            card.deleteLater()
        self.cards = {}
        for name in self._state.own_presets:
            card = OwnPresetCard(name)
            card.chosen.connect(lambda name: self._state.choose_preset(own_preset(name)))
            card.renamed.connect(self._ask_for_other_name)
            card.deleted.connect(self._state.delete_preset)
            self._flow.addWidget(card)
            self.cards[name] = card
        self._cards.setVisible(bool(self.cards))
        self.mark()

    def mark(self) -> None:
        """Gives the chosen one its look."""
        changed = len(self._state.changed_from_preset)
        for name, card in self.cards.items():
            card.show_chosen(self._state.get("preset") == own_preset(name), changed)

    def _ask_for_name(self) -> None:
        name, given = QInputDialog.getText(self, _("Save as a preset"), _("Name of the preset:"))
        if given and name.strip():
            self._state.save_preset(name.strip())

    def _ask_for_other_name(self, before: str) -> None:
        name, given = QInputDialog.getText(
            self, _("Rename"), _("Name of the preset:"), text=before
        )  # fmt: skip
        if given and name.strip():
            self._state.rename_preset(before, name.strip())


class PresetComparison(QDialog):
    """A table of the settings in which presets differ, with what is chosen now."""

    def __init__(self, state: WindowState, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle(_("Compare presets"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        columns: dict[str, dict[str, Any]] = {_("Now"): state.values()}
        columns |= {_(preset.title): state.with_preset(name) for name, preset in settings.PRESETS.items()}
        columns |= {name: state.with_preset(own_preset(name)) for name in state.own_presets}
        names = [
            name
            for name in settings.DECLARED
            if len({shown_value(settings.DECLARED[name], found[name]) for found in columns.values()}) > 1
        ]
        self.table = plain_table((N_("Setting"), *columns))
        SpokenName(self.table, N_("Settings in which presets differ"))
        self.table.setRowCount(len(names))
        for y, name in enumerate(names):
            declared = settings.DECLARED[name]
            self.table.setItem(y, 0, QTableWidgetItem(_(declared.title)))
            first = shown_value(declared, next(iter(columns.values()))[name])
            for x, found in enumerate(columns.values(), 1):
                cell = QTableWidgetItem(shown_value(declared, found[name]))
                if cell.text() != first:  # what choosing it would change
                    font = cell.font()
                    font.setBold(True)
                    cell.setFont(font)
                self.table.setItem(y, x, cell)
        self.table.resizeColumnsToContents()
        close = Button(N_("Close"), "plain")
        close.clicked.connect(self.accept)
        layout = column(
            Label(N_("In bold: what choosing the preset would change."), "caption"),
            self.table,
            row(None, close),
        )
        layout.setContentsMargins(theme.L, theme.L, theme.L, theme.L)
        layout.setStretch(1, 1)
        self.setLayout(layout)
        self.resize(980, 560)
