"""The document of a sweep: what was tried, what is chosen, and what the chosen training does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pydantic import Field

from clip_atelier.engine.core import Record, Score, Text
from clip_atelier.engine.runs import Difference

RATE: Final = "train.learning_rate"
RANK: Final = "lora.r"


class SweepTrial(Record):
    """One training of a sweep.

    Attributes:
        number: From 0, which is the training with the settings as they are.
        values: The tried settings by dotted name.
        status: "running", "done" or "failed".
        score: The metric on the validation drawings; None where there is none.
        seconds: What it took, everything included.
    """

    number: int
    values: Mapping[str, float]
    status: str
    score: Score = None
    run: str = ""
    seconds: float = 0.0
    error: Text = ""


class SweepResult(Record):
    """What `sweep` shows.

    Attributes:
        path: Where Optuna keeps what was tried.
        status: "done", "out of time" or "stopped".
        metric: What is chosen by, on the drawings kept aside for choosing alone.
        chosen: Number of the best trial; None while none is done.
        run: The training of that trial.
        base: Metrics of the untouched model on drawings that nothing was chosen by; none where there are none.
        adapted: Of the chosen training, on the same.
        difference: Adapted minus base.
        verdict: Of the chosen training.
    """

    schema_version: int = Field(default=1, alias="schema")
    sweep: str
    path: Text
    status: str
    metric: str = ""
    trials: tuple[SweepTrial, ...] = ()
    chosen: int | None = None
    run: str = ""
    primary_metric: str = ""
    base: Mapping[str, Score] = Field(default_factory=dict)
    adapted: Mapping[str, Score] = Field(default_factory=dict)
    difference: Mapping[str, Difference] = Field(default_factory=dict)
    verdict: str = ""

    @property
    def best(self) -> SweepTrial | None:
        """The trial that is chosen."""
        return next((trial for trial in self.trials if trial.number == self.chosen), None)
