"""What is measured of a run beside its comparison: each strength's gain and loss, and the words that moved."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import AliasChoices, Field

from clip_atelier.engine.core import Record, Score, Text
from clip_atelier.engine.evaluation.strengths import StrengthReading
from clip_atelier.engine.runs import Difference

SCHEMA = 1


class SweepPoint(Record):
    """One strength of the update.

    Attributes:
        strength: 0 is the base.
        gained: The primary metric on the run's held-out images.
        forgotten: The same kind of metric on the control set, which has nothing to do with the collection.
        validation: The selection metric on the images that chose the strength.
        gained_difference: To strength 0, with a paired 95 % interval.
        forgotten_difference: To strength 0, with a paired 95 % interval.
        general: Every metric of the control set.
        held_out: What the strength is worth on the held-out images.
    """

    strength: float
    gained: Score = None
    forgotten: Score = None
    validation: Score = None
    gained_difference: Difference = Difference()
    forgotten_difference: Difference = Difference()
    general: Mapping[str, Score] = Field(default_factory=dict)
    held_out: StrengthReading


class GainedForgotten(Record):
    """Gained against forgotten over strengths.

    Attributes:
        run: The run's id.
        points: From the smallest strength up; strength 0 and the recommended one are among them.
        best: The strength the run recommends.
        primary_metric: What `gained` is.
        elsewhere: What `forgotten` is.
        chance: Of `elsewhere`.
        select_by: What `validation` is.
        measured_on: "test" or "validation".
        collection: How many images of the collection were measured on.
        control_set: How many images of the control set.
        changed: Whether the collection is not the one that was trained on.
    """

    schema_version: int = Field(default=SCHEMA, alias="schema")
    run: str
    points: tuple[SweepPoint, ...] = Field(min_length=1)
    best: float
    primary_metric: str = Field(validation_alias=AliasChoices("primary_metric", "headline"))
    elsewhere: str
    chance: Score = None
    select_by: str = ""
    measured_on: str = ""
    collection: int = 0
    control_set: int = Field(default=0, validation_alias=AliasChoices("control_set", "probe"))
    changed: bool = False

    @property
    def by_strength(self) -> dict[float, SweepPoint]:
        """The points by their strength."""
        return {point.strength: point for point in self.points}


class WordChange(Record):
    """How far a word's retrieval moved.

    Attributes:
        word: As it is shown.
        images: How many images are right for it.
        before: Rank of the first right image for the base.
        after: The same for the adapted model.
        moved: log2(before / after), in octaves.
    """

    word: Text
    images: int
    before: int
    after: int
    moved: float


class Wording(Record):
    """Text to image R@1 with every caption put into one sentence."""

    template: Text
    base: float
    adapted: float


class WordChanges(Record):
    """The vocabulary of a collection, most learned word first.

    Attributes:
        best: The strength the run recommends.
        average: Of `moved` over the words, with a 95 % interval.
        templates_tried_on: Captions that were put into each template.
    """

    schema_version: int = Field(default=SCHEMA, alias="schema")
    run: str
    folder: Text
    images: int
    strength: float
    best: float
    measured_on: str
    words: tuple[WordChange, ...]
    average: Difference
    templates: tuple[Wording, ...] = ()
    templates_tried_on: int = 0
