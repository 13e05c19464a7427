"""The Search page: by words, by a picture, or by drawing; base and adapted side by side."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QTimer
from PySide6.QtGui import (
    QImage,
    QShowEvent,
)
from PySide6.QtWidgets import QStackedWidget, QWidget

from clip_atelier.engine.core import N_, UserError, _, original, paths
from clip_atelier.engine.search import KeptSearch
from clip_atelier.gui import theme
from clip_atelier.gui.actions import Bound
from clip_atelier.gui.jobs import at_once
from clip_atelier.gui.pages.search import jobs
from clip_atelier.gui.pages.search.contact_sheet import Section, Sheet
from clip_atelier.gui.pages.search.exporting import ExportButton
from clip_atelier.gui.pages.search.jobs import Found, Wanted
from clip_atelier.gui.pages.search.narrowing import Narrowing
from clip_atelier.gui.pages.search.parts import (
    Column,
    GalleryChoice,
    Invitation,
    QueryPicture,
    pixels,
)
from clip_atelier.gui.pages.search.result_actions import ResultActions
from clip_atelier.gui.pages.search.saved import SavedSearches, search_words
from clip_atelier.gui.pages.search.taking import TakesPictures
from clip_atelier.gui.parts.pictures import read_picture
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


class SearchPage(TakesPictures):
    """All of it."""

    def __init__(self, app_model: AppModel) -> None:
        super().__init__()
        self.app_model = app_model
        self.found: Found | None = None
        self._stale = False  # whether the strength was turned while the page was hidden

        self.words = Field(N_("Search by words"))
        self.words.setText(str(app_model.state.view("search.words", "")))
        self.words.setMinimumHeight(30)
        self.without = Field(N_("Without, e.g. fruit"))
        self.without.setMaximumWidth(170)
        self.without.setMinimumHeight(30)
        self.picture = QueryPicture()
        self.open = Button(N_("Picture…"), "plain", "image", tip=N_("Search by a picture from a file"))
        self.paste = Button(
            N_("Paste"), "plain", "clipboard", tip=N_("Search by the picture on the clipboard")
        )
        self.draw = Button(N_("Draw"), "plain", "brush", checkable=True, tip=N_("Search by drawing"))
        self.saved = SavedSearches(app_model, self._asked)
        first = row(
            Picture("search", 18), self.words, self.without, self.picture, self.open, self.paste, self.draw,
            self.saved,
        )  # fmt: skip
        first.setStretch(1, 1)

        self.gallery = GalleryChoice(app_model)
        self.runs = RunChoice({"": N_("Base model only")})
        SpokenName(self.runs, N_("Training"))
        self.runs.setMinimumWidth(190)
        self.dial = StrengthDial(app_model)
        self.strength = self.dial.slider
        self.worth = StrengthLine(app_model)
        self.export = ExportButton(app_model, lambda: self.found, self._sheet)
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
        self.other = Button(N_("Choose another model"), "plain")
        self.other.clicked.connect(lambda: app_model.page_wanted.emit("models"))
        self.other.hide()
        said = row(self.message, self.other, gap=theme.M)
        said.setStretch(0, 1)
        self.narrowing = Narrowing()
        layout = column(first, second, self.worth, self.narrowing, said, lower, gap=theme.M)
        layout.setStretch(5, 1)
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
        for field in (self.words, self.without):
            field.returnPressed.connect(self.search)
            field.textEdited.connect(lambda _text: self._soon.start())
            field.composed.connect(self._soon.start)
        self.picture.removed.connect(self._soon.start)
        self.gallery.changed.connect(self.narrowing.forget)
        self.gallery.changed.connect(self._soon.start)
        self.narrowing.changed.connect(self.search)
        self.saved.chosen.connect(self.search_again)
        self.open.clicked.connect(lambda: self.ask_for_picture(app_model.state.folder))
        self.paste.clicked.connect(self.paste_picture)
        self.draw.toggled.connect(self._on_draw)
        self.canvas.drawn.connect(self._on_drawn)
        self.runs.edited.connect(self._on_run_chosen)
        app_model.strength.changed.connect(self._on_strength)
        self.invitation.example.connect(self.search_for)
        self.actions_of_results = ResultActions(app_model, self, (self.base.view, self.adapted.view))
        self.actions_of_results.alike_wanted.connect(lambda files: self.search_by(*files))
        self.actions_of_results.part_wanted.connect(self.take_picture)
        Bound("search.paste", self, self.paste_picture)
        Bound("search.words", self, self.words.setFocus)
        Bound("search.draw", self, self.draw.click)
        app_model.runs_changed.connect(self._on_runs)
        app_model.asked_to_find.connect(lambda path: self.search_by(Path(path)))
        app_model.asked_for_words.connect(self.search_for)
        app_model.asked_for_common.connect(lambda files: self.search_by(*map(Path, files)))
        app_model.state.changed.connect(self._on_state)

    # Asking

    def search_for(self, words: str) -> None:
        """Searches for words."""
        self.words.setText(words)
        self.search()

    def _asked(self) -> KeptSearch | None:
        """What is asked now; None where that cannot be kept: nothing, or a picture that is no file."""
        words, drawn = self.words.whole.strip(), self.draw.isChecked() and not self.canvas.empty
        if drawn or self.picture.image is not None or not (words or self.picture.paths):
            return None
        files = tuple(str(file) for file in self.picture.paths)
        return KeptSearch(words=words, without=self.without.whole.strip(), pictures=files)

    def search_again(self, kept: KeptSearch) -> None:
        """Asks what was asked before."""
        files = [Path(file) for file in kept.pictures]
        missing = next((file for file in files if not original(file).is_file()), None)
        if missing is not None:
            error = UserError(
                _("There is no “{path}” any more.").format(path=paths.shown(missing)),
                _("This search was by that picture."),
            )
            self.app_model.report(error)
            return
        self.draw.setChecked(False)
        self.without.setText(kept.without)
        self.picture.clear()
        if files:
            self.search_by(*files, words=kept.words)
        else:
            self.search_for(kept.words)

    def search_by(self, *files: Path, words: str = "") -> None:
        """Searches by a picture file; by several for what they have in common. Words go with it."""
        first = files[0]
        name = paths.shown(first.name)
        if len(files) > 1:
            name = _("{name} and {count} more").format(name=name, count=len(files) - 1)
        job = Job("look", lambda _tools, _control: at_once(lambda: read_picture(first, 128)))
        job.done.connect(lambda image: self.take_picture(image, name, files, words))
        job.failed.connect(self.app_model.report)
        self.app_model.lanes.files.replace(job)

    def take_picture(self, image: QImage, name: str, files: Sequence[Path] = (), words: str = "") -> None:
        """Searches by a picture, of files or without one; `words` go with it."""
        self.draw.setChecked(False)
        self.words.setText(
            words
        )  # they asked for something else; words typed from now on go with the picture
        self.picture.show_picture(image, name, files)
        self.search()

    def _on_draw(self, on: bool) -> None:
        self.sheet.setVisible(on)
        if on:
            self.picture.clear()
            self.words.clear()
            self.canvas.setFocus()
        self._soon.start()

    def _on_drawn(self) -> None:
        self.search()

    def search(self) -> None:
        """Searches for what is asked now; an earlier search that still runs is dropped."""
        self._soon.stop()
        app_model = self.app_model
        words = self.words.whole.strip()
        app_model.state.set_view("search.words", self.words.text().strip())
        drawn = (
            self.canvas.picture() if self.draw.isChecked() and not self.canvas.empty else self.picture.image
        )
        if not (words or drawn is not None or self.picture.paths) or not self.gallery.folder:
            self.found = None
            self.tell("")
            self.stack.setCurrentIndex(0)
            return
        run = self.runs.value()
        wanted = Wanted(
            folder=Path(self.gallery.folder),
            words=words,
            without=self.without.whole,
            pictures=self.picture.paths,
            pixels=None if drawn is None else pixels(drawn),
            run=run,
            strength=app_model.strength.value if run and app_model.strength.by_hand else None,
            values=app_model.state.values(),
            reading=app_model.readings,
            top=_TOP,
            against=self.narrowing.against.value() if run else "",
            below=self.narrowing.folder.value(),
            label=self.narrowing.label.value(),
            since=self.narrowing.since,
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
            self.tell(N_("Searching…"))
        app_model.lanes.compute.replace(job)

    def tell(self, text: str) -> None:
        """Says something above the results."""
        self.message.say(text)
        self.message.setVisible(bool(text))
        self.message.set_role("muted")
        self.other.hide()

    def _on_failed(self, error: Exception) -> None:
        self.tell("")
        self.app_model.report(error)

    # Answers

    def _on_found(self, found: Found) -> None:
        self.found = found
        if not (self.words.unfinished or self.without.unfinished):
            self.saved.remember()
        if self.narrowing.offer(found.folders, found.labels):  # what was chosen is no more
            self._soon.start()
        self.message.show_literal("\n".join(found.remarks))
        self.message.setVisible(bool(found.remarks))
        self.message.set_role("warning" if found.strange_words else "muted")
        self.other.setVisible(found.strange_words)
        self.stack.setCurrentIndex(1)
        self._show_found()

    def _show_found(self) -> None:
        found = self.found
        self.export.setVisible(found is not None)
        if found is None:
            return
        self.base.show_hits(found.root, found.base)
        if found.against:
            self.base.title.show_literal(self._run_name(found.against))
            self.adapted.title.show_literal(self._run_name(self.runs.value()))
        else:
            self.base.title.say(N_("Untouched base"))
            self.adapted.title.say(N_("Adapted"))
        self.adapted.setVisible(found.adapted is not None)
        words = N_("{count} pictures searched")
        self.base.note.say(words, count=f"{found.gallery:,}")
        if found.adapted is not None:
            self.adapted.show_hits(found.root, found.adapted)
            moved = sum(hit.base_place != place for place, hit in enumerate(found.adapted, 1))
            self.adapted.note.say(N_("{count} of the first {top} moved"), count=moved, top=len(found.adapted))

    def _sheet(self) -> Sheet:
        """What is shown now, as contact sheets."""
        found, asked = self.found, self._asked()
        assert found is not None  # the button is only there with results
        words = search_words(asked) if asked is not None else _("Search by a picture")
        sections = [Section(str(self.base.title.text()), found.base)]
        if found.adapted is not None:
            sections.append(Section(f"{_('Adapted')}  ·  {self._run_name(self.runs.value())}", found.adapted))
        return Sheet(words, found.root, sections)

    def _run_name(self, run: str) -> str:
        found = next((one for one in self.app_model.runs if one.run == run), None)
        return run_words(found) if found is not None else run

    def retranslate(self) -> None:
        """Answers in the current language."""
        self._show_found()

    # Gallery, run and strength

    def _on_runs(self) -> None:
        usable = self.app_model.usable_runs
        before = self.runs.value()
        self.runs.show_runs(usable, self.app_model.state.folder)
        wanted = self.app_model.state.get("run")
        if (
            self.runs.findData(wanted or "-") < 0
        ):  # it is still being trained, or there is none: what was chosen stays
            wanted = before or self.app_model.newest(usable)
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
        if what == "folder":
            self.runs.set_value("")
        if what in ("run", "folder"):
            self._on_runs()

    def _name_run(self) -> None:
        run = next((r for r in self.app_model.runs if r.run == self.runs.value()), None)
        self.dial.setVisible(run is not None)
        self.worth.setVisible(run is not None)
        chosen = run.run if run is not None else ""
        self.narrowing.offer_runs(self.app_model.usable_runs, chosen, self.app_model.state.folder)
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
