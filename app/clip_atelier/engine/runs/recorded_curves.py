"""The course of a run: loss at every step, loss and retrieval at every check, as they were recorded."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from clip_atelier.engine.core import Check, Record, Score, Step, Text, UserError, _, tables

if TYPE_CHECKING:
    from clip_atelier.engine.runs.records import RunFolder


class CurvePoint(Record):
    """What was recorded after one optimiser step; None for what was not measured there.

    Attributes:
        step: Optimiser steps taken; 0 is the untouched base.
        epoch: Passes over the training drawings.
        loss: Training loss of the step.
        learning_rate: Of the step.
        validation_loss: Loss on the validation part.
        metrics: Retrieval on the validation part, by name.
    """

    step: int
    epoch: float
    loss: Score = None
    learning_rate: Score = None
    validation_loss: Score = None
    metrics: Mapping[str, Score] = Field(default_factory=dict)


class Curves(Record):
    """All points of a run, by step."""

    schema_version: int = Field(default=1, alias="schema")
    run: Text
    points: tuple[CurvePoint, ...] = ()

    def table(self) -> tuple[list[str], list[list[object]]]:
        """Header and rows, one row a point; the metrics follow the other columns."""
        names = list(dict.fromkeys(name for point in self.points for name in point.metrics))
        header = ["step", "epoch", "loss", "learning_rate", "validation_loss", *names]
        rows: list[list[object]] = [
            [
                point.step, point.epoch, point.loss, point.learning_rate, point.validation_loss,
                *(point.metrics.get(name) for name in names),
            ]
            for point in self.points
        ]  # fmt: skip
        return header, rows

    def must_hold_something(self) -> None:
        """Raises a UserError where nothing was recorded."""
        if not self.points:
            raise UserError(
                _("The training “{run}” has recorded no step.").format(run=self.run),
                _(
                    "A training that was added as an adapter has none, and a new one has none until it learns."
                ),
            )

    def write(self, out: Path) -> None:
        """Writes the table in the format that the suffix of `out` names: .csv, .md or .tex.

        Raises:
            UserError: the suffix names none, or nothing was recorded.
            WorkError: it cannot be written.
        """
        tables.check_name(out)
        self.must_hold_something()
        tables.write(out, *self.table())


def curves(run: RunFolder) -> Curves:
    """What a run recorded while it learned; of steps that were taken again after a stop, the last."""
    steps: dict[int, Step] = {}
    checks: dict[int, Check] = {}
    for event in run.events():
        if isinstance(event, Step):
            steps[event.step] = event
        elif isinstance(event, Check):
            checks[event.step] = event
    return Curves(
        run=run.id,
        points=tuple(
            _point(number, steps.get(number), checks.get(number))
            for number in sorted(steps.keys() | checks.keys())
        ),
    )


def _point(number: int, step: Step | None, check: Check | None) -> CurvePoint:
    epoch = step.epoch if step else check.epoch if check else 0.0
    point = CurvePoint(step=number, epoch=epoch)
    if step:
        point = point.model_copy(update={"loss": step.loss, "learning_rate": step.learning_rate})
    if check:
        point = point.model_copy(update={"validation_loss": check.loss, "metrics": dict(check.metrics)})
    return point
