"""What is known about one run, built from its events: the live ones and those of an old run go through the same code."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from typing import Any

from clip_atelier.engine.core import (
    Check,
    Event,
    Finished,
    FoldStep,
    Notice,
    PartMeasured,
    Phase,
    Progress,
    Ranking,
    Started,
    Step,
    Strength,
)
from clip_atelier.engine.runs import TrainResult

_MOST_NOTES = 200


class Fold:
    """The curve of one fold: an update that only measures."""

    def __init__(self) -> None:
        self.steps = array("d")
        self.losses = array("d")


class RunRecord:
    """Curves, checks, pinned queries and the end of one run."""

    def __init__(self) -> None:
        self.started: Started | None = None
        self.steps = array("d")
        self.losses = array("d")
        self.rates = array("d")
        self.last: Step | None = None
        self.folds: dict[int, Fold] = {}
        self.last_of_fold: FoldStep | None = None
        self.checks: list[Check] = []
        self.rankings: dict[str, list[Ranking]] = {}
        self.strengths: list[Strength] = []
        self.notes: list[str] = []
        self.parts: dict[tuple[str, str], PartMeasured] = {}
        self.phase: Phase | None = None
        self.progress: Progress | None = None
        self.finished: Finished | None = None
        self.version = 0

    def feed(self, events: Iterable[Event]) -> None:
        """Takes in events, in order."""
        for event in events:
            self.version += 1
            handler = _HANDLERS.get(event.kind)
            if handler is not None:
                handler(self, event)

    @property
    def fold(self) -> FoldStep | None:
        """Where the fold is that is being trained now; None while none is."""
        now = self.finished is None and self.phase is not None and self.phase.name == "folds"
        return self.last_of_fold if now else None

    @property
    def by_folds(self) -> bool:
        """Whether it is measured by folds: then nothing is kept aside for checks while it trains."""
        return bool(self.folds or self.parts or (self.finished and self.finished.result.get("folds")))

    @property
    def primary_metric(self) -> str:
        """The metric shown beside the loss."""
        return self.started.primary_metric if self.started else ""

    @property
    def base(self) -> Check | None:
        """The check of the untouched model."""
        return next((c for c in self.checks if c.step == 0), None)

    @property
    def best(self) -> Check | None:
        """The check whose checkpoint is kept."""
        return next((c for c in reversed(self.checks) if c.best), None)

    @property
    def result(self) -> TrainResult:
        """What came out; empty before the end, and where it cannot be understood."""
        if self.finished is None:
            return TrainResult()
        try:
            return TrainResult.model_validate(self.finished.result)
        except ValueError:
            return TrainResult()

    def _started(self, event: Started) -> None:
        self.started = event
        self.finished = None
        # A resumed run repeats what lies after its last checkpoint.
        while self.steps and self.steps[-1] > event.start_step:
            for values in (self.steps, self.losses, self.rates):
                values.pop()
        self.checks = [c for c in self.checks if c.step <= event.start_step]
        for history in self.rankings.values():
            history[:] = [r for r in history if r.step <= event.start_step]

    def _step(self, event: Step) -> None:
        self.last = event
        self.steps.append(event.step)
        self.losses.append(float("nan") if event.loss is None else event.loss)
        self.rates.append(event.learning_rate)

    def _fold_step(self, event: FoldStep) -> None:
        self.last_of_fold = event
        fold = self.folds.setdefault(event.fold, Fold())
        while fold.steps and fold.steps[-1] >= event.step:  # it was interrupted, and begins again
            fold.steps.pop()
            fold.losses.pop()
        fold.steps.append(event.step)
        fold.losses.append(float("nan") if event.loss is None else event.loss)

    def _check(self, event: Check) -> None:
        self.checks = [c for c in self.checks if c.step != event.step]
        self.checks.append(event)

    def _ranking(self, event: Ranking) -> None:
        history = self.rankings.setdefault(event.query_path or event.query, [])
        history[:] = [r for r in history if r.step != event.step]
        history.append(event)

    def _strength(self, event: Strength) -> None:
        self.strengths.append(event)

    def _notice(self, event: Notice) -> None:
        if len(self.notes) < _MOST_NOTES:
            self.notes.append(event.text)

    def _part(self, event: PartMeasured) -> None:
        self.parts[event.name, event.question] = event

    def _phase(self, event: Phase) -> None:
        self.phase = event
        self.progress = None
        if event.name == "strength":
            self.strengths = []

    def _progress(self, event: Progress) -> None:
        self.progress = event

    def _finished(self, event: Finished) -> None:
        self.finished = event


_HANDLERS: dict[str, Any] = {
    Started.kind: RunRecord._started, Step.kind: RunRecord._step, Check.kind: RunRecord._check,
    Ranking.kind: RunRecord._ranking, Strength.kind: RunRecord._strength, Notice.kind: RunRecord._notice,
    PartMeasured.kind: RunRecord._part, FoldStep.kind: RunRecord._fold_step,
    Phase.kind: RunRecord._phase, Progress.kind: RunRecord._progress, Finished.kind: RunRecord._finished,
}  # fmt: skip
