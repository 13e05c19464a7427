"""A sweep of the learning rate: trainings one after the other, each with a rate that Optuna proposes from those before.

What is chosen by is one number of each training: its metric on the validation drawings, by which it chose its own checkpoint
and strength too. The drawings that a training reports on have no part in it.

HOME/sweeps/ID.log is Optuna's own storage. ID is a hash of what decides the results (the collection's content, the settings,
what is tried), so that the same request finds what was tried already and goes on, within the training that was stopped.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import filelock

from clip_atelier.engine import settings
from clip_atelier.engine.core import (
    Cell,
    Control,
    Event,
    NotWritten,
    Started,
    Stopped,
    UserError,
    Work,
    WorkError,
    _,
    cannot_write,
    mapped,
    plain,
)
from clip_atelier.engine.data import scan, scan_cache_file
from clip_atelier.engine.evaluation import strengths
from clip_atelier.engine.experiments.sweep_records import RANK, RATE, SweepResult, SweepTrial
from clip_atelier.engine.models import Models
from clip_atelier.engine.runs import TrainResult
from clip_atelier.engine.settings import Settings, written

if TYPE_CHECKING:
    from clip_atelier.engine.experiments.sweep_storage import Tried

_SPAN: Final = 30.0  # times smaller and larger than the rate that is set
_ONE_PART: Final = {"evaluation.folds": 0, "evaluation.parts": False}


@dataclass(frozen=True)
class Sweep:
    """What is to be tried on a folder.

    Attributes:
        folder: The collection.
        values: Dotted settings that hold in every trial.
        preset: Starting point of every trial.
        trials: How many trainings at most, those of earlier calls included.
        minutes: Time for all of them together; 0 for no limit.
        ranks: Values of lora.r to try beside the rate; empty: the one that is set.
    """

    folder: Path
    values: Mapping[str, object] = field(default_factory=dict)
    preset: str = ""
    trials: int = 8
    minutes: float = 0.0
    ranks: tuple[int, ...] = ()

    def settings(self, tried: Mapping[str, object] | None = None) -> Settings:
        """All settings of one trial; one part is kept aside, whatever the preset says of folds.

        Raises:
            UserError: they are not possible.
        """
        return settings.build({**self.values, **_ONE_PART, **(tried or {})}, self.preset or None)

    @property
    def all_ranks(self) -> tuple[int, ...]:
        """The values of lora.r to choose from, the one that is set among them; none where it is left as it is."""
        return tuple(sorted({self.settings().lora.r, *self.ranks})) if self.ranks else ()

    def check(self) -> None:
        """Raises a UserError where a value is out of range, or nothing is left to report on."""
        if not self.settings().data.test:
            raise UserError(
                _("A sweep needs drawings that nothing is chosen by, and data.test is 0."),
                _("Leave data.test at 0.15, for example."),
                "data.test",
            )
        for rank in self.ranks:
            self.settings({RANK: rank})


def sweep(asked: Sweep, home: Path, models: Models, control: Control) -> Work[SweepResult]:
    """Trains what is still missing of a sweep and returns what was found.

    The first trial has the settings as they are; of equals the first is chosen. A trial that fails is noted and the next one
    begins. Stopping keeps everything: the same call goes on.

    Args:
        asked: What to try.
        home: HOME; the trials are runs there.
        models: Where models come from.
        control: Stop and pause.

    Raises:
        UserError: the folder or a setting is wrong, or another process works on the same sweep.
        WorkError: Optuna is not installed, or its storage cannot be written.
    """
    _must_have_optuna()
    asked.check()
    collection = yield from scan(asked.folder, asked.settings().data, control, scan_cache_file(home))
    request = {
        "schema": 1,
        "collection": collection.fingerprint,
        "settings": settings.flat(asked.settings()),
        "ranks": list(asked.all_ranks),
    }
    name = hashlib.sha256(json.dumps(plain(request), sort_keys=True).encode()).hexdigest()[:12]
    file = home / "sweeps" / f"{name}.log"
    first = asked.settings()
    with _alone(file):
        from clip_atelier.engine.experiments.sweep_storage import Tried

        tried = Tried(
            file,
            name,
            {RATE: first.train.learning_rate} | ({RANK: first.lora.r} if asked.ranks else {}),
        )
        return (yield from _search(tried, asked, home, models, control))


def _must_have_optuna() -> None:
    if find_spec("optuna") is None:
        raise WorkError(
            _("A sweep needs a package that is not installed: {name}.").format(name="optuna"),
            _(
                "Install it with “pip install {name}” (the extra “sweep”), or compare rates of your own: clip-atelier grid "
                "FOLDER --vary train.learning_rate=1e-4,5e-4,1e-3"
            ).format(name="optuna"),
        )


@contextmanager
def _alone(file: Path) -> Iterator[None]:
    lock = filelock.FileLock(file.with_suffix(".lock"))
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except filelock.Timeout as error:
        raise UserError(
            _("Another command is working on this sweep at the moment."), _("Wait for it, or stop it first.")
        ) from error
    except OSError as error:
        raise cannot_write(file, error) from error
    try:
        yield
    finally:
        lock.release()


def _search(tried: Tried, asked: Sweep, home: Path, models: Models, control: Control) -> Work[SweepResult]:
    while True:
        trials = tried.trials()
        if control.stopping:
            return _document(tried, "stopped")
        going = next((trial for trial in trials if trial.status == "running"), None)
        if going is None and len(trials) >= asked.trials:
            return _document(tried, "done")
        mean = _mean_seconds(trials)
        if asked.minutes and trials and sum(trial.seconds for trial in trials) + mean > 60 * asked.minutes:
            return _document(tried, "out of time")
        if going is None:
            rate = asked.settings().train.learning_rate
            going = tried.propose(rate / _SPAN, min(1.0, rate * _SPAN), asked.all_ranks)
        number, title = going.number + 1, _title(going)
        missing = asked.trials - sum(trial.status != "running" for trial in trials)
        yield Cell(
            number=number,
            total=asked.trials,
            title=title,
            status="running",
            seconds_left=mean * missing or None,
        )
        if not (yield from _ended(tried, going, asked, home, models, control)):
            return _document(tried, "stopped")
        ended = next(trial for trial in tried.trials() if trial.number == going.number)
        yield Cell(
            number=number,
            total=asked.trials,
            title=title,
            status=ended.status,
            run=ended.run,
            message=ended.error,
        )


def _ended(
    tried: Tried, trial: SweepTrial, asked: Sweep, home: Path, models: Models, control: Control
) -> Work[bool]:
    """Trains a trial to its end and says what it gave; False where it was stopped before."""
    began = time.monotonic()

    def note_time() -> None:
        tried.note(trial.number, seconds=round(trial.seconds + time.monotonic() - began, 3))

    try:
        result = yield from _trained(tried, trial, asked, home, models, control)
    except Stopped:
        note_time()
        return False
    except UserError as error:
        if not isinstance(error, WorkError) or isinstance(error, NotWritten):
            raise  # wrong for one is wrong for all
        note_time()
        tried.fail(trial.number, error.message)
        return True
    except Exception as error:  # noqa: BLE001 - one failure, whatever it is, does not end the night
        note_time()
        tried.fail(trial.number, str(error) or type(error).__name__)
        return True
    note_time()
    if result.status == "stopped":
        return False
    metric = f"{result.primary_metric.partition('/')[0]}/{strengths.SELECTION_METRIC}"
    tried.note(trial.number, metric=metric, run=result.run, result=result.as_json())
    score = result.validation.adapted.get(metric)
    if score is None:
        tried.fail(trial.number, _("It was not measured on validation drawings."))
    else:
        tried.succeed(trial.number, score)
    return True


def _trained(
    tried: Tried, trial: SweepTrial, asked: Sweep, home: Path, models: Models, control: Control
) -> Work[TrainResult]:
    """Goes on with the trial's own unfinished run where there is one, else trains a new one."""
    from clip_atelier.engine import training

    def note(event: Event) -> Event:
        if isinstance(event, Started):
            tried.note(trial.number, run=event.run)
        return event

    if trial.run:
        try:
            return (yield from mapped(training.resume(home, trial.run, models, control), note))
        except WorkError:
            raise
        except UserError:
            pass  # the run was deleted, or has no whole checkpoint: begin again
    name = _("sweep, {title}").format(title=_title(trial))
    plan = training.Plan(asked.folder, asked.settings(trial.values), home, name)
    return (yield from mapped(training.train(plan, models, control), note))


def _title(trial: SweepTrial) -> str:
    return " ".join(
        f"{name.rpartition('.')[2]}={written(value if name == RANK else float(f'{value:.3g}'))}"
        for name, value in sorted(trial.values.items(), reverse=True)
    )


def _mean_seconds(trials: Sequence[SweepTrial]) -> float:
    ended = [trial.seconds for trial in trials if trial.status != "running"]
    return sum(ended) / len(ended) if ended else 0.0


def _document(tried: Tried, status: str) -> SweepResult:
    trials = tried.trials()
    found = SweepResult(sweep=tried.name, path=str(tried.file), status=status, trials=tuple(trials))
    done = [
        (trial.score, -trial.number, trial)
        for trial in trials
        if trial.status == "done" and trial.score is not None
    ]
    if not done:
        return found
    best = max(done)[2]
    told = tried.told(best.number)
    result = TrainResult.model_validate(told["result"])
    chosen: dict[str, Any] = {"chosen": best.number, "run": best.run, "metric": told["metric"]}
    if result.measured_on == "test":
        names = ("primary_metric", "base", "adapted", "difference", "verdict")
        chosen |= {name: getattr(result, name) for name in names}
    return found.model_copy(update=chosen)
