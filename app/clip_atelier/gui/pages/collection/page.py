"""The Collection page: what is in the folder, where its words came from, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QPoint, Qt, QTimer
from PySide6.QtWidgets import (
    QAbstractItemView,
    QMenu,
    QStackedWidget,
    QWidget,
)

from clip_atelier.engine.core import N_, _, paths
from clip_atelier.gui import theme
from clip_atelier.gui.actions import Bound
from clip_atelier.gui.matching import finder
from clip_atelier.gui.pages.collection.caption_tab import CaptionTab
from clip_atelier.gui.pages.collection.folder_watch import FolderWatch
from clip_atelier.gui.pages.collection.folders import FolderLine
from clip_atelier.gui.pages.collection.intake import ask_for_pages
from clip_atelier.gui.pages.collection.item_tiles import ItemTiles
from clip_atelier.gui.pages.collection.states import Failed, Reading, Welcome
from clip_atelier.gui.pages.collection.teaching import FEWEST, TeachDialog
from clip_atelier.gui.pages.collection.troubles import Problems, Twins
from clip_atelier.gui.parts.collection_folders import ask_for_folder, ask_to_delete, may_be_deleted
from clip_atelier.gui.parts.language_warning import LanguageWarning
from clip_atelier.gui.parts.new_collection import NewCollection
from clip_atelier.gui.parts.picture_detail import Detail
from clip_atelier.gui.parts.pictures import Tile, TileView
from clip_atelier.gui.widgets.layout import column, row
from clip_atelier.gui.widgets.tabs import Figure, Tabs
from clip_atelier.gui.widgets.text import Button, Field, Label, SpokenName

if TYPE_CHECKING:
    from clip_atelier.gui.app_model import AppModel

_SOURCES = {
    "metadata": N_("Captions come from the folder's metadata table."),
    "sidecar": N_("Captions come from a text file beside each image."),
    "embedded": N_("Captions come from the image files themselves (XMP, IPTC or EXIF)."),
    "folder": N_("Captions come from the names of the sub-folders."),
    "filename": N_("Captions come from the file names."),
    "mixed": N_("Captions come from more than one source."),
}


def make(app_model: AppModel) -> QWidget:
    """The page."""
    return CollectionPage(app_model)


class CollectionPage(QWidget):
    """All of it."""

    def __init__(self, app_model: AppModel) -> None:
        super().__init__()
        self.app_model = app_model
        self._shown: object = None
        self._shown_split: object = None
        self._only: frozenset[str] | None = None
        self.welcome = Welcome(app_model)
        self.reading = Reading(app_model)
        self.failed = Failed(app_model)
        self.stack = QStackedWidget()
        for widget in (self.welcome, self.reading, self.failed, self._filled()):
            self.stack.addWidget(widget)
        layout = column(self.stack)
        layout.setContentsMargins(theme.XL, theme.L, theme.XL, theme.XL)
        self.setLayout(layout)
        Bound("collection.pages", self, self.ask_for_pages)
        Bound("collection.new", self, self._new_collection)
        Bound(
            "collection.add-folder", self, self._add_folder, usable=lambda: app_model.collection is not None
        )
        Bound(
            "collection.folders", self, self.folders.show_all, usable=lambda: app_model.collection is not None
        )
        Bound("collection.delete", self, self._delete, usable=lambda: may_be_deleted(app_model))
        self.welcome.pages.clicked.connect(self.ask_for_pages)
        self.welcome.several.clicked.connect(self._new_collection)
        app_model.collection_changed.connect(self.refresh)
        self.refresh()

    def _filled(self) -> QWidget:
        app_model = self.app_model
        self.figures = {
            "images": Figure(N_("images")), "captions": Figure(N_("captions")), "labels": Figure(N_("labels")),
            "pairs": Figure(N_("pairs"), N_("A sketch and its artwork are a pair.")),
            "train": Figure(N_("learned from"), N_("Drawings that a training learns from.")),
            "validation": Figure(
                N_("chosen by"),
                N_("Drawings that are not learned from: they decide which stage of a training is kept."),
            ),
            "test": Figure(
                N_("checked on"),
                N_("Drawings kept aside until the end: they show what a training is worth."),
            ),
        }  # fmt: skip
        self.source = Label(role="muted", wrap=True)
        self.remarks = Label(role="muted", wrap=True)
        self.notes = Label(role="warning", wrap=True)
        self.language = LanguageWarning(app_model)
        self.folders = FolderLine(app_model)
        self.again = Button("", "icon", "refresh-cw", tip=N_("Read the folder again"))
        self.other = Button(N_("Open another…"), "plain", "folder-open")
        self.onward = Button(N_("Choose settings"), "primary")
        self.again.clicked.connect(self._read_again)
        self.menu = QMenu(self)
        self.menu.aboutToShow.connect(self._fill_menu)
        self.other.setMenu(self.menu)
        self.onward.clicked.connect(lambda: app_model.page_wanted.emit("settings"))
        numbers = row(*self.figures.values(), None, self.again, self.other, self.onward, gap=theme.L)

        self.grid = TileView(app_model.store, 120)
        SpokenName(self.grid, N_("Pictures"))
        self.detail = Detail(app_model)
        self.grid.selected.connect(self._on_selected)
        self.grid.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.grid.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.grid.customContextMenuRequested.connect(self._show_grid_menu)
        self.grid.selectionModel().selectionChanged.connect(self._count_chosen)
        self.grid.tiles.modelReset.connect(self._count_chosen)
        self.chosen = Label(role="caption")
        self.teach = Button(N_("Teach a word…"), "quiet", "type")
        self.teach.clicked.connect(self.ask_for_word)
        self._count_chosen()
        pictures = QWidget()
        both = row(self.grid, self.detail, gap=theme.L)
        filled = column(both, row(self.chosen, None, self.teach), gap=theme.XS)
        filled.setStretch(0, 1)
        pictures.setLayout(filled)

        self.captions = CaptionTab(app_model)
        self.captions.rows_wanted.connect(self._show_only)
        app_model.asked_for_captions.connect(self._on_captions_wanted)
        self.watch = FolderWatch(self)
        self.watch.changed.connect(self._on_folder_changed)

        self.problems_view = Problems()
        self.problems = self.problems_view.table
        self.twins_view = Twins(app_model.store)
        self.twins = self.twins_view.grid

        self.filter = Field(N_("Filter by name or caption"))
        self.filter.setFixedWidth(220)
        self._typing = QTimer(self)
        self._typing.setSingleShot(True)
        self._typing.setInterval(150)
        self._typing.timeout.connect(self._on_typed)
        self.filter.textChanged.connect(lambda _text: self._typing.start())
        self.filter.composed.connect(self._typing.start)
        self.tabs = Tabs(self.filter)
        self.tabs.add("pictures", N_("Pictures"), pictures)
        self.tabs.add("captions", N_("Captions"), self.captions)
        self.problems_tab = self.tabs.add("problems", N_("Problems"), self.problems_view)
        self.twins_tab = self.tabs.add("twins", N_("Near-duplicates"), self.twins_view)
        self.tabs.changed.connect(lambda name: self.filter.setVisible(name in ("pictures", "captions")))
        whole = QWidget()
        layout = column(
            numbers,
            self.source,
            self.remarks,
            self.notes,
            self.folders,
            self.language,
            theme.S,
            self.tabs,
            gap=theme.XS,
        )
        layout.setStretch(7, 1)
        whole.setLayout(layout)
        return whole

    def landmark(self) -> QWidget:
        """What a newcomer is pointed to here: how to begin, else how to go on."""
        return self.onward if self.app_model.collection is not None else self.welcome.ways

    def views(self) -> tuple[Tabs, ...]:
        """The tabs of the page, for pictures of all of it."""
        return (self.tabs,)

    def refresh(self) -> None:
        """Shows what the open collection holds."""
        app_model = self.app_model
        if app_model.collection is not None:
            # Reading again must not throw the user back to the first picture when nothing came of it.
            if self._shown is not app_model.collection or self._shown_split is not app_model.split:
                self._shown, self._shown_split = app_model.collection, app_model.split
                self._show_collection()
            self.stack.setCurrentIndex(3)
        elif app_model.scan_error is not None:
            self.failed.tell(app_model.scan_error)
            self.stack.setCurrentIndex(2)
        elif app_model.state.folder and app_model.lanes.reading.busy:
            if self.stack.currentIndex() != 1:
                self.reading.begin()
            self.stack.setCurrentIndex(1)
        else:
            self.watch.stop()
            self.stack.setCurrentIndex(0)

    def retranslate(self) -> None:
        """What was put together from several messages."""
        if self.app_model.collection is not None:
            self._show_collection()

    def _show_collection(self) -> None:
        app_model = self.app_model
        collection, split = app_model.collection, app_model.split
        assert collection is not None
        counts = {
            "images": len(collection.items), "captions": collection.caption_count,
            "labels": len(collection.labels), "pairs": len(collection.pairs),
            "train": len(split.train) if split else 0, "validation": len(split.validation) if split else 0,
            "test": len(split.test) if split else 0,
        }  # fmt: skip
        for name, figure in self.figures.items():
            figure.show_number(counts[name])
            figure.setVisible(counts[name] > 0 or name == "images")
        self.source.say(_SOURCES.get(collection.caption_source, ""))
        self.remarks.show_literal("\n".join(collection.remarks))
        self.remarks.setVisible(bool(collection.remarks))
        trouble = [*collection.notes, *([str(app_model.split_error)] if app_model.split_error else [])]
        self.notes.show_literal("\n".join(trouble))
        self.notes.setVisible(bool(trouble))
        self.onward.setEnabled(split is not None)
        self.watch.watch(collection)
        self.folders.show_collection(collection)
        self.captions.show_collection(collection)
        self._filter()
        self.problems_tab.say(
            N_("Problems ({count})") if collection.problems else N_("Problems"),
            count=len(collection.problems),
        )
        self.twins_tab.say(
            N_("Near-duplicates ({count})") if collection.duplicates else N_("Near-duplicates"),
            count=len(collection.duplicates),
        )
        self.problems_view.show_collection(collection)
        self.twins_view.show_collection(collection)

    def _filter(self) -> None:
        collection, typed = self.app_model.collection, self.filter.seen
        if collection is None:
            return
        stands_in = finder(typed, unfinished=self.filter.at_end)
        told = self.captions.table.captions.told
        shown = [
            index
            for index, item in enumerate(collection.items)
            if not typed or stands_in(item.path) or any(map(stands_in, told(item.path).captions))
        ]
        if self._only is not None:
            shown = [index for index in shown if collection.items[index].path in self._only]
        self.grid.show_tiles(ItemTiles(collection, shown))
        self.captions.table.show_rows(shown)

    def _show_only(self, only: Sequence[str]) -> None:
        """Shows only some drawings until another filter is typed; none for all of them."""
        self._only = frozenset(only) or None
        self.filter.clear()
        self._typing.stop()
        self._filter()

    def _on_captions_wanted(self, wanted: Sequence[str]) -> None:
        self.tabs.choose("captions")
        self.captions.show_only(wanted)
        self.captions.table.setFocus()

    def _on_typed(self) -> None:
        self._only = None
        self.captions.all_shown()
        self._filter()

    def _on_folder_changed(self) -> None:
        """Files came, went or changed: only those are read; what is typed and not saved stays."""
        if self.app_model.lanes.reading.busy or self.captions.table.composing:
            self.watch.again()
        elif self.app_model.collection is not None:
            self.app_model.rescan()

    def _on_selected(self, tile: Tile | None) -> None:
        self.detail.show_item(None if tile is None else tile.data)

    @property
    def chosen_pictures(self) -> list[Path]:
        """The files of the drawings that are selected in the grid, in its order."""
        rows = sorted(index.row() for index in self.grid.selectionModel().selectedIndexes())
        return [self.grid.tiles.tile(row).path for row in rows]

    def _count_chosen(self) -> None:
        count = len(self.grid.selectionModel().selectedIndexes())
        self.teach.setEnabled(count >= FEWEST)
        if count >= FEWEST:
            self.chosen.say(N_("{count} drawings are chosen"), count=count)
        else:
            self.chosen.say(
                N_("Choose three or more drawings, with Ctrl or Shift, to teach a word for them.")
            )

    def grid_menu(self) -> QMenu:
        """What can be done with the drawings that are selected."""
        menu = QMenu(self)
        menu.addAction(_("Teach a word…"), self.ask_for_word).setEnabled(self.teach.isEnabled())
        return menu

    def _show_grid_menu(self, place: QPoint) -> None:
        menu = self.grid_menu()
        menu.aboutToHide.connect(menu.deleteLater)
        menu.popup(self.grid.viewport().mapToGlobal(place))

    def ask_for_word(self) -> None:
        """Opens the dialog that teaches a word for the selected drawings."""
        TeachDialog(self.app_model, self.chosen_pictures, self).open()

    def ask_for_pages(self) -> None:
        """Lets the user choose photographed pages, and opens the dialog that makes drawings of them."""
        ask_for_pages(self.app_model, self)

    def _add_folder(self) -> None:
        ask_for_folder(self.app_model, self)

    def _delete(self) -> None:
        ask_to_delete(self.app_model, self)

    def _new_collection(self) -> None:
        NewCollection(self.app_model, parent=self).open()

    def _read_again(self) -> None:
        self.app_model.store.clear()
        self.app_model.rescan()

    def _fill_menu(self) -> None:
        self.menu.clear()
        self.menu.addAction(_("Open a folder…"), lambda: self.app_model.ask_for_folder(self))
        if self.app_model.collection is not None:
            self.menu.addAction(_("Add a folder to this collection…"), self._add_folder)
            self.menu.addAction(_("Folders of this collection…"), self.folders.show_all)
        self.menu.addAction(_("New collection of several folders…"), self._new_collection)
        self.menu.addAction(_("Try the sample collection"), self.app_model.open_sample)
        self.menu.addAction(_("Photographed pages…"), self.ask_for_pages)
        recent = [f for f in self.app_model.state.get("recent") if f != self.app_model.state.folder]
        if recent:
            self.menu.addSeparator()
        for folder in recent:
            self.menu.addAction(
                paths.shown(folder).replace("&", "&&"), partial(self.app_model.open_folder, folder)
            )
        self._add_kept(recent)

    def _add_kept(self, recent: Sequence[str]) -> None:
        """Collections that the program keeps the list of: nobody would look for them in the home."""
        from clip_atelier.engine.data import kept_collections

        shown = {*recent, self.app_model.state.folder}
        others = [root for root in kept_collections(self.app_model.home) if str(root) not in shown]
        if others:
            self.menu.addSeparator()
        for root in others:
            self.menu.addAction(
                paths.shown(root.name).replace("&", "&&"), partial(self.app_model.open_folder, root)
            )
