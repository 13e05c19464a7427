"""The strength at which the chosen run's update is looked at: one for the whole window, and what is measured at it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from PySide6.QtCore import QObject, QTimer, Signal

from clip_atelier.engine.analysis import Subject, state_of
from clip_atelier.engine.core import Event, Progress, UserError
from clip_atelier.gui.parts import measuring
from clip_atelier.gui.workers import Job

if TYPE_CHECKING:
    from clip_atelier.engine.evaluation import StrengthReading, StrengthSweep
    from clip_atelier.engine.runs import RunSummary
    from clip_atelier.gui.state import WindowState
    from clip_atelier.gui.workers import Lanes

MOST = 1.5

_REST_MS = 600  # how long the dial rests before a measurement that takes a while begins


class RunList(Protocol):
    """What is asked of the window's model: its runs, its state, its lanes, and a way to say what went wrong."""

    state: WindowState
    lanes: Lanes
    runs: list[RunSummary]
    runs_changed: Any  # a Qt signal

    @property
    def usable_runs(self) -> list[RunSummary]:
        """The runs that can be looked at."""

    def report(self, error: Exception) -> None:
        """Tells the user what went wrong."""


class Strength(QObject):
    """Turned by the dials of several pages; shown by all of them.

    What the held-out questions say is known at once for the base, for the recommended strength and for those measured
    before. An adapter behind frozen features answers at every other one within milliseconds, also while a model
    trains; elsewhere it is measured in the background where the dial rests, and then remembered.

    Attributes:
        run: Summary of the chosen run; None while there is none.
        value: The strength.
        trouble: Why it cannot be measured here; empty where it can.
        share: How much of a measurement in the background is done; None while there is none.
    """

    changed = Signal()  # the run or its strength
    told = Signal()  # what is known of it

    def __init__(self, run_list: RunList, parent: QObject) -> None:
        super().__init__(parent)
        self._run_list = run_list
        self.run: RunSummary | None = None
        self.value = 1.0
        self.trouble = ""
        self.share: float | None = None
        self._subject: Subject | None = None
        self._known: dict[float, StrengthReading] = {}
        self.meter: StrengthSweep | None = None
        self._metering = False  # whether a meter may still come
        self._awake = False
        self.resting = QTimer(self)
        self.resting.setSingleShot(True)
        self.resting.setInterval(_REST_MS)
        self.resting.timeout.connect(self._measure)
        run_list.runs_changed.connect(self._choose)
        run_list.state.changed.connect(lambda what: self._choose() if what == "run" else None)

    # The strength

    @property
    def recommended(self) -> float:
        """The strength that was chosen on the run's validation images."""
        return self.run.result.strength if self.run is not None and self.run.result else 1.0

    @property
    def by_hand(self) -> bool:
        """Whether the user turned the dial away from what is recommended."""
        return self.run is not None and self.run.run in self._kept()

    def is_of(self, run: str) -> bool:
        """Whether this is the strength of that run, which may be "" for none."""
        return bool(run) and self.run is not None and self.run.run == run

    def set(self, value: float) -> None:
        """Turns the dial."""
        from clip_atelier.engine.evaluation import key

        value = key(min(max(value, 0.0), MOST))
        if self.run is None or value == self.value:
            return
        here = {run.run for run in self._run_list.runs}
        kept = {run: one for run, one in self._kept().items() if run in here}
        self._turn(value, {**kept, self.run.run: value})

    def reset(self) -> None:
        """Turns the dial back to the recommended strength."""
        if self.run is not None:
            self._turn(self.recommended, {k: v for k, v in self._kept().items() if k != self.run.run})

    def _turn(self, value: float, kept: Mapping[str, float]) -> None:
        self._run_list.state.set_view("strengths", dict(kept))
        self.value = value
        self.trouble = ""
        self.changed.emit()
        self._look()

    def _kept(self) -> dict[str, float]:
        found = self._run_list.state.view("strengths", {})
        return (
            {k: float(v) for k, v in found.items() if isinstance(v, int | float)}
            if isinstance(found, dict)
            else {}
        )

    # What is known of it

    @property
    def reading(self) -> StrengthReading | None:
        """What was measured at the strength, else at the one nearest to it; None where nothing was."""
        from clip_atelier.engine.evaluation import nearest

        strength = nearest(self._known, self.value)
        return None if strength is None else self._known[strength]

    def learn(self, run: str, readings: Iterable[StrengthReading]) -> None:
        """Takes in what was measured elsewhere."""
        if self.run is not None and self.run.run == run:
            self._known |= {one.strength: one for one in readings}
            self.told.emit()

    def wake(self) -> None:
        """Called when a dial is seen: before that nothing is measured."""
        if not self._awake:
            self._awake = True
            self._prepare()

    def _choose(self) -> None:
        """Looks at another run, or at another state of the same one."""
        from clip_atelier.engine.evaluation import strengths

        usable, wanted = self._run_list.usable_runs, self._run_list.state.get("run")
        # A run that is only being trained is not looked at yet: the one before stays.
        order = [wanted, self.run.run if self.run is not None else "", usable[-1].run if usable else ""]
        run = next((r for one in order for r in usable if r.run == one), None)
        subject = Subject("strengths", run.run, state_of(run)) if run else None
        if subject == self._subject:
            return
        self._subject, self.run = subject, run
        self.meter, self._metering = None, False
        self.trouble, self.share = "", None
        known = strengths.from_result(run.result if run else None)
        self._known = {one.strength: one for one in known}
        self.value = strengths.key(self._kept().get(run.run, self.recommended)) if run else 1.0
        self.changed.emit()
        self.told.emit()
        if self._awake:
            self._prepare()

    def _prepare(self) -> None:
        from clip_atelier.engine.evaluation import behind_features

        if self.run is None or self._subject is None:
            return
        job = Job("kept-strengths", partial(measuring.read_readings, self._subject), idle=True)
        job.done.connect(partial(self._on_readings, self._subject))
        job.failed.connect(self._run_list.report)
        self._run_list.lanes.files.replace(job)
        if behind_features(self.run.settings):
            self._metering = True
            job = Job("meter", partial(measuring.open_meter, self._subject.run), idle=True)
            job.done.connect(partial(self._on_meter, self._subject))
            job.failed.connect(partial(self._on_failed, self._subject))
            self._run_list.lanes.compute.replace(job)
        self._look()

    def _look(self) -> None:
        """Has the strength measured that the dial stands at, at once or when it rests."""
        self.resting.stop()
        if self._awake and self._subject is not None and self.value not in self._known:
            if self.meter is not None:
                job = Job("read-meter", partial(measuring.read_meter, self.meter, self.value), idle=True)
                job.done.connect(partial(self._on_reading, self._subject))
                job.failed.connect(self._run_list.report)
                self._run_list.lanes.files.replace(job)
            elif not self._metering:
                self.resting.start()
        self.told.emit()

    def _measure(self) -> None:
        subject = self._subject
        if subject is None or self.value in self._known:
            return
        job = Job("strength", partial(measuring.measure_strength, subject, self.value), idle=True)
        job.events.connect(partial(self._on_events, subject))
        job.done.connect(partial(self._on_reading, subject))
        job.failed.connect(partial(self._on_failed, subject))
        job.stopped.connect(lambda: self._over(subject))
        self._run_list.lanes.compute.replace(job)
        self.share = 0.0
        self.told.emit()

    def _on_events(self, subject: Subject, events: list[Event]) -> None:
        progress = next((e for e in reversed(events) if isinstance(e, Progress) and e.total > 0), None)
        if subject == self._subject and progress is not None:
            self.share = progress.done / progress.total
            self.told.emit()

    def _on_readings(self, subject: Subject, readings: list[StrengthReading]) -> None:
        if subject == self._subject:
            self._known = {one.strength: one for one in readings} | self._known
            self._look()

    def _on_meter(self, subject: Subject, sweep: StrengthSweep | None) -> None:
        if subject == self._subject:
            self.meter, self._metering = sweep, False
            self._look()

    def _on_reading(self, subject: Subject, reading: StrengthReading) -> None:
        if subject == self._subject:
            self._known[reading.strength] = reading
            self._over(subject)

    def _over(self, subject: Subject) -> None:
        if subject == self._subject:
            self.share = None
            self.told.emit()

    def _on_failed(self, subject: Subject, error: Exception) -> None:
        if not isinstance(error, UserError):
            self._run_list.report(error)
        elif subject == self._subject:
            self.trouble = error.message
        self._metering = False
        self._over(subject)
