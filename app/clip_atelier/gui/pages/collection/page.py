"""The Collection page: what is in the folder, where its words came from, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from PySide6.QtCore import QPoint, Qt, QTimer
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QMenu,
    QStackedWidget,
    QTableWidget,
    QTableWidgetItem,
    QWidget,
)

from clip_atelier.engine.core import N_, _, paths
from clip_atelier.gui import theme
from clip_atelier.gui.pages.collection import jobs
from clip_atelier.gui.pages.collection.captions import CaptionTable
from clip_atelier.gui.pages.collection.states import Failed, Reading, Welcome
from clip_atelier.gui.pages.collection.teaching import FEWEST, TeachDialog
from clip_atelier.gui.parts.picture_detail import Detail
from clip_atelier.gui.parts.pictures import Tile, TileView
from clip_atelier.gui.widgets.layout import box, card, column, row
from clip_atelier.gui.widgets.tabs import Figure, Tabs
from clip_atelier.gui.widgets.text import Button, Field, Label, Picture, SpokenName, plain_tooltip
from clip_atelier.gui.workers import Job

if TYPE_CHECKING:
    from clip_atelier.engine.data import Collection
    from clip_atelier.gui.app_model import AppModel

_SOURCES = {
    "metadata": N_("Captions come from the folder's metadata table."),
    "sidecar": N_("Captions come from a text file beside each image."),
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
        self.welcome = Welcome(app_model)
        self.reading = Reading(app_model)
        self.failed = Failed(app_model)
        self.stack = QStackedWidget()
        for widget in (self.welcome, self.reading, self.failed, self._filled()):
            self.stack.addWidget(widget)
        layout = column(self.stack)
        layout.setContentsMargins(theme.XL, theme.L, theme.XL, theme.XL)
        self.setLayout(layout)
        app_model.collection_changed.connect(self.refresh)
        self.refresh()

    def _filled(self) -> QWidget:
        app_model = self.app_model
        self.figures = {
            "images": Figure(N_("images")), "captions": Figure(N_("captions")), "labels": Figure(N_("labels")),
            "pairs": Figure(N_("pairs")), "train": Figure(N_("to train on")),
            "validation": Figure(N_("to choose by")), "test": Figure(N_("to report on")),
        }  # fmt: skip
        self.source = Label(role="muted", wrap=True)
        self.notes = Label(role="warning", wrap=True)
        self.again = Button("", "icon", "refresh-cw", tip=N_("Read the folder again"))
        self.other = Button(N_("Open another…"), "plain", "folder-open")
        self.onward = Button(N_("Choose settings"), "primary")
        self.again.clicked.connect(self._read_again)
        self.menu = QMenu(self)
        self.menu.aboutToShow.connect(self._fill_menu)
        self.other.setMenu(self.menu)
        self.onward.clicked.connect(lambda: app_model.page_wanted.emit("settings"))
        numbers = row(*self.figures.values(), None, self.again, self.other, self.onward, gap=theme.XL)
        numbers.setSpacing(theme.XL)

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

        self.table = CaptionTable(app_model.store)
        SpokenName(self.table, N_("Captions"))
        self.save = Button(N_("Save captions"), "primary", "save")
        self.discard = Button(N_("Discard changes"), "quiet")
        self.unsaved = Label(role="muted", wrap=True)
        self.save.clicked.connect(self._save)
        self.discard.clicked.connect(self.table.captions.discard)
        self.table.captions.edited.connect(self._on_edited)
        self.save_row = QWidget()
        line = row(self.unsaved, self.discard, self.save)
        line.setStretch(0, 1)
        self.save_row.setLayout(line)
        framed = card(self.table, margin=1)
        captions = box(self.save_row, framed, gap=theme.M)

        self.problems = _plain_table((N_("File"), N_("Why it is left out")))
        SpokenName(self.problems, N_("Problems"))
        self.problems_none = _nothing("circle-check", N_("Every file could be read."))
        self.problems_view = QStackedWidget()
        self.problems_view.addWidget(card(self.problems, margin=1))
        self.problems_view.addWidget(self.problems_none)
        self.twins = TileView(app_model.store, 120, lines=2)
        SpokenName(self.twins, N_("Near-duplicates"))
        self.twins_view = QStackedWidget()
        self.twins_view.addWidget(
            _with_words(
                N_(
                    "Each group shows nearly the same drawing. A group is never torn apart between training and "
                    "checking, so that nothing is found merely because it was seen."
                ),
                self.twins,
            )
        )
        self.twins_view.addWidget(_nothing("circle-check", N_("No two images look nearly the same.")))

        self.filter = Field(N_("Filter by name or caption"))
        self.filter.setFixedWidth(220)
        self._typing = QTimer(self)
        self._typing.setSingleShot(True)
        self._typing.setInterval(150)
        self._typing.timeout.connect(self._filter)
        self.filter.textChanged.connect(lambda _text: self._typing.start())
        self.tabs = Tabs(self.filter)
        self.tabs.add("pictures", N_("Pictures"), pictures)
        self.tabs.add("captions", N_("Captions"), captions)
        self.problems_tab = self.tabs.add("problems", N_("Problems"), self.problems_view)
        self.twins_tab = self.tabs.add("twins", N_("Near-duplicates"), self.twins_view)
        self.tabs.changed.connect(lambda name: self.filter.setVisible(name in ("pictures", "captions")))
        whole = QWidget()
        layout = column(numbers, self.source, self.notes, theme.S, self.tabs, gap=theme.XS)
        layout.setStretch(4, 1)
        whole.setLayout(layout)
        return whole

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
        trouble = [*collection.notes, *([str(app_model.split_error)] if app_model.split_error else [])]
        self.notes.show_literal("\n".join(trouble))
        self.notes.setVisible(bool(trouble))
        self.onward.setEnabled(split is not None)
        self._filter()
        self.table.captions.show(collection, app_model.part_of)
        self.problems_tab.say(
            N_("Problems ({count})") if collection.problems else N_("Problems"),
            count=len(collection.problems),
        )
        self.twins_tab.say(
            N_("Near-duplicates ({count})") if collection.duplicates else N_("Near-duplicates"),
            count=len(collection.duplicates),
        )
        _fill_table(self.problems, [(paths.shown(p.path), p.reason) for p in collection.problems])
        self.problems_view.setCurrentIndex(0 if collection.problems else 1)
        groups = [
            Tile(collection.root / path, paths.shown(path), _("group {number}").format(number=n), str(n))
            for n, group in enumerate(collection.duplicates, 1)
            for path in group
        ]
        self.twins.show_tiles(groups)
        self.twins_view.setCurrentIndex(0 if groups else 1)

    def _filter(self) -> None:
        text, collection = self.filter.text(), self.app_model.collection
        if collection is None:
            return
        wanted = text.casefold()
        shown = [
            index
            for index, item in enumerate(collection.items)
            if not wanted
            or wanted in item.path.casefold()
            or any(wanted in c.casefold() for c in item.captions)
        ]
        self.grid.show_tiles(_Tiles(collection, shown))
        self.table.show_rows(shown)

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

    def _read_again(self) -> None:
        self.app_model.store.clear()
        self.app_model.rescan()

    def _fill_menu(self) -> None:
        self.menu.clear()
        self.menu.addAction(_("Open a folder…"), lambda: self.app_model.ask_for_folder(self))
        self.menu.addAction(_("Try the sample collection"), self.app_model.open_sample)
        recent = [f for f in self.app_model.state.get("recent") if f != self.app_model.state.folder]
        if recent:
            self.menu.addSeparator()
        for folder in recent:
            self.menu.addAction(
                paths.shown(folder).replace("&", "&&"), partial(self.app_model.open_folder, folder)
            )

    # Captions

    def _on_edited(self, count: int) -> None:
        self.save_row.setVisible(count > 0)
        self.unsaved.say(
            N_("Changed, not yet saved: {count}. Saving writes metadata.csv in the folder."), count=count
        )

    def _save(self) -> None:
        collection = self.app_model.collection
        if collection is None:
            return
        root, edits = collection.root, dict(self.table.captions.edits)
        job = Job("save", partial(jobs.save_captions, root, edits))
        job.done.connect(self._on_saved)
        job.failed.connect(self.app_model.report)
        self.app_model.lanes.reading.submit(job)

    def _on_saved(self, _file: Path) -> None:
        self.app_model.rescan()


class _Tiles(Sequence[Tile]):
    """Tiles of some items, each made when it is drawn: thousands of paths would be felt when a folder opens."""

    def __init__(self, collection: Collection, indices: Sequence[int]) -> None:
        self._collection = collection
        self._indices = indices

    def __len__(self) -> int:
        return len(self._indices)

    @overload
    def __getitem__(self, row: int) -> Tile: ...
    @overload
    def __getitem__(self, row: slice) -> Sequence[Tile]: ...
    def __getitem__(self, row: int | slice) -> Tile | Sequence[Tile]:
        if isinstance(row, slice):
            return _Tiles(self._collection, self._indices[row])
        index = self._indices[row]
        item = self._collection.items[index]
        title = item.captions[0] if item.captions else paths.shown(item.path)
        return Tile(self._collection.absolute(item), title, data=index)


def _plain_table(titles: tuple[str, ...]) -> QTableWidget:
    table = _Table(titles)
    table.verticalHeader().hide()
    table.setShowGrid(False)
    table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    header = table.horizontalHeader()
    header.setHighlightSections(False)
    header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
    header.setSectionResizeMode(len(titles) - 1, QHeaderView.ResizeMode.Stretch)
    table.setColumnWidth(0, 300)
    return table


class _Table(QTableWidget):
    def __init__(self, titles: tuple[str, ...]) -> None:
        super().__init__(0, len(titles))
        self._titles = titles
        self.retranslate()

    def retranslate(self) -> None:
        """The header in the current language."""
        self.setHorizontalHeaderLabels([_(title) for title in self._titles])


def _fill_table(table: QTableWidget, lines: list[tuple[str, ...]]) -> None:
    table.setRowCount(len(lines))
    for y, line in enumerate(lines):
        for x, text in enumerate(line):
            cell = QTableWidgetItem(text)
            cell.setToolTip(plain_tooltip(text))
            table.setItem(y, x, cell)


def _nothing(icon: str, text: str) -> QWidget:
    label = Label(text, "muted")
    return box(None, row(None, Picture(icon, 28, "gain"), None), row(None, label, None), None)


def _with_words(text: str, view: QWidget) -> QWidget:
    made: Any = box(Label(text, "muted", wrap=True), view, gap=theme.M)
    made.layout().setStretch(1, 1)
    return made  # type: ignore[no-any-return]
