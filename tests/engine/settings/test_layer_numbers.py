"""Layers by number: as people write them, and what is no layer is refused by its number."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clip_atelier.engine import settings
from clip_atelier.engine.core import UserError
from clip_atelier.engine.models import shapes
from clip_atelier.engine.settings.layer_numbers import layers_of, layers_written


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("", set()), ("0", {0}), ("0, 3, 7 - 9", {0, 3, 7, 8, 9}), ("2+1 5", {1, 2, 5}), ("3-3,3", {3})],
)
def test_numbers_and_ranges_are_read(text: str, numbers: set[int]) -> None:
    assert layers_of(text) == numbers


@given(st.frozensets(st.integers(0, 99)))
def test_what_is_written_reads_the_same(numbers: frozenset[int]) -> None:
    assert layers_of(layers_written(numbers)) == numbers


@pytest.mark.parametrize("text", ["x", "4-2", "-1", "1.5", "1-", "1--2", "9999"])
def test_anything_else_is_refused_with_the_setting(text: str) -> None:
    with pytest.raises(UserError) as caught:
        settings.build({"train.layers_to_transform": text})
    assert caught.value.setting == "train.layers_to_transform"


def test_single_and_last_layers_exclude_each_other() -> None:
    with pytest.raises(UserError, match="not both"):
        settings.build({"train.layers_to_transform": "0", "train.last_layers": 1})


def test_a_layer_that_is_not_there_is_refused_by_its_number(tiny_clip: Path) -> None:
    chosen = settings.build({"train.layers_to_transform": "1,7"})
    with pytest.raises(UserError, match=r"no layer 7; this model has 2") as caught:
        shapes.anatomy(tiny_clip, chosen)
    assert caught.value.setting == "train.layers_to_transform"
    fits = shapes.anatomy(tiny_clip, settings.build({"train.layers_to_transform": "1"}))
    assert fits.adapted == {"vision": {1}, "text": {1}}
