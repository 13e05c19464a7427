"""Which strengths may be handed over."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from clip_atelier.engine import retrieval, settings, strengths
from clip_atelier.engine.collection import scan
from clip_atelier.engine.control import Control
from clip_atelier.engine.events import drive
from clip_atelier.engine.verdict import Values


@pytest.fixture
def board(tiny_pairs: Path) -> retrieval.Board:
    items = drive(scan(tiny_pairs, settings.Settings().data, Control())).items
    groups = [sorted({item.pair for item in items}).index(item.pair) for item in items]
    found = retrieval.board(items, range(len(items)), groups)
    assert found.headline == "sketch_to_artwork"
    assert len(found.tasks) == 3
    return found


def _values(board: retrieval.Board, level: float) -> Values:
    """AP of every query, scattered about a level in the same way each time."""
    random = np.random.default_rng(0)
    return {
        f"{task.direction}/mAP": level + 0.1 * random.standard_normal(len(task.queries))
        for task in board.tasks
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
    board: retrieval.Board, changes: dict[str, float], helps: bool
) -> None:
    base, now = _values(board, 0.5), _values(board, 0.5)
    random = np.random.default_rng(1)
    for direction, change in changes.items():
        moved = now[f"{direction}/mAP"]
        moved += change + 0.01 * random.standard_normal(len(moved))
    assert strengths.helps(board, base, now) is helps


def test_a_gain_within_its_own_error_is_luck(board: retrieval.Board) -> None:
    base, now = _values(board, 0.5), _values(board, 0.5)
    moved = now["sketch_to_artwork/mAP"]
    moved += np.where(np.arange(len(moved)) % 2, 0.21, -0.2)  # up by 0.005 at the mean, here and there by 0.2
    assert moved.mean() > base["sketch_to_artwork/mAP"].mean()
    assert not strengths.helps(board, base, now)


def test_a_loss_within_its_own_error_is_no_harm(board: retrieval.Board) -> None:
    base, now = _values(board, 0.5), _values(board, 0.5)
    now["sketch_to_artwork/mAP"] += 0.2
    moved = now["text_to_image/mAP"]
    moved += np.where(np.arange(len(moved)) % 2, 0.2, -0.21)
    assert strengths.helps(board, base, now)
