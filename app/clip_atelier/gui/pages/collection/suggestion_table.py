"""The dialog that takes many suggestions at once: a line for each drawing, with a tick and a choice of captions."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QDialog, QMenu, QTableWidgetItem, QWidget

from clip_atelier.engine.core import N_, _, paths
from clip_atelier.gui import theme
from clip_atelier.gui.parts.large_pictures import LargePicture
from clip_atelier.gui.parts.plain_table import fill_table, plain_table
from clip_atelier.gui.widgets.layout import box, card, column, row
from clip_atelier.gui.widgets.text import Button, ElidedLabel, Label, SpokenName, plain_tooltip
from clip_atelier.gui.widgets.ticks import OneOfDelegate

if TYPE_CHECKING:
    from clip_atelier.engine.search import Suggestion
    from clip_atelier.gui.pages.collection.caption_model import CaptionModel
    from clip_atelier.gui.parts.pictures import PictureStore

GRADES = {"sure": N_("sure"), "possible": N_("possible"), "guess": N_("a guess")}
_TICK = Qt.ItemFlag.ItemIsUserCheckable
_FILE, _NOW, _WORDS, _LIKELY = range(4)  # the columns
_SIDE = 240  # of the picture


class ManySuggestions(QDialog):
    """A suggestion for every drawing, the first until another is chosen; those that are sure are ticked.

    Nothing is changed before it is asked for.

    Args:
        captions: What the drawings are called now.
        drawings: What is suggested for them.
        store: The window's pictures: the drawing of the current line is seen beside the table.
        parent: The dialog's.
    """

    def __init__(
        self,
        captions: CaptionModel,
        drawings: Sequence[Suggestion],
        store: PictureStore,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.captions = captions
        there = set(captions.paths)
        self.drawings = [one for one in drawings if one.path in there and one.captions]
        self.chosen = [0] * len(self.drawings)  # which of its captions each line shows
        self.choices: QMenu | None = None
        self.setWindowTitle(_("Suggestions for many drawings"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.resize(1000, 540)
        about = Label(
            N_(
                "What is ticked gets the caption in its line. Click a caption, or press 1 to 5, to choose another for that drawing. All of it is one step that can be taken back."
            ),
            "muted",
            wrap=True,
        )
        self.table = plain_table((N_("File"), N_("Now"), N_("Suggestion"), N_("How likely it is right")))
        for place, width in ((_FILE, 140), (_NOW, 130), (_WORDS, 200)):
            self.table.setColumnWidth(place, width)
        self.table.setItemDelegateForColumn(_WORDS, OneOfDelegate(self.table))
        SpokenName(self.table, N_("Suggestions for captions"))
        self.picture = LargePicture(store, _SIDE)
        self.name = ElidedLabel(role="caption")
        self.table.currentCellChanged.connect(lambda line, *_rest: self._show(line))
        self._fill()
        self.all = Button(N_("Tick all"), "quiet")
        self.none = Button(N_("Tick none"), "quiet")
        self.do = Button("", "primary")
        self.shut = Button(N_("Close"), "plain")
        for button in (self.all, self.none, self.shut):
            button.setAutoDefault(False)
        self.do.setDefault(True)
        self.all.clicked.connect(lambda: self._tick(Qt.CheckState.Checked))
        self.none.clicked.connect(lambda: self._tick(Qt.CheckState.Unchecked))
        self.shut.clicked.connect(self.reject)
        self.do.clicked.connect(self.take)
        self.table.itemChanged.connect(self._tell)
        self.table.cellClicked.connect(self._on_clicked)
        for number in range(max((len(one.captions) for one in self.drawings), default=0)):
            self._key(str(number + 1), partial(self._choose_here, number))
        for keys in ("F2", "Alt+Down"):
            self._key(keys, self.offer)
        self._key("Space", self._turn)
        ends = row(self.all, self.none, None, self.shut, self.do, gap=theme.S)
        seen = box(self.picture, self.name, None, gap=theme.XS)
        seen.setFixedWidth(_SIDE)
        both = row(card(self.table, margin=1), seen, gap=theme.M)
        both.setStretch(0, 1)
        layout = column(about, both, ends, gap=theme.S)
        layout.setStretch(1, 1)
        layout.setContentsMargins(theme.XL, theme.L, theme.XL, theme.L)
        self.setLayout(layout)
        self._tell()

    def _fill(self) -> None:
        lines = [
            (
                paths.shown(one.path),
                " · ".join(self.captions.told(one.path).captions),
                one.captions[0],
                likely(one),
            )
            for one in self.drawings
        ]
        fill_table(self.table, lines)
        for n, one in enumerate(self.drawings):
            cell = self._cell(n)
            cell.setFlags(cell.flags() | _TICK)
            cell.setCheckState(Qt.CheckState.Checked if one.sure else Qt.CheckState.Unchecked)
        if self.drawings:
            self.table.setCurrentCell(0, 0)

    def _show(self, line: int) -> None:
        """The drawing that a line is about: a name alone does not tell what it shows."""
        path = self.drawings[line].path if 0 <= line < len(self.drawings) else ""
        self.picture.show_path(self.captions.file(path) if path else None)
        self.name.show_literal(paths.shown(path))

    def _key(self, keys: str, do: object) -> None:
        shortcut = QShortcut(QKeySequence(keys), self.table)
        shortcut.setContext(Qt.ShortcutContext.WidgetShortcut)
        shortcut.activated.connect(do)

    def _cell(self, line: int, place: int = _FILE) -> QTableWidgetItem:
        cell = self.table.item(line, place)
        assert cell is not None
        return cell

    # Another of the suggestions

    def choose(self, line: int, number: int) -> None:
        """Puts another of its suggestions into a line and ticks it: who chooses wants it taken."""
        one = self.drawings[line]
        if number >= len(one.captions):
            return
        self.chosen[line] = number
        # How likely it is was reckoned for the first one alone.
        for place, text in (
            (_WORDS, one.captions[number]),
            (_LIKELY, likely(one) if number == 0 else _("chosen by you")),
        ):
            cell = self._cell(line, place)
            cell.setText(text)
            cell.setToolTip(plain_tooltip(text))
        self._cell(line).setCheckState(Qt.CheckState.Checked)

    def offer(self) -> None:
        """Opens the list of what the current line could hold."""
        line = self.table.currentRow()
        if not 0 <= line < len(self.drawings):
            return
        self.choices = menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        for number, words in enumerate(self.drawings[line].captions):
            action = menu.addAction(f"&{number + 1}   {words.replace('&', '&&')}")
            action.setCheckable(True)
            action.setChecked(number == self.chosen[line])
            action.triggered.connect(partial(self.choose, line, number))
        menu.setActiveAction(menu.actions()[self.chosen[line]])
        cell = self.table.visualItemRect(self._cell(line, _WORDS))
        menu.popup(self.table.viewport().mapToGlobal(cell.bottomLeft() + QPoint(0, 1)))

    def _choose_here(self, number: int) -> None:
        if 0 <= self.table.currentRow() < len(self.drawings):
            self.choose(self.table.currentRow(), number)

    def _on_clicked(self, _line: int, place: int) -> None:
        if place == _WORDS:
            self.offer()

    # Ticks

    def _turn(self) -> None:
        """Ticks the current line, whichever of its cells is the current one, or takes its tick away."""
        line = self.table.currentRow()
        if 0 <= line < len(self.drawings):
            on = self._cell(line).checkState() == Qt.CheckState.Checked
            self._cell(line).setCheckState(Qt.CheckState.Unchecked if on else Qt.CheckState.Checked)

    @property
    def ticked(self) -> dict[str, str]:
        """The captions that are ticked, by path."""
        return {
            one.path: one.captions[self.chosen[n]]
            for n, one in enumerate(self.drawings)
            if self._cell(n).checkState() == Qt.CheckState.Checked
        }

    def _tick(self, state: Qt.CheckState) -> None:
        self.table.blockSignals(True)
        for n in range(self.table.rowCount()):
            self._cell(n).setCheckState(state)
        self.table.blockSignals(False)
        self.table.viewport().update()
        self._tell()

    def _tell(self, _cell: object = None) -> None:
        count = len(self.ticked)
        self.do.say(N_("Take the {count} ticked"), count=count)
        self.do.setEnabled(count > 0)

    def take(self) -> None:
        """Gives the ticked drawings their captions, in one step."""
        there = set(self.captions.paths)
        values = {
            path: self.captions.told(path)._replace(captions=(words,))
            for path, words in self.ticked.items()
            if path in there
        }
        self.captions.change(values, _("Suggested captions"))
        self.accept()


def likely(one: Suggestion) -> str:
    """A grade, and by what it is told, in the user's language."""
    if not one.alike:
        return _(GRADES[one.grade])
    return _("{grade}: {right} of {alike} like it were right").format(
        grade=_(GRADES[one.grade]), right=one.right, alike=one.alike
    )
