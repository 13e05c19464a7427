"""What a comparison by folds found: the document of `crossval`, and part of what a run that was measured so came to."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from clip_atelier.engine.core import Record, Score, Text
from clip_atelier.engine.runs.comparison import Difference


class QuestionResult(Record):
    """One question, base against adapted on the same queries.

    Attributes:
        queries: How many were asked.
        gallery: How many drawings or captions each was looked for in (the mean over the folds).
        base: Metric -> its value of the untouched model, e.g. "mAP".
        adapted: The same of what is handed over.
        difference: Adapted minus base, with paired 95 % intervals.
        verdict: "gain", "loss", "no measurable difference" or "too few to measure", of mAP.
    """

    queries: int
    gallery: float = 0.0
    base: Mapping[str, Score] = Field(default_factory=dict)
    adapted: Mapping[str, Score] = Field(default_factory=dict)
    difference: Mapping[str, Difference] = Field(default_factory=dict)
    verdict: str = ""


class PartGain(Record):
    """What one part alone does for one question.

    Attributes:
        name: Of the part, e.g. "learned_words".
        question: Of the question.
        gain: In mAP, with its paired 95 % interval.
        kept: Whether the question keeps it.
        folds: Share of the folds that chose it.
    """

    name: str
    question: str
    gain: Difference
    kept: bool = False
    folds: float = 0.0


class TrivialWay(Record):
    """A way of ten lines that an adaptation has to beat.

    Attributes:
        name: "class_prototype" or "nearest_drawings".
        question: Of the question.
        value: Its mAP on the same queries.
        difference: mAP of what is handed over minus that, with its paired 95 % interval.
    """

    name: str
    question: str
    value: Score
    difference: Difference


class CrossValidation(Record):
    """A comparison by folds.

    Attributes:
        folder: The collection.
        folds: How many; each drawing is a question in one of them.
        seconds: How long it took.
        protocol: How it was measured, in words.
        steps: Steps that the update took in each fold.
        strength: Strength of the update that is kept; 0 where none is.
        questions: By name.
        parts: What each part alone does.
        trivial: The trivial ways on the same queries.
        skipped: What was left out or shortened for want of time or drawings, in sentences.
        summary: What was done and why, in a paragraph, in the language of when it was made.
    """

    schema_version: int = Field(default=1, alias="schema")
    folder: Text = ""
    folds: int = 0
    seconds: float = 0.0
    protocol: str = ""
    steps: int = 0
    strength: float = 0.0
    questions: Mapping[str, QuestionResult] = Field(default_factory=dict)
    parts: tuple[PartGain, ...] = ()
    trivial: tuple[TrivialWay, ...] = ()
    skipped: tuple[str, ...] = ()
    summary: str = ""
