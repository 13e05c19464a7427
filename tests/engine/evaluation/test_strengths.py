"""Which strengths may be handed over."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from clip_atelier.engine import settings
from clip_atelier.engine.core import Control, drive
from clip_atelier.engine.data import scan
from clip_atelier.engine.evaluation import Values, sets, strengths


@pytest.fixture
def evaluation_set(tiny_pairs: Path) -> sets.EvaluationSet:
    items = drive(scan(tiny_pairs, settings.Settings().data, Control())).items
    groups = [sorted({item.pair for item in items}).index(item.pair) for item in items]
    found = sets.evaluation_set(items, range(len(items)), groups)
    assert found.primary_metric == "sketch_to_artwork"
    assert len(found.tasks) == 4
    return found


def _values(evaluation_set: sets.EvaluationSet, level: float) -> Values:
    """AP of every query, scattered about a level in the same way each time."""
    random = np.random.default_rng(0)
    return {
        f"{task.name}/mAP": level + 0.1 * random.standard_normal(len(task.queries))
        for task in evaluation_set.tasks
    }


@pytest.mark.parametrize(
    ("changes", "helps"),
    [
        ({"sketch_to_artwork": 0.2}, True),
        ({"sketch_to_artwork": 0.2, "text_to_image": 0.2}, True),
        ({"sketch_to_artwork": 0.2, "text_to_image": -0.2}, False),
        ({"sketch_to_artwork": 0.2, "image_to_text": -0.2}, False),
        ({"text_to_image": 0.2, "image_to_text": 0.2}, False),
        ({"sketch_to_artwork": -0.2}, False),
    ],
    ids=str,
)
def test_a_strength_helps_where_the_headline_gains_and_nothing_pays_for_it(
    evaluation_set: sets.EvaluationSet, changes: dict[str, float], helps: bool
) -> None:
    base, now = _values(evaluation_set, 0.5), _values(evaluation_set, 0.5)
    random = np.random.default_rng(1)
    for task, change in changes.items():
        moved = now[f"{task}/mAP"]
        moved += change + 0.01 * random.standard_normal(len(moved))
    assert strengths.helps(evaluation_set, base, now) is helps


def test_a_gain_within_its_own_error_is_luck(evaluation_set: sets.EvaluationSet) -> None:
    base, now = _values(evaluation_set, 0.5), _values(evaluation_set, 0.5)
    moved = now["sketch_to_artwork/mAP"]
    moved += np.where(np.arange(len(moved)) % 2, 0.21, -0.2)  # up by 0.005 at the mean, here and there by 0.2
    assert moved.mean() > base["sketch_to_artwork/mAP"].mean()
    assert not strengths.helps(evaluation_set, base, now)


def test_a_loss_within_its_own_error_is_no_harm(evaluation_set: sets.EvaluationSet) -> None:
    base, now = _values(evaluation_set, 0.5), _values(evaluation_set, 0.5)
    now["sketch_to_artwork/mAP"] += 0.2
    moved = now["text_to_image/mAP"]
    moved += np.where(np.arange(len(moved)) % 2, 0.2, -0.21)
    assert strengths.helps(evaluation_set, base, now)
