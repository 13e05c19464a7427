"""What a sweep has tried, in Optuna's own storage: asked for the next trial, told what each gave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import optuna
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import FrozenTrial, TrialState

from clip_atelier.engine.core import UserError, _, cannot_write
from clip_atelier.engine.experiments.sweep_records import RANK, RATE, SweepTrial

_BLIND: Final = 4  # trials before the sampler goes by what it has seen
_STATUS: Final = {TrialState.RUNNING: "running", TrialState.COMPLETE: "done", TrialState.FAIL: "failed"}


class Tried:
    """The trials of one sweep.

    Args:
        file: Optuna's journal; made where there is none.
        name: The sweep's.
        first: Values of the first trial.

    Raises:
        UserError: the file is no such journal.
        WorkError: it cannot be written.
    """

    def __init__(self, file: Path, name: str, first: Mapping[str, float]) -> None:
        self.file = file
        self.name = name
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        try:
            backend = JournalFileBackend(str(file), lock_obj=JournalFileOpenLock(str(file)))
            self._storage = optuna.storages.JournalStorage(backend)
            self._study = optuna.create_study(
                storage=self._storage, study_name=name, direction="maximize", load_if_exists=True
            )
            self._id = self._storage.get_study_id_from_name(name)
            if not self._all():
                self._study.enqueue_trial(dict(first))
            for trial in self._all():  # ended between its number and its values
                if trial.state == TrialState.RUNNING and RATE not in trial.params:
                    self.fail(trial.number, "")
        except OSError as error:
            raise cannot_write(file, error) from error
        except (ValueError, KeyError, TypeError, AssertionError) as error:
            raise UserError(
                _("The sweep's file “{path}” cannot be read: {reason}").format(path=file, reason=error),
                _("Delete it to start the sweep again; finished trainings stay in the list of trainings."),
            ) from error

    def _all(self) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False)

    def trials(self) -> list[SweepTrial]:
        """What was begun, in order."""
        return [_trial(one) for one in self._all() if one.state in _STATUS and RATE in one.params]

    def propose(self, low: float, high: float, ranks: Sequence[int]) -> SweepTrial:
        """The next trial; its values are stored before anything is trained.

        Args:
            low: Lowest learning rate.
            high: Highest.
            ranks: Values of lora.r to choose from; none to leave it.
        """
        # A sampler with a seed of its own for each trial: what it proposes does not depend on how often a sweep was stopped.
        self._study.sampler = optuna.samplers.TPESampler(seed=len(self._all()), n_startup_trials=_BLIND)
        trial = self._study.ask()
        trial.suggest_float(RATE, low, high, log=True)
        if ranks:
            trial.suggest_categorical(RANK, list(ranks))
        return self.trials()[-1]

    def note(self, number: int, **told: Any) -> None:
        """Keeps something about a trial that has not ended."""
        trial = self._storage.get_trial_id_from_study_id_trial_number(self._id, number)
        for name, value in told.items():
            self._storage.set_trial_user_attr(trial, name, value)

    def told(self, number: int) -> dict[str, Any]:
        """What was noted."""
        return self._all()[number].user_attrs

    def succeed(self, number: int, score: float) -> None:
        """Ends a trial with its score."""
        self._study.tell(number, score)

    def fail(self, number: int, error: str) -> None:
        """Ends a trial without one."""
        self.note(number, error=error)
        self._study.tell(number, state=TrialState.FAIL)


def _trial(one: FrozenTrial) -> SweepTrial:
    told = one.user_attrs
    return SweepTrial(
        number=one.number,
        values=one.params,
        status=_STATUS[one.state],
        score=one.value,
        run=told.get("run", ""),
        seconds=told.get("seconds", 0.0),
        error=told.get("error", ""),
    )
