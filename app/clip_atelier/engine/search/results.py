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


class ShardSummary(Record):
    """What `index` did for one shard of a folder.

    Attributes:
        shard: Which one, counted from 1.
        shards: How many there are.
        place: The folder where they meet.
        images: Drawings of this shard.
        embedded: Of them, those that were new.
        reused: Of them, those that were known already.
        skipped: Files of this shard that could not be read.
        missing: Shards that are not complete, or that drawings have come to since.
        joined: The whole index, where this was the last shard.
    """

    schema_version: int = Field(default=SCHEMA, alias="schema")
    folder: Text
    shard: int
    shards: int
    place: Text
    images: int
    embedded: int
    reused: int
    skipped: int
    seconds: float
    missing: tuple[int, ...] = ()
    joined: IndexSummary | None = None


class SearchHit(Record):
    """One result.

    Attributes:
        path: Below the folder.
        score: Cosine similarity to the query; of the adapted model's results what its run's parts make of it.
        base_rank: Of the adapted model's results: the rank with the base, 1 is best.
        fits: Of the adapted model's results: whether the drawing fits the words that were asked, or is only among the
            closest there are; None where that cannot be told.
        learned: Whether the run learned from this drawing; None where its run does not say.
    """

    path: Text
    score: float
    base_rank: int | None = None
    fits: bool | None = None
    learned: bool | None = None


class SearchResult(Record):
    """The best images for a query.

    Attributes:
        strength: Position of the strength dial.
        adapted: None where there is no run.
        remarks: What was not searched for as it was asked, in sentences: names for emoji, unknown words, cut ends.
        strange_words: Whether the first of them says that the model does not know the language of the words.
        recall: Share of the true ten nearest that are found in so many images, as measured on them; None where all are.
    """

    schema_version: int = Field(default=SCHEMA, alias="schema")
    images: int
    skipped: int
    strength: float
    base: tuple[SearchHit, ...]
    adapted: tuple[SearchHit, ...] | None = None
    remarks: tuple[Text, ...] = ()
    strange_words: bool = False
    recall: float | None = None

    def as_json(self) -> dict[str, Any]:
        """Without a run there is no `adapted`; `base_rank` and `fits` only stand there; the base's `learned` where known."""
        found = super().as_json()
        for hit in found["base"]:
            del hit["base_rank"], hit["fits"]
            if hit["learned"] is None:
                del hit["learned"]
        if found["adapted"] is None:
            del found["adapted"]
        if not self.remarks:
            del found["remarks"]
        if not self.strange_words:
            del found["strange_words"]
        if self.recall is None:
            del found["recall"]
        return found


class RunAnswer(Record):
    """What one of several trainings found."""

    run: Text
    found: SearchResult

    def as_json(self) -> dict[str, Any]:
        """As a search with this training alone writes its results."""
        return {"run": self.run, **self.found.as_json()}


class ComparedResult(Record):
    """The same search with several trainings, in their order."""

    schema_version: int = Field(default=SCHEMA, alias="schema")
    runs: tuple[RunAnswer, ...]

    def as_json(self) -> dict[str, Any]:
        """`runs` has them all; beside it stands what a search with the first alone writes."""
        return {**self.runs[0].found.as_json(), "runs": [answer.as_json() for answer in self.runs]}


class BatchAnswer(Record):
    """What one line of a batch found.

    Attributes:
        text: The line.
        found: The results; None where the line asks for nothing that can be found.
        error: Why there are none.
    """

    text: Text
    found: SearchResult | None = None
    error: Text = ""

    def as_json(self) -> dict[str, Any]:
        """As a search alone writes its results."""
        return {"text": self.text, **(self.found.as_json() if self.found else {"error": self.error})}


class BatchResult(Record):
    """What the lines of a batch found, in their order."""

    schema_version: int = Field(default=SCHEMA, alias="schema")
    answers: tuple[BatchAnswer, ...]

    def as_json(self) -> dict[str, Any]:
        """Each answer as a search alone writes its results."""
        return {"schema": self.schema_version, "answers": [answer.as_json() for answer in self.answers]}
