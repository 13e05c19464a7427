"""Kills in training and at the very moments of saving, in short; `soak.py` beside this file does it 400 times.

Each child is a real process that is really killed: outside at a random time, or by itself at a chosen call to the file system.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import tiny
from kill_rounds import Tally, Training, aimed_saves
from kills import Nursery


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with Nursery() as made:
        yield made


@pytest.fixture(scope="module")
def training(nursery: Nursery, tiny_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Training:
    base = tmp_path_factory.mktemp("killed")
    values: dict[str, Any] = tiny.quick(tiny_clip, train__epochs=2, train__checks=4, train__patience=0)
    return Training(nursery, base, tiny.pairs(base / "pairs"), values, Tally())


@pytest.mark.fault(1, 16)
def test_killed_at_random_a_run_goes_on_to_the_same_bits(training: Training) -> None:
    training.tally = Tally()
    training.random(rounds=3, seed=1)
    assert training.tally.lost == []
    assert training.tally.killed == 3


@pytest.mark.fault(1, 2, 16)
def test_killed_at_a_call_to_the_file_system_a_run_goes_on_to_the_same_bits(training: Training) -> None:
    training.tally = Tally()
    training.aimed(rounds=3)
    assert training.tally.lost == []
    assert training.tally.killed == 3


@pytest.mark.fault(3, 4, 60)
def test_killed_at_a_save_of_captions_settings_or_the_index_nothing_is_lost(
    nursery: Nursery, tmp_path: Path
) -> None:
    tally = Tally()
    aimed_saves(nursery, tmp_path, 36, tally)
    assert tally.lost == []
    assert tally.killed >= 32  # how many calls a save makes differs by a few
