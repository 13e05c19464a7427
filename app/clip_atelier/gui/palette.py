"""Ctrl+K: one line that finds pages, actions, folders, trainings, presets, settings and words, all by keyboard."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QAbstractListModel, QModelIndex, QPersistentModelIndex, QSize, Qt
from PySide6.QtGui import QColor, QKeyEvent, QPainter
from PySide6.QtWidgets import QDialog, QListView, QStyle, QStyledItemDelegate, QStyleOptionViewItem

from clip_atelier.engine import settings
from clip_atelier.engine.core import N_, _, i18n, paths
from clip_atelier.gui import theme
from clip_atelier.gui.actions import ACTIONS, bound
from clip_atelier.gui.glossary import show_word, words
from clip_atelier.gui.matching import ranked
from clip_atelier.gui.pages import PAGES
from clip_atelier.gui.parts.run_choice import run_words
from clip_atelier.gui.state import own_preset
from clip_atelier.gui.widgets.layout import column
from clip_atelier.gui.widgets.text import Field, Label, SpokenName

if TYPE_CHECKING:
    from clip_atelier.gui.main_window import MainWindow

_MOST = 60
_LINE = 34
_Index = QModelIndex | QPersistentModelIndex


@dataclass(frozen=True)
class Entry:
    """One thing that can be chosen.

    Attributes:
        title: In the current language.
        kind: What it is, such as a page or a setting.
        do: What choosing it does.
        also: Other names it is found by.
        keys: Its keys.
    """

    title: str
    kind: str
    do: Callable[[], object]
    also: tuple[str, ...] = ()
    keys: str = ""

    @property
    def spoken(self) -> str:
        """What a screen reader says."""
        return ", ".join(part for part in (self.title, self.kind, self.keys) if part)


def entries(window: MainWindow) -> list[Entry]:
    """Everything, in the order in which it is offered before anything is typed."""
    return [
        *_actions(window), *_folders(window), *_trainings(window), *_presets(window), *_settings(window), *_words(window),
    ]  # fmt: skip


def _actions(window: MainWindow) -> list[Entry]:
    pages: list[Entry] = []
    everywhere: list[Entry] = []
    others: list[Entry] = []
    titles = {page.name: page.title for page in PAGES}
    for action in ACTIONS.values():
        if action.of_list or action.name == "palette":
            continue
        found = bound(window, action.name)
        if found is not None and not found.usable:
            continue
        is_page = action.name.startswith("page.")
        where = _("Page") if is_page else _(titles[action.page]) if action.page else _("Action")
        entry = Entry(
            _(action.title), where, partial(window.do, action.name), (action.title, where), action.keys_shown
        )
        (pages if is_page else others if action.page else everywhere).append(entry)
    return [*pages, *everywhere, *others]


def _folders(window: MainWindow) -> list[Entry]:
    found = []
    for folder in window.app_model.state.get("recent"):
        if folder != window.app_model.state.folder:
            name = paths.shown(Path(folder).name or folder)
            shown = paths.shown(folder)
            found.append(
                Entry(name, _("Recent folder"), partial(window.open_path, Path(folder)), (shown,), shown)
            )
    return found


def _trainings(window: MainWindow) -> list[Entry]:
    def show(run: str) -> None:
        window.app_model.state.set("run", run)
        window.show_page("training")

    return [
        Entry(run_words(run), _("Training"), partial(show, run.run), (run.name, run.note, run.run))
        for run in reversed(window.app_model.runs)
    ]


def _presets(window: MainWindow) -> list[Entry]:
    def choose(name: str) -> None:
        window.show_page("settings")
        window.app_model.state.choose_preset(name)

    known = [(name, _(preset.title), preset.title) for name, preset in settings.PRESETS.items()]
    own = [(own_preset(name), name, name) for name in window.app_model.state.own_presets]
    return [
        Entry(title, _("Preset"), partial(choose, name), (plain, name))
        for name, title, plain in [*known, *own]
    ]


def _settings(window: MainWindow) -> list[Entry]:
    return [
        Entry(
            _(declared.title), _("Setting"), partial(window.show_setting, name), (declared.title, name),
            _(settings.GROUP_TITLES[declared.group]),
        )
        for name, declared in settings.DECLARED.items()
    ]  # fmt: skip


def _words(window: MainWindow) -> list[Entry]:
    korean = i18n.language() == "ko"
    return [
        Entry(
            word.ko if korean else word.en, _("Word"), partial(show_word, window, word.en),
            (word.en if korean else word.ko,),
        )
        for word in words()
    ]  # fmt: skip


class _Found(QAbstractListModel):
    """What was found."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Entry] = []

    def show_found(self, found: list[Entry]) -> None:
        """Shows other entries."""
        self.beginResetModel()
        self.found = found
        self.endResetModel()

    def rowCount(self, parent: _Index | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self.found)

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        entry = self.found[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return entry.title
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return entry.spoken
        return entry if role == Qt.ItemDataRole.UserRole else None


class _Lines(QStyledItemDelegate):
    """The title on the left, what it is and its keys on the right."""

    def sizeHint(self, _option: QStyleOptionViewItem, _index: _Index) -> QSize:
        return QSize(200, _LINE)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: _Index) -> None:
        entry: Entry = index.data(Qt.ItemDataRole.UserRole)
        widget = option.widget
        t = theme.tokens(widget.palette())
        area = option.rect.adjusted(theme.M, 0, -theme.M, 0)
        painter.save()
        if option.state & QStyle.StateFlag.State_Selected:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setBrush(QColor(t.accent_soft))
            painter.setPen(QColor(t.accent))
            painter.drawRoundedRect(
                option.rect.adjusted(2, 1, -3, -2), theme.RADIUS_SMALL, theme.RADIUS_SMALL
            )
        metrics = widget.fontMetrics()
        side = " · ".join(part for part in (entry.kind, entry.keys) if part)
        side = metrics.elidedText(side, Qt.TextElideMode.ElideMiddle, area.width() * 2 // 5)
        room = metrics.horizontalAdvance(side) + theme.L
        left = area.adjusted(0, 0, -room, 0)
        align = Qt.AlignmentFlag.AlignVCenter
        painter.setPen(QColor(t.text))
        painter.drawText(
            left, align, metrics.elidedText(entry.title, Qt.TextElideMode.ElideRight, left.width())
        )
        painter.setPen(QColor(t.muted))
        painter.drawText(area, align | Qt.AlignmentFlag.AlignRight, side)
        painter.restore()


class Palette(QDialog):
    """The line and what it finds. Arrows move, Enter does it, Escape leaves."""

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self.setWindowTitle(_("Find anything"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.resize(620, 460)
        self._entries = entries(window)
        self.line = Field(N_("Type what you look for"))
        self.model = _Found()
        self.list = QListView()
        self.list.setModel(self.model)
        self.list.setItemDelegate(_Lines(self.list))
        self.list.setUniformItemSizes(True)
        self.list.setMouseTracking(True)
        SpokenName(self.list, N_("What was found"))
        self.nothing = Label(N_("Nothing is called that."), "muted")
        self.hint = Label(N_("↑ ↓: choose · Enter: go there or do it · Esc: close"), "caption")
        layout = column(self.line, self.list, self.nothing, self.hint, gap=theme.S)
        layout.setStretch(1, 1)
        layout.setContentsMargins(theme.L, theme.L, theme.L, theme.M)
        self.setLayout(layout)
        self.line.textChanged.connect(lambda _text: self.look_for(self.line.seen))
        self.line.composed.connect(lambda: self.look_for(self.line.seen))
        self.line.returnPressed.connect(self.choose)
        self.list.activated.connect(lambda _index: self.choose())
        self.list.clicked.connect(lambda _index: self.choose())
        self.look_for("")
        self.line.setFocus()

    def look_for(self, wanted: str) -> None:
        """Shows what answers what was typed; before anything is typed, what is done most."""
        if wanted.strip():
            order = ranked(wanted, [(entry.title, *entry.also) for entry in self._entries])
            found = [self._entries[index] for index in order[:_MOST]]
        else:
            found = self._entries[:_MOST]
        self.model.show_found(found)
        self.nothing.setVisible(not found)
        if found:
            self.list.setCurrentIndex(self.model.index(0))

    @property
    def titles(self) -> list[str]:
        """What is shown, in order."""
        return [entry.title for entry in self.model.found]

    def choose(self) -> None:
        """Does what is marked, once this is closed."""
        row = self.list.currentIndex().row()
        if 0 <= row < len(self.model.found):
            do = self.model.found[row].do
            self.accept()
            do()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Arrows move in the list while one types; the line hands them on."""
        keys = Qt.Key
        rows = {keys.Key_Down: 1, keys.Key_Up: -1, keys.Key_PageDown: 10, keys.Key_PageUp: -10}
        step = rows.get(keys(event.key()))
        if step is None:
            super().keyPressEvent(event)
            return
        count = len(self.model.found)
        if count:
            now = self.list.currentIndex().row() + step
            now = now % count if abs(step) == 1 else max(0, min(now, count - 1))
            self.list.setCurrentIndex(self.model.index(now))
