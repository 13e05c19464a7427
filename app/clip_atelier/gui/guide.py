"""The tour: four steps from an empty window to a finished comparison, each beside the control it is about."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, QRect, QTimer
from PySide6.QtWidgets import QWidget

from clip_atelier.engine.core import N_
from clip_atelier.gui import theme
from clip_atelier.gui.first_look import first_look, folder_of
from clip_atelier.gui.jobs import at_once
from clip_atelier.gui.pages import PAGES
from clip_atelier.gui.widgets.callout import Callout
from clip_atelier.gui.widgets.text import Message
from clip_atelier.gui.workers import Job

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clip_atelier.gui.main_window import MainWindow

_QUICK = "projection"
_QUICKER = {"train.steps": 100, "train.preservation": 0.0}
"""What the tour trains with on the sample. The preset for everyday work tries everything, which takes minutes. It measures by
folds: a part that is kept aside has too few drawings to tell what is gained from chance."""


@dataclass(frozen=True)
class _Step:
    page: str
    title: str
    text: str
    onward: str = N_("Next")


_OPEN = _Step(
    "collection",
    N_("Everything begins with drawings"),
    N_(
        "Open a folder of yours, or press “Open the sample”: 300 sketches, a part of the sample that is small enough for a "
        "quick look."
    ),
    N_("Open the sample"),
)
_OPENED = _Step(
    "collection",
    N_("Everything begins with drawings"),
    N_("These are the drawings that are open now. From here it goes on to the settings."),
)
_TRAIN_SAMPLE = _Step(
    "settings",
    N_("Train, with the settings as they are"),
    N_(
        "For this tour a short “Projection” is chosen, which takes less than a minute. For drawings of your own, “Find what "
        "helps” is better, and takes some minutes; it is chosen again after the tour."
    ),
    N_("Train"),
)
_TRAIN = _Step(
    "settings",
    N_("Train, with the settings as they are"),
    N_("“Find what helps” suits almost every folder. How long it takes stands above this button."),
    N_("Train"),
)
_WATCH = _Step(
    "training",
    N_("Watch it learn"),
    N_(
        "The line fills as it goes on; what is being done stands above it. You may look at other pages meanwhile. When it is "
        "done, this goes on by itself."
    ),
)
_RESULT = _Step(
    "training",
    N_("What came of it"),
    N_(
        "For each question: how many drawings were found before and after, and whether that can be chance. “Search with it” "
        "shows both side by side."
    ),
    N_("Search with it"),
)
_NOT_MEASURED = _Step(
    "training",
    N_("No comparison yet"),
    N_("This training ended without a comparison; the reason stands on this page. Go back to train again."),
    N_("Leave"),
)
_STEPS = 4


class Guide(QObject):
    """Leads through the four steps. What is done without it counts as well: it goes on when the thing is done.

    `state.view("guide")` remembers whether it goes on ("going"), or was left or ended ("over").
    """

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self._window = window
        self._app_model = window.app_model
        self._awaited = False  # whether the first step waits for drawings to be read
        self.step = -1
        self.callout: Callout | None = None
        self._look = QTimer(self)
        self._look.setSingleShot(True)
        self._look.setInterval(60)
        self._look.timeout.connect(self.follow)
        self._app_model.guide_wanted.connect(self.begin)
        self._app_model.collection_changed.connect(self._look.start)
        self._app_model.runs_changed.connect(self._look.start)
        self._app_model.state.changed.connect(self._on_state)
        self._app_model.lanes.compute.current_changed.connect(lambda _job: self._look.start())
        self._app_model.lanes.compute.events.connect(lambda _events: self._look.start())

    @property
    def going(self) -> bool:
        """Whether somebody is shown around now."""
        return self.step >= 0

    def begin(self, free: Sequence[QWidget] = ()) -> None:
        """Begins at the first step, or again. `free` must not be covered, such as the button that was pressed."""
        self.leave()
        collection: Any = self._window.page("collection")
        self.callout = Callout(self._window, (*free, self._window.rail.more, collection.welcome.around))
        self.callout.onward.connect(self.onward)
        self.callout.back_wanted.connect(self.back)
        self.callout.left.connect(self.leave)
        self._app_model.state.set_view("guide", "going")
        self._turn(0)

    def again(self) -> None:
        """Goes on where the window was closed during the tour."""
        if self._app_model.state.view("guide", "") == "going":
            self.begin()

    def leave(self) -> None:
        """Ends the tour, at any time."""
        self._put_back()
        if self.callout is not None:
            self.step = -1
            self.callout.hide()
            self.callout.deleteLater()
            self.callout = None
            self._app_model.state.set_view("guide", "over")

    def onward(self) -> None:
        """Does what the step is about where it was not done, and goes on."""
        model, step = self._app_model, self.step
        if step == 0 and not model.state.folder:
            job = Job("first-look", lambda _tools, _control: at_once(partial(first_look, model.home)))
            job.done.connect(self._on_sample)
            job.failed.connect(model.report)
            model.lanes.files.submit(job)
        elif step == 0:
            self._turn(1)
        elif step == 1:
            page: Any = self._window.page("settings")
            if page.train.isEnabled():
                page.train.click()
        elif step == _STEPS - 1:
            compared = self._compared
            self.leave()
            if compared:
                model.page_wanted.emit("search")

    def back(self) -> None:
        """Shows the step before; what was done stays done."""
        if self.step > 0:
            self._turn(self.step - 1)

    def _on_sample(self, folder: Path) -> None:
        if self.going:
            self._app_model.open_folder(folder)

    def _turn(self, step: int) -> None:
        self.step = step
        self._window.show_page(self._now().page)
        if step == 1 and self._on_own_sample:
            self._choose_quick()
        self.follow()

    def _choose_quick(self) -> None:
        """Takes the tour's settings; those of before are remembered, also past the end of the program."""
        state = self._app_model.state
        if not state.view("guide.before", {}):
            state.set_view("guide.before", {"preset": state.get("preset"), "draft": dict(state.get("draft"))})
            state.choose_preset(_QUICK)
            for name, value in _QUICKER.items():
                state.set_value(name, value)
            state.set_view("guide.draft", dict(state.get("draft")))

    def _put_back(self) -> None:
        """The settings of before the tour, unless they were changed by hand meanwhile."""
        state = self._app_model.state
        before = state.view("guide.before", {})
        if before and state.get("preset") == _QUICK and state.get("draft") == state.view("guide.draft", {}):
            state.choose_preset(before["preset"])
            state.set("draft", before["draft"])
        state.set_view("guide.before", {})

    @property
    def _on_own_sample(self) -> bool:
        return self._app_model.state.folder == str(folder_of(self._app_model.home))

    @property
    def _training(self) -> bool:
        page: Any = self._window.made("training")  # not made here: that takes the window half a second
        return page is not None and bool(page.training)

    @property
    def _compared(self) -> bool:
        page: Any = self._window.made("training")
        return page is not None and bool(page.compared)

    def _now(self) -> _Step:
        opened = bool(self._app_model.state.folder)
        last = _RESULT if self._compared else _NOT_MEASURED
        return (
            _OPENED if opened else _OPEN,
            _TRAIN_SAMPLE if self._on_own_sample else _TRAIN,
            _WATCH,
            last,
        )[self.step]

    def _on_state(self, what: str) -> None:
        if what in ("page", "language", "folder", "preset"):
            self._look.start()

    def follow(self) -> None:
        """Goes on by itself where the thing is done, and stands beside the control of now."""
        callout = self.callout
        if callout is None:
            return
        self._advance()
        step = self._now()
        on_page = self._app_model.state.get("page") == step.page
        callout.title.say(step.title)
        if on_page:
            callout.text.say(step.text)
        else:
            title = next(page.title for page in PAGES if page.name == step.page)
            callout.text.say(N_("The tour goes on at “{page}”, whenever you like."), page=Message(title))
        callout.count.say(N_("Step {step} of {steps}"), step=self.step + 1, steps=_STEPS)
        callout.next.say(step.onward)
        callout.next.setVisible(on_page and self.step != 2)
        callout.next.setEnabled(self.step != 1 or self._app_model.split is not None)
        callout.back.setVisible(on_page and self.step > 0 and not self._training)
        page: Any = self._window.page(step.page)
        if on_page:
            callout.point_at(page.landmark(), getattr(page, "beside_landmark", tuple)())
        else:
            callout.point_at(self._window.rail.buttons[step.page], spare=self._below_the_pages)

    def _below_the_pages(self) -> QRect:
        """Where nothing stands in the rail, in the window: who looks at another page needs all of that page."""
        rail = self._window.rail
        last, next_one = list(rail.buttons.values())[-1], rail.glossary
        top, bottom = last.geometry().bottom() + theme.L, next_one.geometry().top() - theme.S
        return QRect(theme.XS, top, rail.width() - 2 * theme.XS, bottom - top)

    def _advance(self) -> None:
        """What was done, by the tour or without it."""
        if self.step == 0 and self._awaited and self._app_model.split is not None:
            self._turn(1)
        elif self.step in (0, 1) and self._training:
            self.step = 2
        elif self.step == 2 and not self._training:
            self._turn(3)
        self._awaited = self.step == 0 and self._app_model.split is None
