"""The Search page: by words, by a picture, or by drawing; base and adapted side by side."""

from __future__ import annotations

import contextlib
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QPoint, QTimer
from PySide6.QtGui import (
    QDragEnterEvent,
    QDropEvent,
    QGuiApplication,
    QImage,
    QKeySequence,
    QShortcut,
    QShowEvent,
)
from PySide6.QtWidgets import QFileDialog, QMenu, QStackedWidget, QWidget

from clip_atelier.engine.core import N_, _, paths
from clip_atelier.gui import theme
from clip_atelier.gui.drops import dropped_paths
from clip_atelier.gui.jobs import at_once
from clip_atelier.gui.pages.search import jobs
from clip_atelier.gui.pages.search.jobs import Found, Wanted
from clip_atelier.gui.pages.search.parts import (
    Column,
    GalleryChoice,
    Invitation,
    QueryPicture,
    pixels,
)
from clip_atelier.gui.parts.pictures import TILE, Tile, TileView, read_picture
from clip_atelier.gui.parts.run_choice import RunChoice, run_words
from clip_atelier.gui.parts.strength_dial import StrengthDial, StrengthLine
from clip_atelier.gui.widgets.canvas import Canvas
from clip_atelier.gui.widgets.layout import card, column, row
from clip_atelier.gui.widgets.text import Button, Field, Label, Picture, SpokenName
from clip_atelier.gui.workers import Job

if TYPE_CHECKING:
    from clip_atelier.gui.app_model import AppModel

_TYPING_MS = 350
_TOP = 60


def make(app_model: AppModel) -> QWidget:
    """The page."""
    return SearchPage(app_model)


class SearchPage(QWidget):
    """All of it."""

    def __init__(self, app_model: AppModel) -> None:
        super().__init__()
        self.app_model = app_model
        self.setAcceptDrops(True)
        self.found: Found | None = None
        self._stale = False  # whether the strength was turned while the page was hidden

        self.words = Field(N_("Search by words"))
        self.words.setText(str(app_model.state.view("search.words", "")))
        self.words.setMinimumHeight(30)
        self.picture = QueryPicture()
        self.open = Button(N_("Picture…"), "plain", "image", tip=N_("Search by a picture from a file"))
        self.paste = Button(
            N_("Paste"), "plain", "clipboard", tip=N_("Search by the picture on the clipboard")
        )
        self.draw = Button(N_("Draw"), "plain", "brush", checkable=True, tip=N_("Search by drawing"))
        first = row(Picture("search", 18), self.words, self.picture, self.open, self.paste, self.draw)
        first.setStretch(1, 1)

        self.gallery = GalleryChoice(app_model)
        self.runs = RunChoice({"": N_("Base model only")})
        SpokenName(self.runs, N_("Run"))
        self.runs.setMinimumWidth(240)
        self.dial = StrengthDial(app_model)
        self.strength = self.dial.slider
        self.worth = StrengthLine(app_model)
        self.export = Button(N_("Export…"), "quiet", "download", tip=N_("Save both rankings as a table"))
        self.export.hide()
        second = row(self.gallery, self.runs, theme.M, self.dial, None, self.export)

        self.canvas = Canvas()
        undo = Button(N_("Undo"), "quiet", "undo-2")
        wipe = Button(N_("Clear"), "quiet", "eraser")
        undo.clicked.connect(self.canvas.undo)
        wipe.clicked.connect(self.canvas.clear)
        self.sheet = card(self.canvas, row(undo, wipe, None), gap=theme.S, margin=theme.M)
        self.sheet.hide()

        self.base = Column(app_model, N_("Untouched base"))
        self.adapted = Column(app_model, N_("Adapted"))
        both = row(self.base, self.adapted, gap=theme.L)
        both.setStretch(0, 1)
        both.setStretch(1, 1)
        results = QWidget()
        results.setLayout(both)
        self.invitation = Invitation(app_model)
        self.stack = QStackedWidget()
        self.stack.addWidget(self.invitation)
        self.stack.addWidget(results)
        lower = row(column(self.sheet, None), self.stack, gap=theme.L)
        lower.setStretch(1, 1)
        self.message = Label(role="muted", wrap=True)
        self.message.hide()
        layout = column(first, second, self.worth, self.message, lower, gap=theme.M)
        layout.setStretch(4, 1)
        layout.setContentsMargins(theme.XL, theme.L, theme.XL, theme.L)
        self.setLayout(layout)

        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(_TYPING_MS)
        self._soon.timeout.connect(self.search)
        self._connect()
        self._on_runs()
        app_model.read_runs()
        if self.words.text():
            self._soon.start()

    def _connect(self) -> None:
        app_model = self.app_model
        self.words.textEdited.connect(lambda _text: self._soon.start())
        self.words.returnPressed.connect(self.search)
        self.picture.removed.connect(self._soon.start)
        self.gallery.changed.connect(self._soon.start)
        self.open.clicked.connect(self._ask_for_picture)
        self.paste.clicked.connect(self.paste_picture)
        self.draw.toggled.connect(self._on_draw)
        self.canvas.drawn.connect(self._on_drawn)
        self.runs.edited.connect(self._on_run_chosen)
        app_model.strength.changed.connect(self._on_strength)
        self.export.clicked.connect(self._ask_for_table)
        self.invitation.example.connect(self.search_for)
        for view in (self.base.view, self.adapted.view):
            view.opened.connect(self._more_like)
            view.customContextMenuRequested.connect(partial(self._menu, view))
        QShortcut(QKeySequence("Ctrl+Shift+V"), self, self.paste_picture)
        QShortcut(QKeySequence.StandardKey.Find, self, self.words.setFocus)
        app_model.runs_changed.connect(self._on_runs)
        app_model.asked_to_find.connect(lambda path: self.search_by(Path(path)))
        app_model.asked_for_words.connect(self.search_for)
        app_model.state.changed.connect(self._on_state)

    # Asking

    def search_for(self, words: str) -> None:
        """Searches for words."""
        self.words.setText(words)
        self.search()

    def search_by(self, path: Path) -> None:
        """Searches by a picture file."""
        job = Job("look", lambda _tools, _control: at_once(lambda: read_picture(path, 128)))
        job.done.connect(lambda image: self._take(image, paths.shown(path.name), path))
        job.failed.connect(self.app_model.report)
        self.app_model.lanes.files.replace(job)

    def _take(self, image: QImage, name: str, path: Path | None = None) -> None:
        self.draw.setChecked(False)
        self.picture.show_picture(image, name, path)
        self.search()

    def paste_picture(self) -> None:
        """Searches by what is on the clipboard: a picture, or a picture's file."""
        data = QGuiApplication.clipboard().mimeData()
        files = (
            [Path(url.toLocalFile()) for url in data.urls() if url.isLocalFile()] if data.hasUrls() else []
        )
        if files:
            self.search_by(files[0])
        elif data.hasImage():
            self._take(QGuiApplication.clipboard().image(), _("pasted picture"))
        else:
            self._tell(N_("There is no picture on the clipboard."))

    def _ask_for_picture(self) -> None:
        name, _kind = QFileDialog.getOpenFileName(self, _("Search by a picture"), self.app_model.state.folder)
        if name:
            self.search_by(Path(name))

    def _on_draw(self, on: bool) -> None:
        self.sheet.setVisible(on)
        if on:
            self.picture.clear()
            self.canvas.setFocus()
        self._soon.start()

    def _on_drawn(self) -> None:
        self.search()

    def search(self) -> None:
        """Searches for what is asked now; an earlier search that still runs is dropped."""
        self._soon.stop()
        app_model = self.app_model
        words = self.words.text().strip()
        app_model.state.set_view("search.words", words)
        drawn = (
            self.canvas.picture() if self.draw.isChecked() and not self.canvas.empty else self.picture.image
        )
        if not (words or drawn is not None or self.picture.path) or not self.gallery.folder:
            self.found = None
            self._tell("")
            self.stack.setCurrentIndex(0)
            return
        run = self.runs.value()
        wanted = Wanted(
            folder=Path(self.gallery.folder),
            words=words,
            picture=self.picture.path,
            pixels=None if drawn is None else pixels(drawn),
            run=run,
            strength=app_model.strength.value if run and app_model.strength.by_hand else None,
            values=app_model.state.values(),
            reading=app_model.readings,
            top=_TOP,
        )
        job = Job("search", partial(jobs.find, wanted))
        job.done.connect(self._on_found)
        job.failed.connect(self._on_failed)
        if (
            app_model.lanes.compute.busy
            and app_model.lanes.compute.current is not None
            and app_model.lanes.compute.current.name == "train"
        ):
            self.message.say(
                N_("The search waits until training is done. You can stop it on the Training page.")
            )
        else:
            self._tell(N_("Searching…"))
        app_model.lanes.compute.replace(job)

    def _tell(self, text: str) -> None:
        self.message.say(text)
        self.message.setVisible(bool(text))

    def _on_failed(self, error: Exception) -> None:
        self._tell("")
        self.app_model.report(error)

    # Answers

    def _on_found(self, found: Found) -> None:
        self.found = found
        self._tell("")
        self.stack.setCurrentIndex(1)
        self._show_found()

    def _show_found(self) -> None:
        found = self.found
        self.export.setVisible(found is not None)
        if found is None:
            return
        self.base.show_hits(found.root, found.base)
        self.adapted.setVisible(found.adapted is not None)
        words = N_("{count} pictures searched")
        self.base.note.say(words, count=f"{found.gallery:,}")
        if found.adapted is not None:
            self.adapted.show_hits(found.root, found.adapted)
            moved = sum(hit.base_place != place for place, hit in enumerate(found.adapted, 1))
            self.adapted.note.say(N_("{count} of the first {top} moved"), count=moved, top=len(found.adapted))

    def _ask_for_table(self) -> None:
        kinds = "CSV (*.csv);;Markdown (*.md);;LaTeX (*.tex)"
        name, _kind = QFileDialog.getSaveFileName(self, _("Save the rankings"), _("ranking") + ".csv", kinds)
        if name:
            self.export_to(Path(name))

    def export_to(self, out: Path) -> None:
        """Saves both rankings."""
        if self.found is not None:
            job = Job("export", partial(jobs.export, self.found, out))
            job.failed.connect(self.app_model.report)
            job.done.connect(lambda _result: self._tell(N_("Saved.")))
            self.app_model.lanes.files.submit(job)

    def retranslate(self) -> None:
        """Answers in the current language."""
        self._show_found()

    def _more_like(self, tile: Tile) -> None:
        self.words.setText("")
        self.search_by(tile.path)

    def _menu(self, view: TileView, at: QPoint) -> None:
        index = view.indexAt(at)
        if not index.data(TILE):
            return
        tile = view.tiles.tile(index.row())
        menu = QMenu(self)
        menu.addAction(_("More like this"), lambda: self._more_like(tile))
        menu.addAction(_("Open in the file manager"), lambda: self.app_model.reveal(tile.path))
        menu.addAction(
            _("Copy the path"), lambda: QGuiApplication.clipboard().setText(paths.shown(tile.path))
        )
        menu.popup(view.viewport().mapToGlobal(at))

    # Gallery, run and strength

    def _on_runs(self) -> None:
        usable = self.app_model.usable_runs
        before = self.runs.value()
        self.runs.show_runs(usable)
        wanted = self.app_model.state.get("run") or (usable[-1].run if usable else "")
        if self.runs.findData(wanted) >= 0 and not self.app_model.state.view("search.base", False):
            self.runs.set_value(wanted)
        self._name_run()
        if self.runs.value() != before and self.words.text():
            self._soon.start()

    def _on_run_chosen(self) -> None:
        run = self.runs.value()
        self.app_model.state.set_view("search.base", not run)
        if run:
            self.app_model.state.set("run", run)
        self._name_run()
        self.search()

    def _on_state(self, what: str) -> None:
        if what == "run":
            self._on_runs()

    def _name_run(self) -> None:
        run = next((r for r in self.app_model.runs if r.run == self.runs.value()), None)
        self.dial.setVisible(run is not None)
        self.worth.setVisible(run is not None)
        if run is not None:
            self.adapted.setAccessibleName(run_words(run))

    def _on_strength(self) -> None:
        if self.found is None or not self.runs.value():
            return
        if self.isVisible():
            self._soon.start()
        else:
            self._stale = True

    def showEvent(self, event: QShowEvent) -> None:
        """The answers follow a strength that was chosen on another page."""
        super().showEvent(event)
        if self._stale:
            self._stale = False
            self._soon.start()

    # Dropping

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        files = dropped_paths(event)
        if (files and files[0].is_file()) or (not files and event.mimeData().hasImage()):
            event.acceptProposedAction()
        else:
            event.ignore()

    def dropEvent(self, event: QDropEvent) -> None:
        files = dropped_paths(event)
        if files:
            event.acceptProposedAction()
            self.search_by(files[0])
            return
        with contextlib.suppress(TypeError):
            image = QImage(event.mimeData().imageData())
            event.acceptProposedAction()
            self._take(image, _("dropped picture"))
