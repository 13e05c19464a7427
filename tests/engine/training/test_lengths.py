"""How often a training is measured."""

from __future__ import annotations

import pytest

from clip_atelier.engine.settings import TrainSettings
from clip_atelier.engine.training.lengths import check_steps


@pytest.mark.parametrize(
    ("steps", "embedded", "count"),
    [
        pytest.param(12, 38, 5, id="two epochs of a small folder"),
        pytest.param(12, 400, 2, id="more to embed than to learn from"),
        pytest.param(200, 60, 8, id="long enough"),
        pytest.param(1, 10, 1, id="a single step"),
    ],
)
def test_checks_take_a_quarter_of_the_steps_at_most(steps: int, embedded: int, count: int) -> None:
    train = TrainSettings(batch_size=32, checks=0)
    found = check_steps(train, steps, embedded, layers=True)
    assert len(found) == count
    assert max(found) == steps
    assert min(found) > 0


def test_steps_on_stored_features_are_checked_as_often_as_long_ones() -> None:
    assert len(check_steps(TrainSettings(batch_size=32, checks=0), 12, 400, layers=False)) == 8


def test_a_number_that_is_asked_for_is_kept_whatever_it_costs() -> None:
    train = TrainSettings(batch_size=32, checks=12)
    assert check_steps(train, 12, 1000, layers=True) == set(range(1, 13))
