"""Captions changed by rule: what an expression may cost."""

from __future__ import annotations

import pytest

from clip_atelier.engine.core import UserError
from clip_atelier.engine.data import Replacement


@pytest.mark.parametrize("expression", ["(a|a)*$", "(a|aa)+$"])
def test_an_expression_that_takes_for_ever_is_ended_and_told(expression: str) -> None:
    with pytest.raises(UserError, match="takes too long on “aaaa"):
        Replacement(expression, "b", expression=True).of(["a" * 60 + "!"])


def test_what_repeats_within_bounds_is_replaced() -> None:
    assert Replacement(r"(\d{1,3},)+", "", expression=True).of(["1,200,owls"]) == ("owls",)
    assert Replacement("(A+)+B", "x", expression=True).of(["aaab fox"]) == ("x fox",)
    assert Replacement("a.b", "x").of(["a.b axb"]) == ("x axb",)
