"""The page of what was gained against what was forgotten, and of the words learned and lost."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QStackedWidget, QWidget

from clip_atelier.engine.analysis import Measured, Subject, state_of
from clip_atelier.engine.core import N_, _
from clip_atelier.engine.evaluation import GainedForgotten, WordChanges
from clip_atelier.gui import theme
from clip_atelier.gui.pages.learned.taught import Taught
from clip_atelier.gui.pages.learned.tradeoff import HINT, Tradeoff
from clip_atelier.gui.pages.learned.words import WordTable
from clip_atelier.gui.parts import measuring
from clip_atelier.gui.parts.beginning import Beginning
from clip_atelier.gui.parts.measurement import Measurement
from clip_atelier.gui.parts.run_choice import RunChoice
from clip_atelier.gui.parts.strength_dial import StrengthDial, StrengthLine
from clip_atelier.gui.widgets.inputs import Options
from clip_atelier.gui.widgets.layout import box, card, clear, column, row, scrolled
from clip_atelier.gui.widgets.sentences import Reading
from clip_atelier.gui.widgets.tabs import Tabs
from clip_atelier.gui.widgets.text import Field, Label, SpokenName
from clip_atelier.gui.workers import Job

if TYPE_CHECKING:
    from clip_atelier.engine.runs import Difference, RunSummary
    from clip_atelier.gui.app_model import AppModel

_SIDE = 356  # width of what stands beside the picture or the table


def make(app_model: AppModel) -> QWidget:
    """The page."""
    return LearnedPage(app_model)


class LearnedPage(QWidget):
    """All of it: a run, and sections about it."""

    def __init__(self, app_model: AppModel) -> None:
        super().__init__()
        self.app_model = app_model
        self.runs = RunChoice({})
        SpokenName(self.runs, N_("Training"))
        self.runs.setMinimumWidth(280)
        self.strengths = Strengths(app_model)
        self.words = Words(app_model)
        self.tabs = Tabs()
        self.tabs.add("strengths", N_("At each strength"), self.strengths)
        self.tabs.add("words", N_("Words"), self.words)
        self.taught = Taught(app_model)
        self.tabs.add("taught", N_("Words you taught"), self.taught)
        self.tabs.choose(str(app_model.state.view("learned.tab", "strengths")))
        self.tabs.changed.connect(partial(app_model.state.set_view, "learned.tab"))
        self.dial = StrengthDial(app_model)
        self.worth = StrengthLine(app_model)
        top = row(Label(N_("Training"), "muted"), self.runs, theme.M, self.dial, None)
        layout = column(top, self.worth, self.tabs, gap=theme.M)
        layout.setStretch(2, 1)
        layout.setContentsMargins(theme.XL, theme.L, theme.XL, theme.L)
        self.setLayout(layout)
        self.runs.edited.connect(self._on_chosen)
        app_model.runs_changed.connect(self._on_runs)
        app_model.state.changed.connect(self._on_state)
        self._on_runs()
        app_model.read_runs()

    def views(self) -> tuple[Tabs, ...]:
        """The tabs of the page, for pictures of all of it."""
        return (self.tabs,)

    def _on_runs(self) -> None:
        usable = self.app_model.usable_runs
        self.runs.show_runs(usable)
        wanted = str(self.app_model.state.get("run"))
        if self.runs.findData(wanted) >= 0:
            self.runs.set_value(wanted)
        elif usable:
            self.runs.set_value(usable[-1].run)
        self._show()

    def _on_chosen(self) -> None:
        self.app_model.state.set("run", self.runs.value())
        self._show()

    def _on_state(self, what: str) -> None:
        if what == "run":
            self._on_runs()

    def _show(self) -> None:
        run = next((r for r in self.app_model.runs if r.run == self.runs.value()), None)
        for part in (self.dial, self.worth):
            part.setVisible(run is not None and self.app_model.strength.is_of(run.run))
        for section in (self.strengths, self.words):
            section.choose(run)
        self.taught.choose(run)


class Section(QWidget):
    """One measurement of a run: what it is, the button that starts it, and its last result."""

    kind = ""
    about = ""
    start = ""

    def __init__(self, app_model: AppModel, content: QWidget, icon: str) -> None:
        super().__init__()
        self.app_model = app_model
        self.result: Any = None
        self._measured_at = 0.0
        self._subject: Subject | None = None
        self._job: Job | None = None
        self.measurement = Measurement(self.start, "play")
        self.measurement.wanted.connect(self.measure)
        self.explanation = Label(self.about, "muted", wrap=True)
        self.when = Label(role="caption")
        empty = self.beginning = Beginning(app_model, icon, 420, trained=True)
        self.stack = QStackedWidget()
        self.stack.addWidget(empty)
        self.stack.addWidget(content)
        head = row(self.explanation, self.measurement, gap=theme.XL)
        head.setStretch(0, 3)
        head.setStretch(1, 2)
        layout = column(head, self.stack, gap=theme.M)
        layout.setStretch(1, 1)
        self.setLayout(layout)

    def choose(self, run: RunSummary | None) -> None:
        """Shows another run's last result."""
        subject = Subject(self.kind, run.run, state_of(run)) if run else None
        self.measurement.start.setEnabled(subject is not None)
        if subject != self._subject or subject is None:
            self._subject = subject
            self._show(None)
            if subject is not None:
                job = Job(f"kept-{self.kind}", partial(measuring.read_kept, subject))
                job.done.connect(partial(self._on_result, subject))
                job.failed.connect(self.app_model.report)
                self.app_model.lanes.files.replace(job)

    def measure(self) -> None:
        """Starts the measurement anew."""
        subject = self._subject
        if subject is None or self.measurement.busy:
            return
        turned = self.app_model.strength.value if self.app_model.strength.by_hand else None
        job = Job(self.kind, measuring.measure(subject, strength=turned))
        job.done.connect(partial(self._on_result, subject))
        job.failed.connect(self.app_model.report)
        self.measurement.follow(job)
        self.app_model.lanes.compute.submit(job)

    def _on_result(self, subject: Subject, found: Measured[Any] | None) -> None:
        if subject == self._subject and (found is not None or self.result is None):
            self._measured_at = found.measured_at if found else 0.0
            self._show(found.result if found else None)

    def _show(self, result: Any) -> None:
        self.result = result
        self.stack.setCurrentIndex(0 if result is None else 1)
        if result is None:
            self.beginning.teach(
                N_("Not measured yet for this training.")
                if self._subject
                else N_("What a training gained and what it forgot can be looked at here when it is done.")
            )
            return
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(self._measured_at))
        if isinstance(result, WordChanges):
            at = f"{result.strength:g}"
            self.when.say(N_("Measured {when}, at strength {strength}"), when=when, strength=at)
        else:
            self.when.say(N_("Measured {when}"), when=when)
        self.show_result(result)

    def show_result(self, result: Any) -> None:
        """Shows a result of the section's own kind."""
        raise NotImplementedError

    def retranslate(self) -> None:
        """The result in the current language."""
        if self.result is not None:
            self.show_result(self.result)


class Strengths(Section):
    """Gained against forgotten."""

    kind = "dial"
    about = N_(
        "The strength scales what was learned: 0 is the untouched base, 1 the update as trained. Each strength is measured on drawings of yours that were not learned from, and on general drawings that no training has seen."
    )
    start = N_("Measure every strength")

    def __init__(self, app_model: AppModel) -> None:
        self.picture = Tradeoff()
        self.reading = Reading()
        self.table = QGridLayout()
        self.table.setHorizontalSpacing(theme.M)
        self.table.setVerticalSpacing(theme.XS)
        self.table.setContentsMargins(0, 0, 0, 0)
        self.numbers = QWidget()
        self.numbers.setLayout(self.table)
        content = QWidget()
        super().__init__(app_model, content, "scale")
        drawn = card(
            Label(N_("Gained against forgotten"), "strong"), Label(HINT, "caption", wrap=True), self.picture,
            gap=theme.XS, margin=theme.M,
        )  # fmt: skip
        note = Label(
            N_("Beside each number the 95 % interval of its difference to strength 0; coloured where it leaves zero out."),
            "caption", wrap=True,
        )  # fmt: skip
        said = box(self.reading, theme.M, self.numbers, note, theme.S, self.when, None, gap=theme.XS)
        side = card(Label(N_("What this says"), "strong"), scrolled(said), gap=theme.S, margin=theme.M)
        side.setFixedWidth(_SIDE + 84)
        both = row(drawn, side, gap=theme.L)
        both.setStretch(0, 1)
        content.setLayout(both)
        app_model.strength.changed.connect(lambda: self.picture.show_now(app_model.strength.value))

    def show_result(self, result: GainedForgotten) -> None:
        from clip_atelier.engine.evaluation import findings

        self.picture.show_now(self.app_model.strength.value)
        self.app_model.strength.learn(result.run, [point.held_out for point in result.points])
        elsewhere = result.elsewhere.partition("/")[2]
        self.picture.show_points(result.points, result.best, elsewhere)
        self.reading.say(findings.gained_and_forgotten(result))
        clear(self.table)
        # Apart from the f-string: gettext's tools do not look into one.
        yours, general = _("Your drawings"), _("General drawings")
        heads = (_("Strength"), f"{yours}, R@1", f"{general}, {elsewhere}")
        for x, head in zip((0, 1, 3), heads, strict=True):
            self._cell(head, "caption", 0, x, 1 if x == 0 else 2)
        for y, point in enumerate(result.points, 1):
            role = "strong" if point.strength == result.best else "body"
            self._cell(f"{point.strength:g}", role, y, 0)
            for x, key in enumerate(("gained", "forgotten"), 1):
                change: Difference = getattr(point, f"{key}_difference")
                tone = role
                if change.low is not None and change.low > 0:
                    tone = "gain"
                elif change.high is not None and change.high < 0:
                    tone = "loss"
                self._cell(_value(getattr(point, key)), tone, y, 2 * x - 1)
                self._cell(_interval(change), "caption", y, 2 * x)
        self.table.setColumnStretch(5, 1)

    def _cell(self, text: str, role: str, y: int, x: int, columns: int = 1) -> None:
        label = Label(role=role)
        label.show_literal(text)
        label.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.table.addWidget(label, y, x, 1, columns)


def _value(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _interval(change: Difference) -> str:
    """The 95 % interval of a difference to strength 0."""
    low, high = change.low, change.high
    return "" if low is None or high is None or low == high else f"{low:+.3f} … {high:+.3f}"


class Words(Section):
    """Words learned and lost, and how much the sentence around a word matters."""

    kind = "words"
    about = N_(
        "Each caption of your drawings that were not learned from, and each word that several of them share, is searched for before and "
        "after the adaptation. What counts is the place of the first right image."
    )
    start = N_("Ask for every word")

    def __init__(self, app_model: AppModel) -> None:
        self.table = WordTable()
        SpokenName(self.table, N_("Words"))
        self.filter = Field(N_("Find a word"))
        self.filter.setFixedWidth(200)
        self.way = Options({"all": N_("All"), "learned": N_("Learned"), "lost": N_("Lost")})
        self.way.set_value("all")
        self.reading = Reading()
        self.wordings = QGridLayout()
        self.wordings.setHorizontalSpacing(theme.L)
        self.wordings.setVerticalSpacing(theme.XS)
        self.wordings.setContentsMargins(0, 0, 0, 0)
        holder = QWidget()
        holder.setLayout(self.wordings)
        content = QWidget()
        super().__init__(app_model, content, "type")
        top = row(self.filter, self.way)
        top.setStretch(1, 1)
        hint = Label(N_("Double-click a word to search for it."), "caption", wrap=True)
        left = card(top, self.table, hint, gap=theme.S, margin=theme.M)
        said = box(
            self.reading, theme.L, Label(N_("The wording"), "strong"),
            Label(N_("R@1 when a caption is put into each of these sentences."), "caption", wrap=True),
            holder, theme.S, self.when, None, gap=theme.XS,
        )  # fmt: skip
        side = card(Label(N_("What this says"), "strong"), scrolled(said), gap=theme.S, margin=theme.M)
        side.setFixedWidth(_SIDE)
        both = row(left, side, gap=theme.L)
        both.setStretch(0, 1)
        content.setLayout(both)
        self.table.opened.connect(self._search)
        self.filter.textEdited.connect(lambda _text: self._choose())
        self.filter.composed.connect(self._choose)
        self.way.chosen.connect(lambda _way: self._choose())

    def _search(self, word: str) -> None:
        self.app_model.page_wanted.emit("search")
        self.app_model.asked_for_words.emit(word)

    def _choose(self) -> None:
        self.table.proxy.choose(self.filter.seen, self.way.value(), unfinished=self.filter.at_end)

    def show_result(self, result: WordChanges) -> None:
        from clip_atelier.engine.evaluation import findings

        self.table.words.show(result.words)
        self.reading.say(findings.words(result))
        clear(self.wordings)
        for x, head in enumerate((N_("Sentence"), N_("Base"), N_("Adapted"))):
            self._cell(_(head), "caption", 0, x)
        best = {
            side: max((getattr(t, side) for t in result.templates), default=0.0)
            for side in ("base", "adapted")
        }
        for y, entry in enumerate(result.templates, 1):
            self._cell(entry.template.replace("{}", "…"), "body", y, 0)
            for x, side in enumerate(("base", "adapted"), 1):
                self._cell(
                    _value(getattr(entry, side)),
                    "strong" if getattr(entry, side) == best[side] else "muted",
                    y,
                    x,
                )
        self.wordings.setColumnStretch(0, 1)

    def _cell(self, text: str, role: str, y: int, x: int) -> None:
        label = Label(role=role)
        label.show_literal(text)
        if x:
            label.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.wordings.addWidget(label, y, x)
