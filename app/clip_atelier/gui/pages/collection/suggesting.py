"""The dialog that names drawings with the model's suggestions: one after the other by keys, or all sure ones at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeyEvent, QKeySequence, QShortcut
from PySide6.QtWidgets import QDialog, QWidget

from clip_atelier.engine.core import N_, UserError, _, paths
from clip_atelier.gui import theme
from clip_atelier.gui.pages.collection import jobs
from clip_atelier.gui.pages.collection.suggestion_table import ManySuggestions
from clip_atelier.gui.parts.large_pictures import LargePicture
from clip_atelier.gui.parts.measurement import Measurement
from clip_atelier.gui.widgets.layout import column, row
from clip_atelier.gui.widgets.text import Button, ElidedLabel, Field, Label, finish_composing
from clip_atelier.gui.workers import Job

if TYPE_CHECKING:
    from clip_atelier.engine.data import Captioned
    from clip_atelier.engine.search import Suggestion, Suggestions
    from clip_atelier.gui.app_model import AppModel
    from clip_atelier.gui.pages.collection.caption_model import CaptionModel

COUNT = 5
_SIDE = 320


class SuggestCaptions(QDialog):
    """A drawing, five captions for it under the keys 1 to 5, and how often such suggestions were right in this folder.

    What is taken is a change like any that is typed: a draft, one step that can be taken back, saved when it is asked for.

    Args:
        app_model: The window's.
        captions: What the drawings are called now.
        wanted: Which are to be named; where none is given, those that lack a caption of their own.
        parent: The dialog's.
    """

    def __init__(
        self,
        app_model: AppModel,
        captions: CaptionModel,
        wanted: Sequence[str],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.app_model = app_model
        self.captions = captions
        self.found: Suggestions | None = None
        self.at = 0
        self._wanted = tuple(wanted)
        self._begun: dict[
            str, str
        ] = {}  # captions of the user's own that were typed and not given yet, by drawing
        self._job: Job | None = None
        self.setWindowTitle(_("Suggestions for captions"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.resize(780, 520)
        self.looking = Measurement(N_("Look again"), "sparkles")
        self.about = Label(role="muted", wrap=True)
        self.picture = LargePicture(app_model.store, _SIDE)
        self.name = ElidedLabel(role="strong")
        self.place = Label(role="caption")
        self.now = Label(role="caption", wrap=True)
        self.takers = [Button("", "plain") for _number in range(COUNT)]
        self.sure = Label(role="gain", wrap=True)
        self.own = Field(N_("Or type your own, and press Enter"))
        self.back = Button(N_("Back"), "quiet")
        self.skip = Button(N_("Skip"), "quiet")
        self.undo = Button(N_("Undo"), "quiet", "undo-2")
        self.all_sure = Button("", "plain")
        self.many = Button(N_("As a table…"), "quiet")
        self.shut = Button(N_("Close"), "plain")
        for number, taker in enumerate(self.takers):
            taker.clicked.connect(partial(self.take, number))
        self.own.returnPressed.connect(self._take_own)
        self.back.clicked.connect(partial(self._go, -1))
        self.skip.clicked.connect(partial(self._go, 1))
        self.undo.clicked.connect(captions.steps.undo)
        self.all_sure.clicked.connect(self.take_sure)
        self.many.clicked.connect(self.show_many)
        self.shut.clicked.connect(self.reject)
        self.looking.wanted.connect(self.look)
        for button in (*self.takers, self.back, self.skip, self.undo, self.all_sure, self.many, self.shut):
            button.setAutoDefault(False)
        self._lay_out()
        for number in range(COUNT):
            self._key(str(number + 1), self.takers[number].click)
        self._key("Left", self.back.click)
        for key in ("Right", "Return", "Enter"):
            self._key(key, self.skip.click)
        self._key(QKeySequence.StandardKey.Undo, captions.steps.undo)
        captions.steps.indexChanged.connect(self._draw)
        self._draw()
        self.look()

    def _lay_out(self) -> None:
        left = column(self.picture, self.name, self.now, None, gap=theme.S)
        right = column(self.place, *self.takers, self.sure, theme.S, self.own, None, gap=theme.S)
        self.both = QWidget()
        halves = row(left, right, gap=theme.L)
        halves.setStretch(0, 1)
        halves.setStretch(1, 1)
        halves.setContentsMargins(0, 0, 0, 0)
        self.both.setLayout(halves)
        ends = row(self.back, self.skip, self.undo, None, self.many, self.all_sure, self.shut, gap=theme.S)
        layout = column(self.about, self.looking, self.both, ends, gap=theme.M)
        layout.setStretch(2, 1)
        layout.setContentsMargins(theme.XL, theme.L, theme.XL, theme.L)
        self.setLayout(layout)

    def _key(self, keys: str | QKeySequence.StandardKey, do: object) -> None:
        shortcut = QShortcut(QKeySequence(keys), self.both)
        # Not while one types a caption of one's own.
        shortcut.setContext(Qt.ShortcutContext.WindowShortcut)
        shortcut.activated.connect(do)
        for signal in (self.own.textChanged, self.own.composed):
            signal.connect(lambda *_text: shortcut.setEnabled(not self.own.seen))

    # Asking

    def look(self) -> None:
        """Has the model look at the drawings."""
        if self.looking.busy or self.captions.root is None:
            return
        from clip_atelier.engine.data import Captioned

        told: Mapping[str, Captioned] = {
            path: Captioned(path, now.captions, now.label)
            for path in self.captions.paths
            if (now := self.captions.told(path)).split != "unused" or path in self._wanted
        }
        state = self.app_model.state
        run = self.app_model.newest(self.app_model.usable_runs)
        model = str(state.values().get("model.name") or "")
        job = Job("suggest", partial(jobs.suggest, self.captions.root, run, model, told, self._wanted))
        job.done.connect(self._on_found)
        job.failed.connect(self._on_failed)
        self._job = job
        self.looking.follow(job)
        self.app_model.lanes.compute.submit(job)

    def _on_found(self, found: Suggestions) -> None:
        self.found = found
        self.at = 0
        self.looking.hide()
        self._draw()
        self.takers[0].setFocus()

    def _on_failed(self, error: Exception) -> None:
        if isinstance(error, UserError):
            self.about.show_literal(str(error))
            self.about.set_role("warning")
        else:
            self.app_model.report(error)

    # Showing

    @property
    def current(self) -> Suggestion | None:
        """The suggestions for the drawing that is shown; None at the end."""
        drawings = self.found.drawings if self.found is not None else ()
        return drawings[self.at] if self.at < len(drawings) else None

    def _draw(self, _index: int = 0) -> None:
        found, one = self.found, self.current
        there = one is not None and one.path in self.captions.paths
        self.both.setVisible(found is not None)
        for button in (self.back, self.skip, self.undo):
            button.setVisible(found is not None)
        self.many.setVisible(found is not None and len(found.drawings) > 1)
        self._draw_sure()
        if found is None:
            if self.about.property("role") != "warning":
                self.about.say(N_("The model looks at the drawings and at the words that might be meant."))
            return
        self._tell(found)
        self.back.setEnabled(self.at > 0)
        self.skip.setEnabled(one is not None)
        self.undo.setEnabled(self.captions.steps.canUndo())
        self.picture.show_path(self.captions.file(one.path) if one is not None and there else None)
        self.name.show_literal(paths.shown(one.path) if one is not None else "")
        now = self.captions.told(one.path).captions if one is not None and there else ()
        self.now.say(N_("Now: {captions}"), captions=" · ".join(now) or _("no caption"))
        self.now.setVisible(one is not None)
        self.own.setVisible(one is not None)
        self._tell_grade(one)
        for number, taker in enumerate(self.takers):
            words = one.captions[number] if one is not None and number < len(one.captions) else ""
            taker.setVisible(bool(words))
            taker.say(
                "{number}   {words}", number=number + 1, words=words if len(words) < 60 else f"{words[:59]}…"
            )
        if one is None:
            self.place.say(N_("That was the last drawing."))
        else:
            self.place.say(N_("Drawing {number} of {all}"), number=self.at + 1, all=len(found.drawings))

    def _tell_grade(self, one: Suggestion | None) -> None:
        """How likely the first suggestion is right, by those of the folder's own that stood out about as clearly."""
        self.sure.setVisible(one is not None and (one.sure or one.alike > 0))
        if one is None:
            return
        self.sure.set_role({"sure": "gain", "possible": "body", "guess": "muted"}[one.grade])
        if one.sure:
            self.sure.say(N_("Stands out clearly: in this folder at least four of five like it were right."))
        elif one.grade == "possible":
            self.sure.say(
                N_("Possible: of {alike} like it in this folder the first was right for {right}."),
                alike=one.alike, right=one.right,
            )  # fmt: skip
        else:
            self.sure.say(
                N_("The first is a guess: of {alike} like it in this folder it was right for {right}."),
                alike=one.alike, right=one.right,
            )  # fmt: skip

    def _tell(self, found: Suggestions) -> None:
        """How good such suggestions are here; that is what they can be trusted by."""
        self.about.set_role("muted")
        if found.tried < 2:
            self.about.say(
                N_(
                    "No drawing here has a caption yet, so nothing says how often these are right. Look at each."
                )
            )
            return
        self.about.say(
            N_("As the most similar drawings are called. Tried on your {tried} drawings with captions: the first was right for {first}, one of {count} for {among}.")
            if found.way == "similar"
            else N_("Words that fit the drawing. Tried on your {tried} drawings with captions: the first was right for {first}, one of {count} for {among}."),
            tried=found.tried, first=found.first, count=found.count, among=found.among,
        )  # fmt: skip

    def _draw_sure(self) -> None:
        left = self._sure_left()
        self.all_sure.setVisible(bool(left))
        self.all_sure.say(N_("Take the first of all {count} sure ones"), count=len(left))

    def _sure_left(self) -> dict[str, str]:
        """First suggestions that are sure and not taken yet, by path."""
        drawings = self.found.drawings if self.found is not None else ()
        there = set(self.captions.paths)
        return {
            one.path: one.captions[0]
            for one in drawings
            if one.sure and one.path in there and self.captions.told(one.path).captions != one.captions[:1]
        }

    # Taking

    def take(self, number: int) -> None:
        """Gives the drawing one of its suggestions and goes on to the next."""
        one = self.current
        if one is not None and number < len(one.captions):
            self.own.clear()  # chosen instead of what was begun
            self._give({one.path: one.captions[number]})
            self._go(1)

    def _take_own(self) -> None:
        finish_composing()
        one, words = self.current, self.own.text().strip()
        if one is not None and words:
            self.own.clear()
            self._give({one.path: words})
            self._go(1)

    def take_sure(self) -> None:
        """Gives every drawing whose first suggestion is sure that one, in one step."""
        self._give(self._sure_left())

    def show_many(self) -> None:
        """Opens the table in which many are ticked and taken at once."""
        if self.found is not None:
            ManySuggestions(self.captions, self.found.drawings, self.app_model.store, self).open()

    def _give(self, words: Mapping[str, str]) -> None:
        there = set(self.captions.paths)
        values = {
            path: self.captions.told(path)._replace(captions=(text,))
            for path, text in words.items()
            if path in there
        }
        self.captions.change(values, _("Suggested captions"))
        self._draw()

    def _go(self, steps: int) -> None:
        count = len(self.found.drawings) if self.found is not None else 0
        # What was begun belongs to its drawing: it is not given to the next one, and is there when one comes back.
        finish_composing()
        if self.current is not None:
            self._begun[self.current.path] = self.own.text()
        self.at = min(max(self.at + steps, 0), count)
        self.own.clear()
        self.own.setText(self._begun.pop(self.current.path, "") if self.current is not None else "")
        self._draw()
        if self.current is not None and not self.own.hasFocus():
            self.takers[0].setFocus()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape and self.own.hasFocus() and self.own.seen:
            self.own.clear()  # first what is typed is given up, then the dialog
        else:
            super().keyPressEvent(event)

    def done(self, result: int) -> None:
        """Closing gives the drawing the caption that is typed, as leaving a caption does, and stops what is still looked at."""
        one, words = self.current, self.own.whole.strip()
        self.own.clear()
        if one is not None and words:
            self._give({one.path: words})
        self.captions.steps.indexChanged.disconnect(self._draw)
        if self._job is not None and not self._job.over:
            self._job.done.disconnect()
            self._job.failed.disconnect()
            self._job.stop()
        super().done(result)
