"""How long a run is: how often its update is trained, and how many steps each training takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from clip_atelier.engine.data import Item, Split
from clip_atelier.engine.settings import Settings, TrainSettings
from clip_atelier.engine.training.batches import Batches

_MOST: Final = 1000
"""From so many drawings on, one part that is kept aside is enough to measure an update alone."""
_MOST_WITH_PARTS: Final = 5000
"""Parts are chosen by folds up to so many; beyond, an update alone is trained."""
_CHECKS: Final = 8
"""Of a training that is long enough for them."""
_SHARE_OF_CHECKS: Final = 0.25
"""Of the time of the steps that checks may take together."""
_EMBEDDED: Final = 2.0
"""Images that are embedded while one is trained on, where layers of a tower are: on a processor 2, on a card 3."""
FEWEST_TO_A_FOLD: Final = 4
"""Groups that a fold must hold, so that its questions can be answered wrongly."""
_FEWEST_STEPS: Final = 40
"""Fewer are not worth the time: where the budget allows no more, it is overstepped, and said so."""


@dataclass(frozen=True)
class RunLength:
    """What a run has to do.

    Attributes:
        trainings: How often the update is trained: once for each fold and once on everything; 1 where nothing is measured by
            folds.
        steps: Optimiser steps of each training.
    """

    trainings: int
    steps: int

    @property
    def total(self) -> int:
        """Optimiser steps of all trainings."""
        return self.trainings * self.steps


def run_length(items: Sequence[Item], parts: Split, settings: Settings) -> RunLength:
    """How long a run is: what the form shows and what the run does, before its time budget may shorten it."""
    if not measured_by_folds(settings, len(items)):
        return RunLength(1, Batches.of(items, parts.train, parts.groups, settings).total(settings.train))
    batches = Batches.of(items, range(len(items)), parts.groups, settings)
    return RunLength(fold_count(settings, parts.groups) + 1, batches.total(settings.train))


def measured_by_folds(settings: Settings, drawings: int) -> bool:
    """Whether a run of so many drawings is measured by folds."""
    most = _MOST_WITH_PARTS if settings.evaluation.parts else _MOST
    return settings.evaluation.folds > 0 and drawings < most


def fold_count(settings: Settings, groups: Sequence[int]) -> int:
    """How many folds drawings of these groups are dealt to; less than 2 where there are too few to measure on."""
    return min(max(2, settings.evaluation.folds), len(set(groups)) // FEWEST_TO_A_FOLD)


def check_steps(train: TrainSettings, total: int, embedded: int, layers: bool) -> set[int]:
    """The steps of a training after which it is measured; the last one is among them.

    Args:
        train: Says how often, or 0 for what is worth its time.
        total: Steps of the training.
        embedded: Images that a check embeds.
        layers: Whether steps compute layers of a tower; where they do not, neither do checks.
    """
    count = train.checks
    if not count:
        worth = _SHARE_OF_CHECKS * total * train.batch_size * _EMBEDDED / max(1, embedded)
        count = max(2, min(_CHECKS, int(worth))) if layers else _CHECKS
    return {round(total * n / count) for n in range(1, count + 1)} - {0} | {total}


def affordable(settings: Settings, wanted: RunLength, seconds: float, spent: float = 0.0) -> RunLength:
    """The same run within its time budget, which is for measuring by folds: with fewer steps where it must be.

    Args:
        settings: The run's.
        wanted: What it would do with all the time there is.
        seconds: Of one step.
        spent: Seconds that all else takes.
    """
    if wanted.trainings == 1:
        return wanted
    left = settings.evaluation.minutes * 60 - spent
    fits = int(left / max(1e-9, seconds * wanted.trainings))
    return RunLength(wanted.trainings, min(wanted.steps, max(_FEWEST_STEPS, fits)))
