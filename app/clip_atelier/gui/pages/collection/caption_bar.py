"""What stands above the table of captions and beside it: steps back and forth, changes of many, the large picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QMenu, QWidget
from shiboken6 import isValid

from clip_atelier.engine.core import N_, _, paths
from clip_atelier.gui import theme
from clip_atelier.gui.actions import Bound
from clip_atelier.gui.pages.collection.change_many import FillByTemplate, FindAndReplace
from clip_atelier.gui.parts.large_pictures import LargePicture
from clip_atelier.gui.widgets.layout import column, row
from clip_atelier.gui.widgets.text import Button, ElidedLabel, Label

if TYPE_CHECKING:
    from clip_atelier.gui.pages.collection.caption_table import CaptionTable
    from clip_atelier.gui.parts.pictures import PictureStore


class CaptionBar(QWidget):
    """Undo, redo, and a menu of what is done to many drawings, each with its keys."""

    all_wanted = Signal()
    suggestions_wanted = Signal()

    def __init__(self, table: CaptionTable) -> None:
        super().__init__()
        self.table = table
        self.undo = Button("", "icon", "undo-2", tip=N_("Undo"))
        self.redo = Button("", "icon", "redo-2", tip=N_("Redo"))
        self.undo.clicked.connect(self._undo)
        self.redo.clicked.connect(self._redo)
        self.many = Button(N_("Change many"), "plain", "type")
        self.menu = QMenu(self)
        self.many.setMenu(self.menu)
        self.earlier = Button(N_("Earlier versions…"), "quiet", "rotate-ccw")
        self.only = Label(role="muted")
        self.all = Button(N_("Show all"), "quiet", "x")
        self.all.clicked.connect(self.all_wanted)
        keys = ElidedLabel(
            N_("Enter: next drawing · Tab: next field · Shift+Enter: another caption · Esc: take back"),
            "caption",
        )
        keys.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        layout = row(self.undo, self.redo, self.many, self.only, self.all, keys, self.earlier, gap=theme.XS)
        layout.setStretch(layout.indexOf(keys), 1)
        self.setLayout(layout)
        for name, do in (
            ("suggest", self.suggestions_wanted.emit),
            ("replace", self.find_and_replace), ("template", self.fill_by_template), ("same", self.copy_to_chosen),
            ("clear", self.clear),
        ):  # fmt: skip
            self.menu.addAction(Bound(f"captions.{name}", table, do))
        for name, button in (("undo", self.undo), ("redo", self.redo)):
            Bound(f"captions.{name}", table, button.click, usable=button.isEnabled)
        self.tell_chosen(0)
        table.captions.steps.indexChanged.connect(self._show_steps)
        self._show_steps()

    def retranslate(self) -> None:
        """What the buttons tell, in the current language."""
        self._show_steps()

    def _show_steps(self, _index: int = 0) -> None:
        steps = self.table.captions.steps
        if not isValid(steps):
            return  # it tells of its end too
        for button, can, words, plain in (
            (self.undo, steps.canUndo(), steps.undoText(), N_("Undo")),
            (self.redo, steps.canRedo(), steps.redoText(), N_("Redo")),
        ):
            button.setEnabled(can)
            if words:
                button.tell(N_("{what}: {step}"), what=_(plain), step=words)
            else:
                button.tell(plain)

    def _undo(self) -> None:
        self.table.commit()
        self.table.captions.steps.undo()

    def _redo(self) -> None:
        self.table.captions.steps.redo()

    def tell_chosen(self, count: int) -> None:
        """Says that only so many drawings are shown; 0 where all are."""
        self.only.say(N_("Only {count} drawings are shown."), count=f"{count:,}")
        self.only.setVisible(count > 0)
        self.all.setVisible(count > 0)

    def find_and_replace(self) -> None:
        """Opens the dialog that replaces words."""
        self.table.commit()
        FindAndReplace(self.table.captions, self.table.chosen, self).open()

    def fill_by_template(self) -> None:
        """Opens the dialog that fills in captions."""
        self.table.commit()
        FillByTemplate(self.table.captions, self.table.chosen, self).open()

    def copy_to_chosen(self) -> None:
        """Gives the chosen drawings the captions of the one that the cursor is on."""
        self.table.commit()
        captions, current = self.table.captions, self.table.current_path
        if current:
            words = captions.told(current).captions
            values = {path: captions.told(path)._replace(captions=words) for path in self.table.chosen}
            captions.change(values, _("Same captions for all chosen"))

    def clear(self) -> None:
        """Empties the captions of the chosen drawings."""
        self.table.commit()
        captions = self.table.captions
        values = {path: captions.told(path)._replace(captions=()) for path in self.table.chosen}
        captions.change(values, _("Clear captions"))


class CaptionSide(QFrame):
    """The drawing that the cursor is on, large."""

    def __init__(self, store: PictureStore) -> None:
        super().__init__()
        self.setProperty("role", "card")
        self.setFixedWidth(300)
        self.picture = LargePicture(store, 276)
        self.name = ElidedLabel(role="strong")
        self.below = column(gap=theme.XS)
        layout = column(self.picture, self.name, self.below, None, gap=theme.S)
        layout.setContentsMargins(theme.M, theme.M, theme.M, theme.M)
        self.setLayout(layout)

    def show_drawing(self, file: Path | None, path: str) -> None:
        """Shows another drawing, or nothing."""
        self.picture.show_path(file)
        self.name.show_literal(paths.shown(path))
