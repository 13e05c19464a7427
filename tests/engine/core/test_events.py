"""Events: every kind has one JSON form, whatever floats and names it carries."""

from __future__ import annotations

import dataclasses
import json
import math
import typing
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clip_atelier.engine.core import Event, events
from clip_atelier.engine.core.events import EVENTS

TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
FLOAT = st.floats(allow_nan=False, allow_infinity=False)


def _strategy(hint: Any) -> st.SearchStrategy[Any]:
    origin = typing.get_origin(hint)
    if hint is str:
        return TEXT
    if hint is float:
        return FLOAT
    if hint is int:
        return st.integers(-(2**53), 2**53)
    if hint is bool:
        return st.booleans()
    if origin is tuple:
        return st.lists(_strategy(typing.get_args(hint)[0]), max_size=3).map(tuple)
    if origin in (Mapping, dict) or hint == Mapping[str, float]:
        return st.dictionaries(TEXT, FLOAT, max_size=3)
    return st.one_of(st.none(), FLOAT)


@pytest.mark.parametrize("kind", EVENTS)
@given(data=st.data())
def test_an_event_survives_its_json(kind: str, data: st.DataObject) -> None:
    cls = EVENTS[kind]
    hints = typing.get_type_hints(cls)
    values = {f.name: data.draw(_strategy(hints[f.name]), label=f.name) for f in dataclasses.fields(cls)}
    event = cls(**values)
    line = json.dumps(events.to_json(event), allow_nan=False)
    assert events.from_json(json.loads(line)) == event


def test_what_json_cannot_carry_becomes_null_or_visible() -> None:
    event = events.Check(step=1, epoch=math.nan, metrics={"R@1": math.inf}, loss=-math.inf)
    record = json.loads(json.dumps(events.to_json(event), allow_nan=False))
    assert record["epoch"] is None
    assert record["loss"] is None
    assert record["metrics"] == {"R@1": None}
    named = events.to_json(events.ProblemFound(path="\udcff.png", reason=""))
    assert json.dumps(named).encode("utf-8")
    assert "xff" in named["path"] or "udcff" in named["path"]


def test_tensors_do_not_belong_in_events() -> None:
    with pytest.raises(TypeError):
        events.plain(object())


@pytest.mark.parametrize("record", [{}, {"kind": "nobody"}, {"kind": "step"}, {"kind": "step", "step": 1}])
def test_incomplete_records_are_refused(record: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="event"):
        events.from_json(record)


def test_drive_hands_events_on_and_returns_the_result() -> None:
    def work() -> events.Work[int]:
        yield events.Notice(text="one")
        yield events.Notice(text="two")
        return 7

    seen: list[Event] = []
    assert events.drive(work(), seen.append) == 7
    assert [e.text for e in seen if isinstance(e, events.Notice)] == ["one", "two"]
