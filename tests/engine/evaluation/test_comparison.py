from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from clip_atelier.engine import settings, training
from clip_atelier.engine.core import Control, drive
from clip_atelier.engine.evaluation import EvaluationSet, Row, bootstrap, comparison, metrics
from clip_atelier.engine.evaluation.sets import Task
from clip_atelier.engine.models import Models
from clip_atelier.engine.runs import Difference, TrainResult

Values = Callable[..., dict[str, Any]]
KEY = "text_to_image/R@1"
QUERIES = 200


def evaluation_set() -> EvaluationSet:
    everything = np.arange(QUERIES)
    right = np.eye(QUERIES, dtype=bool)
    task = Task("text_to_image", "text", everything, "image", everything, right, everything)
    return EvaluationSet(tuple(range(QUERIES)), (), right, (task,), "text_to_image")


def answers(right: int, start: int = 0) -> NDArray[np.float64]:
    """R@1 of each query: `right` of them answered, from `start` on."""
    values = np.zeros(QUERIES)
    values[start : start + right] = 1.0
    return values


@pytest.fixture
def made(tmp_path: Path) -> Callable[..., Row]:
    """A row whose run answered the given queries, beside a base that answered the first 40."""

    def make(name: str, adapted: NDArray[np.float64], *, stored: bool = True, seed: int = 0) -> Row:
        folder = tmp_path / name
        folder.mkdir()
        base = answers(40)
        if stored:
            comparison.keep(
                folder, {t.name: t.clusters for t in evaluation_set().tasks}, {KEY: base}, {KEY: adapted}
            )
        change = bootstrap.paired_bootstrap(base, adapted)
        result = {
            "base": {KEY: base.mean()},
            "adapted": {KEY: adapted.mean()},
            "difference": {KEY: {"value": change.value, "low": change.low, "high": change.high}},
            "measured_on": "test",
            "queries": {"text_to_image": QUERIES},
            "gallery": {"text_to_image": QUERIES},
        }
        answer = TrainResult.model_validate(result)
        return Row(name, name, "done", 0.0, "", folder, {"data.split_seed": seed}, answer, "abc")

    return make


def test_the_best_is_marked_with_all_that_cannot_be_told_from_it(made: Callable[..., Row]) -> None:
    rows = [
        made("best", answers(120)),
        made("close", answers(115)),  # misses 5 of the same queries: too few to tell
        made("behind", answers(80)),
        made("no gain", answers(40)),
    ]
    assert comparison.marks(rows, KEY) == {"best": "best", "close": "as good"}


def test_pairing_by_query_tells_apart_what_separate_intervals_cannot(made: Callable[..., Row]) -> None:
    best, other = answers(100), answers(90)
    paired = [made("a", best), made("b", other)]
    unpaired = [made("c", best, stored=False), made("d", other, stored=False)]
    # Ten queries were answered by the first alone and none by the second alone.
    assert comparison.marks(paired, KEY) == {"a": "best"}
    assert comparison.marks(unpaired, KEY) == {"c": "best", "d": "as good"}


def test_nothing_is_marked_where_the_best_shows_no_gain(made: Callable[..., Row]) -> None:
    assert comparison.marks([made("a", answers(42)), made("b", answers(40))], KEY) == {}


def test_a_lower_rank_is_the_better_one(made: Callable[..., Row]) -> None:
    key = "text_to_image/median_rank"
    low, high = (
        dataclasses.replace(
            made(name, answers(40)),
            result=TrainResult(
                base={key: 9.0}, adapted={key: value},
                difference={key: Difference(value=value - 9, low=value - 10, high=value - 8)},
            ),
        )
        for name, value in (("low", 2.0), ("high", 30.0))
    )  # fmt: skip
    assert comparison.marks([high, low], key) == {"low": "best"}


def test_runs_that_answered_other_questions_are_not_compared(made: Callable[..., Row]) -> None:
    rows = [made("a", answers(120)), made("b", answers(80), seed=1)]
    assert comparison.marks(rows, KEY) == {"a": "best", "b": "best"}


def test_a_damaged_file_of_values_is_as_good_as_none(made: Callable[..., Row]) -> None:
    row = made("a", answers(120))
    (row.path / comparison.VALUES).write_bytes(b"PK\x03\x04 no archive")
    assert row.values == {}
    assert comparison.between(row, made("b", answers(100)), KEY) is None


def test_a_real_run_keeps_the_values_behind_its_metrics(tiny_pairs: Path, home: Path, quick: Values) -> None:
    for r in (2, 4):
        plan = training.Plan(tiny_pairs, settings.build(quick(lora__r=r, train__epochs=1)), home, f"r {r}")
        drive(training.train(plan, Models(home), Control()))
    rows = comparison.rows(home)
    assert [row.name for row in rows] == ["r 2", "r 4"]
    assert rows[0].questions == rows[1].questions
    assert comparison.varied(rows) == ["lora.r"]
    for row in rows:
        assert row.measured
        for key, value in row.result.adapted.items():
            stored = row.values[f"adapted/{key}"]
            assert metrics.aggregate({key.rpartition("/")[2]: stored}) == {
                key.rpartition("/")[2]: pytest.approx(value)
            }
        assert len(row.values["clusters/sketch_to_artwork"]) == row.result.queries["sketch_to_artwork"]
    assert comparison.between(rows[0], rows[1], rows[0].primary_metric) is not None
    header, lines = comparison.table(rows)
    assert header[:4] == ["run", "name", "status", "lora.r"]
    assert [line[3] for line in lines] == ["2", "4"]
    assert {len(line) for line in lines} == {len(header)}


def test_what_may_be_said_about_several_runs(made: Callable[..., Row]) -> None:
    best, close, behind, none = (
        made(name, answers(right)) for name, right in (("b", 120), ("c", 115), ("d", 80), ("n", 40))
    )

    def said(*rows: Row) -> str:
        return comparison.conclusion(rows, KEY, comparison.marks(rows, KEY))

    assert "best is “b”; 1 more cannot be told from it" in said(best, close, behind)
    assert "ahead of all others that helped (1)" in said(best, behind)
    # A run that did not help is not beaten: nobody compared it with the best one.
    assert "only “b” is measurably better than the untouched base" in said(best, none)
    other = made("o", answers(40), seed=3)
    assert "not compared with it" in said(best, none, other)
    assert "no training is measurably better" in said(none)
    assert "“b” is measurably better than the untouched base" in said(best)
    assert "2 different sets of questions" in said(best, made("s", answers(90), seed=3))
    assert comparison.conclusion([], KEY, {}) == ""
