"""Whether a model knows drawings is found out before it is trained, and said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clip_atelier.engine import settings
from clip_atelier.engine.core import Control, Event, Notice, drive, paths
from clip_atelier.engine.models import DrawingCheck, Models, drawing_check
from clip_atelier.engine.models.known_drawings import WORDS, enough
from clip_atelier.engine.training import Plan, train

CPU = settings.HardwareSettings(device="cpu", precision="fp32", threads=1)


def test_the_drawings_are_there() -> None:
    assert [name for name in WORDS if not (paths.control_collection() / f"{name}.png").is_file()] == []
    assert len(WORDS) == 20


def test_the_starter_knows_drawings_and_a_random_model_does_not(home: Path, tiny_clip: Path) -> None:
    assert drive(drawing_check(Models(home).open("starter", CPU), Control())).knows
    assert not drive(drawing_check(Models(home).open(str(tiny_clip), CPU), Control())).knows


@pytest.mark.parametrize(("found", "knows"), [(0, False), (3, False), (4, True), (20, True)])
def test_better_than_chance_is_four_of_twenty(found: int, knows: bool) -> None:
    # Binomial, 20 draws at 1/20: three or more in 7.5 % of cases, four or more in 1.6 %.
    assert enough(20) == 4
    assert DrawingCheck(found, 20).knows is knows


def test_a_run_says_so_once(home: Path, tiny_pairs: Path, quick: Callable[..., dict[str, Any]]) -> None:
    said: list[str] = []

    def listen(event: Event) -> None:
        if isinstance(event, Notice):
            said.append(event.text)

    drive(train(Plan(tiny_pairs, settings.build(quick()), home), Models(home), Control()), listen)
    assert len([text for text in said if "knows drawings badly" in text]) == 1
