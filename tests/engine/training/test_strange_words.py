"""Captions in a language that the model does not know are told when a training begins."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clip_atelier.engine import settings
from clip_atelier.engine.core import Control, Event, Notice, drive
from clip_atelier.engine.models import Models, languages
from clip_atelier.engine.training import Plan, train


@pytest.mark.parametrize(("known", "warned"), [(("en",), True), (("en", "ko"), False)])
def test_a_training_says_that_its_captions_are_strange_to_the_model(
    home: Path,
    tiny_collection: Path,
    quick: Callable[..., dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    known: tuple[str, ...],
    warned: bool,
) -> None:
    table = tiny_collection / "metadata.csv"
    lines = table.read_text("utf-8").splitlines()
    korean = [f"{line.partition(',')[0]},그림 {number}" for number, line in enumerate(lines[1:])]
    table.write_text("\n".join([lines[0], *korean]), "utf-8")
    monkeypatch.setattr(languages, "told", lambda _name: known)
    told: list[Event] = []
    chosen = settings.build(quick(train__epochs=1))
    drive(train(Plan(tiny_collection, chosen, home), Models(home), Control()), told.append)
    said = [
        event.text for event in told if isinstance(event, Notice) and "captions are in Korean" in event.text
    ]
    assert len(said) == warned
