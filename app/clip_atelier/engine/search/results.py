"""What indexing and searching show."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from clip_atelier.engine.core import Record, Text

SCHEMA = 1


class IndexSummary(Record):
    """What `index` did.

    Attributes:
        embedded: Images that were new.
        reused: Images that were known already.
        skipped: Images that could not be read.
        run: The run, if there is one.
    """

    schema_version: int = Field(default=SCHEMA, alias="schema")
    folder: Text
    images: int
    embedded: int
    reused: int
    skipped: int
    seconds: float
    run: str | None = None
    strength: float = 1.0
    model: str = ""


class SearchHit(Record):
    """One result.

    Attributes:
        path: Below the folder.
        score: Cosine similarity to the query.
        base_rank: Of the adapted model's results: the rank with the base, 1 is best.
    """

    path: Text
    score: float
    base_rank: int | None = None


class SearchResult(Record):
    """The best images for a query; `adapted` is None where there is no update."""

    schema_version: int = Field(default=SCHEMA, alias="schema")
    images: int
    skipped: int
    strength: float
    base: tuple[SearchHit, ...]
    adapted: tuple[SearchHit, ...] | None = None

    def as_json(self) -> dict[str, Any]:
        """Without a run there is no `adapted`, and `base_rank` only stands there."""
        found = super().as_json()
        for hit in found["base"]:
            del hit["base_rank"]
        if found["adapted"] is None:
            del found["adapted"]
        return found
