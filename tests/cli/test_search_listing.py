"""How search results stand in the terminal."""

from __future__ import annotations

from clip_atelier.cli.search_listing import listing
from clip_atelier.engine.search import SearchHit, SearchResult


def result(*adapted: SearchHit) -> SearchResult:
    base = tuple(SearchHit(path=f"{name}.png", score=0.5) for name in "abc"[: len(adapted)])
    return SearchResult(images=3, skipped=0, strength=1.0, base=base, adapted=adapted or None)


def test_results_that_fit_or_cannot_be_told_stand_beside_the_base() -> None:
    for fits in (True, None):
        text = listing(result(SearchHit(path="b.png", score=0.9, base_rank=2, fits=fits)))
        assert text.splitlines()[-1].split() == ["1", "a.png", "0.500", "b.png", "0.900", "↑1"]


def test_what_does_not_fit_stands_apart_with_its_place() -> None:
    lines = listing(
        result(
            SearchHit(path="b.png", score=0.9, base_rank=2, fits=False, learned=False),
            SearchHit(path="a.png", score=0.8, base_rank=1, fits=True, learned=True),
            SearchHit(path="c.png", score=0.7, base_rank=3, fits=False, learned=True),
        )
    ).splitlines()
    assert lines[2].split() == ["1", "a.png", "0.500", "2", "a.png", "•", "0.800", "↓1"]
    assert "closest, but probably not it" in lines[3]
    assert lines[4].split() == ["3", "c.png", "0.500", "1", "b.png", "0.900", "↑1"]
    assert lines[5].split() == ["3", "c.png", "•", "0.700", "="]
    assert lines[-1] == "• the training learned from this drawing"


def test_without_a_run_there_is_one_ranking() -> None:
    assert "adapted" not in listing(result())
