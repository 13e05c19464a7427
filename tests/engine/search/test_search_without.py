"""What is not wanted is pushed down the ranking; how much was measured, see `WITHOUT`."""

from __future__ import annotations

from clip_atelier.engine.search import Query, Term, parse_query


def test_what_is_not_wanted_is_a_light_minus_for_each() -> None:
    query = parse_query("a cat", without=" orange  fur, hats,, ")
    assert query == Query((Term("a cat"), Term("orange fur", -0.3), Term("hats", -0.3)))
    assert query.alone is None
    assert parse_query("a cat", without=" , ") == Query.of("a cat")
