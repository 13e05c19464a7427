"""The Collection page: what is in the folder, where its words came from, and what is wrong with it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFrame,
    QHeaderView,
    QMenu,
    QProgressBar,
    QStackedWidget,
    QTableWidget,
    QTableWidgetItem,
    QWidget,
)

from clip_atelier.engine import paths
from clip_atelier.engine.control import Control
from clip_atelier.engine.errors import UserError
from clip_atelier.engine.events import Event, ProblemFound, Progress, Work
from clip_atelier.engine.i18n import N_, _
from clip_atelier.gui import theme
from clip_atelier.gui.desk import Desk
from clip_atelier.gui.jobs import Job, Tools
from clip_atelier.gui.widgets.captions import CaptionTable
from clip_atelier.gui.widgets.layout import box, card, clear, column, row, scrolled
from clip_atelier.gui.widgets.pictures import LargePicture, Tile, TileView
from clip_atelier.gui.widgets.tabs import Figure, Tabs
from clip_atelier.gui.widgets.text import Button, ElidedLabel, Field, Label, Picture, plain_tooltip

_SOURCES = {
    "metadata": N_("Captions come from the folder's metadata table."),
    "sidecar": N_("Captions come from a text file beside each image."),
    "folder": N_("Captions come from the names of the sub-folders."),
    "filename": N_("Captions come from the file names."),
    "mixed": N_("Captions come from more than one source."),
}
_PARTS = {"train": N_("training"), "validation": N_("validation"), "test": N_("test")}
_ROLES = {"sketch": N_("sketch"), "artwork": N_("artwork")}


def make(desk: Desk) -> QWidget:
    """The page."""
    return CollectionPage(desk)


class Welcome(QWidget):
    """No folder yet: where to begin."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk
        self.open = Button(N_("Open a folder…"), "primary", "folder-open")
        self.sample = Button(N_("Try the sample collection"), "plain", "sparkles")
        self.open.clicked.connect(lambda: desk.ask_for_folder(self))
        self.sample.clicked.connect(desk.open_sample)
        title = Label(N_("Drop a folder of drawings here"), "display")
        text = Label(
            N_(
                "Sketches, scans, finished work: PNG, JPEG, WebP, TIFF, Photoshop, Krita and more. "
                "Nothing leaves this machine, and nothing in the folder is changed."
            ),
            "muted",
            wrap=True,
        )
        for label in (title, text):
            label.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        text.setFixedWidth(460)
        self.recent = column(gap=theme.XS)
        self.recent_box = box(Label(N_("Opened before"), "caption"), self.recent)
        self.recent_box.setFixedWidth(460)
        self.setLayout(
            column(
                None,
                row(None, Picture("images", 56, "strong_line"), None), theme.M, title, text, theme.L,
                row(None, self.open, self.sample, None), theme.XXL, row(None, self.recent_box, None),
                None, gap=theme.S,
            )
        )  # fmt: skip
        desk.state.changed.connect(self._on_state)
        self._show_recent()

    def _on_state(self, what: str) -> None:
        if what == "recent":
            self._show_recent()

    def _show_recent(self) -> None:
        clear(self.recent)
        recent = self._desk.state.get("recent")[:4]
        for folder in recent:
            button = Button("{folder}", "quiet", "folder", folder=paths.shown(folder))
            button.setStyleSheet("text-align: left")
            button.clicked.connect(partial(self._desk.open_folder, folder))
            self.recent.addWidget(button)
        self.recent_box.setVisible(bool(recent))

    def paintEvent(self, _event: QPaintEvent) -> None:
        t = theme.tokens(self.palette())
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        pen = QPen(QColor(t.strong_line), 1.5)
        pen.setDashPattern([5, 5])
        painter.setPen(pen)
        painter.drawRoundedRect(self.rect().adjusted(1, 1, -2, -2), theme.L, theme.L)
        painter.end()


class Reading(QWidget):
    """The folder is being read for the first time."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self.title = Label(N_("Reading the folder…"), "title")
        self.count = Label(role="muted")
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setFixedWidth(320)
        self.stop = Button(N_("Stop"), "plain", "square")
        self.stop.clicked.connect(desk.lanes.reading.stop_all)
        self._bad = 0
        layout = column(None, self.title, self.count, theme.S, self.bar, theme.S, self.stop, None)
        for widget in (self.title, self.count, self.bar, self.stop):
            layout.setAlignment(widget, Qt.AlignmentFlag.AlignHCenter)
        self.setLayout(layout)
        desk.scanning.connect(self._on_events)

    def begin(self) -> None:
        """Starts counting anew."""
        self._bad = 0
        self.bar.setRange(0, 0)
        self.count.say("")

    def _on_events(self, events: list[Event]) -> None:
        self._bad += sum(isinstance(e, ProblemFound) for e in events)
        last = next((e for e in reversed(events) if isinstance(e, Progress)), None)
        if last is not None:
            self.bar.setRange(0, max(last.total, 1))
            self.bar.setValue(last.done)
            words = N_("{done} of {total}") if not self._bad else N_("{done} of {total}, {bad} left out")
            self.count.say(words, done=f"{last.done:,}", total=f"{last.total:,}", bad=f"{self._bad:,}")


class Failed(QWidget):
    """The folder could not be read: why, and what to do."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self.message = Label(role="title", wrap=True)
        self.hint = Label(role="muted", wrap=True)
        again = Button(N_("Try again"), "plain", "refresh-cw")
        other = Button(N_("Open a folder…"), "primary", "folder-open")
        again.clicked.connect(desk.rescan)
        other.clicked.connect(lambda: desk.ask_for_folder(self))
        for label in (self.message, self.hint):
            label.setAlignment(Qt.AlignmentFlag.AlignHCenter)
            label.setFixedWidth(560)
        self.setLayout(
            column(
                None, row(None, Picture("triangle-alert", 40, "warning"), None), row(None, self.message, None),
                row(None, self.hint, None), theme.M, row(None, again, other, None), None,
            )
        )  # fmt: skip

    def tell(self, error: Exception) -> None:
        """Shows the reason."""
        if isinstance(error, UserError):
            self.message.show_literal(error.message)
            self.hint.show_literal(error.hint)
        else:
            self.message.say(N_("The folder could not be read."))
            self.hint.show_literal(f"{type(error).__name__}: {error}")


class Detail(QFrame):
    """One picture, large, with all that is known about it."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk
        self._path: Path | None = None
        self.setProperty("role", "card")
        self.setFixedWidth(268)
        self.picture = LargePicture(desk.store, 220)
        self.name = ElidedLabel(role="strong")
        self.size = Label(role="caption")
        self.captions = Label(wrap=True)
        self.facts = Label(role="muted", wrap=True)
        self.reveal = Button(N_("Show in folder"), "quiet", "external-link")
        self.find = Button(N_("Find similar"), "quiet", "search")
        self.reveal.clicked.connect(self._reveal)
        self.find.clicked.connect(self._find)
        inner = box(
            self.name, self.size, theme.S, self.captions, self.facts, theme.S, row(self.reveal, None),
            row(self.find, None), None, gap=theme.XS,
        )  # fmt: skip
        layout = column(self.picture, scrolled(inner), gap=theme.M)
        layout.setContentsMargins(theme.M, theme.M, theme.M, theme.M)
        self.setLayout(layout)
        self.hide()

    def show_item(self, index: int | None) -> None:
        """Shows one item of the collection, or nothing."""
        collection = self._desk.collection
        self.setVisible(index is not None and collection is not None)
        if index is None or collection is None:
            self._path = None
            self.picture.show_path(None)
            return
        item = collection.items[index]
        self._path = collection.absolute(item)
        self.picture.show_path(self._path)
        self.name.show_literal(paths.shown(item.path))
        self.size.show_literal(f"{item.width:,} × {item.height:,}")
        self.captions.show_literal("\n".join(item.captions))
        known = [
            (N_("Label: {value}"), item.label),
            (N_("Pair: {value}"), item.pair),
            (N_("Side: {value}"), _(_ROLES.get(item.role, ""))),
            (N_("Part: {value}"), _(_PARTS.get(part_of(self._desk).get(index, ""), ""))),
        ]
        self.facts.show_literal("\n".join(_(text).format(value=value) for text, value in known if value))

    def _reveal(self) -> None:
        if self._path is not None:
            self._desk.reveal(self._path)

    def _find(self) -> None:
        if self._path is not None:
            self._desk.page_wanted.emit("search")
            self._desk.asked_to_find.emit(str(self._path))


def part_of(desk: Desk) -> dict[int, str]:
    """Item index -> part of the split."""
    if desk.split is None:
        return {}
    parts = {"train": desk.split.train, "validation": desk.split.validation, "test": desk.split.test}
    return {index: name for name, indices in parts.items() for index in indices}


class CollectionPage(QWidget):
    """All of it."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self.desk = desk
        self.welcome = Welcome(desk)
        self.reading = Reading(desk)
        self.failed = Failed(desk)
        self.stack = QStackedWidget()
        for widget in (self.welcome, self.reading, self.failed, self._filled()):
            self.stack.addWidget(widget)
        layout = column(self.stack)
        layout.setContentsMargins(theme.XL, theme.L, theme.XL, theme.XL)
        self.setLayout(layout)
        desk.collection_changed.connect(self.refresh)
        self.refresh()

    def _filled(self) -> QWidget:
        desk = self.desk
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
        self.onward.clicked.connect(lambda: desk.page_wanted.emit("settings"))
        numbers = row(*self.figures.values(), None, self.again, self.other, self.onward, gap=theme.XL)
        numbers.setSpacing(theme.XL)

        self.grid = TileView(desk.store, 120)
        self.detail = Detail(desk)
        self.grid.selected.connect(self._on_selected)
        pictures = QWidget()
        pictures.setLayout(row(self.grid, self.detail, gap=theme.L))

        self.table = CaptionTable(desk.store)
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
        self.problems_none = _nothing("circle-check", N_("Every file could be read."))
        self.problems_view = QStackedWidget()
        self.problems_view.addWidget(card(self.problems, margin=1))
        self.problems_view.addWidget(self.problems_none)
        self.twins = TileView(desk.store, 120, lines=2)
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
        self.filter.textChanged.connect(self._on_filter)
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

    def refresh(self) -> None:
        """Shows what the desk holds."""
        desk = self.desk
        if desk.collection is not None:
            self._show_collection()
            self.stack.setCurrentIndex(3)
        elif desk.scan_error is not None:
            self.failed.tell(desk.scan_error)
            self.stack.setCurrentIndex(2)
        elif desk.state.folder and desk.lanes.reading.busy:
            if self.stack.currentIndex() != 1:
                self.reading.begin()
            self.stack.setCurrentIndex(1)
        else:
            self.stack.setCurrentIndex(0)

    def retranslate(self) -> None:
        """What was put together from several messages."""
        if self.desk.collection is not None:
            self._show_collection()

    def _show_collection(self) -> None:
        desk = self.desk
        collection, split = desk.collection, desk.split
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
        trouble = [*collection.notes, *([str(desk.split_error)] if desk.split_error else [])]
        self.notes.show_literal("\n".join(trouble))
        self.notes.setVisible(bool(trouble))
        self.onward.setEnabled(split is not None)
        self._on_filter(self.filter.text())
        self.table.captions.show(collection, part_of(desk))
        self.problems_tab.say(N_("Problems ({count})") if collection.problems else N_("Problems"), count=len(collection.problems))
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

    def _on_filter(self, text: str) -> None:
        collection = self.desk.collection
        if collection is None:
            return
        wanted = text.casefold()
        tiles = [
            Tile(collection.absolute(item), item.captions[0] if item.captions else paths.shown(item.path), data=index)
            for index, item in enumerate(collection.items)
            if not wanted or wanted in item.path.casefold() or any(wanted in c.casefold() for c in item.captions)
        ]
        self.grid.show_tiles(tiles)
        self.table.filter(text)

    def _on_selected(self, tile: Tile | None) -> None:
        self.detail.show_item(None if tile is None else tile.data)

    def _read_again(self) -> None:
        self.desk.store.clear()
        self.desk.rescan()

    def _fill_menu(self) -> None:
        self.menu.clear()
        self.menu.addAction(_("Open a folder…"), lambda: self.desk.ask_for_folder(self))
        self.menu.addAction(_("Try the sample collection"), self.desk.open_sample)
        recent = [f for f in self.desk.state.get("recent") if f != self.desk.state.folder]
        if recent:
            self.menu.addSeparator()
        for folder in recent:
            self.menu.addAction(paths.shown(folder).replace("&", "&&"), partial(self.desk.open_folder, folder))

    # Captions

    def _on_edited(self, count: int) -> None:
        self.save_row.setVisible(count > 0)
        self.unsaved.say(N_("Changed, not yet saved: {count}. Saving writes metadata.csv in the folder."), count=count)

    def _save(self) -> None:
        collection = self.desk.collection
        if collection is None:
            return
        root, edits = collection.root, dict(self.table.captions.edits)
        job = Job("save", partial(_save_captions, root, edits))
        job.done.connect(self._on_saved)
        job.failed.connect(self.desk.report)
        self.desk.lanes.reading.submit(job)

    def _on_saved(self, _file: Path) -> None:
        self.desk.rescan()


def _save_captions(root: Path, edits: dict[str, tuple[str, ...]], _tools: Tools, _control: Control) -> Work[Path]:
    from clip_atelier.engine.collection import captions

    return captions.save(root, edits)
    yield  # a generator, as all work is


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
