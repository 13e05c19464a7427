"""What a run was asked, what came out of it, and one line of the run list: the documents of run folders and commands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from pydantic import AliasChoices, Field, field_validator

from clip_atelier.engine.core import Record, Score, Text
from clip_atelier.engine.models import Ancestor, lineage_of
from clip_atelier.engine.runs.comparison import Difference
from clip_atelier.engine.runs.cross_validation import PartGain, QuestionResult, TrivialWay
from clip_atelier.engine.settings import migrated

if TYPE_CHECKING:
    from clip_atelier.engine.models import Model

SCHEMA = 1
"""Raised when an older version could misread a run folder."""

Status = Literal["running", "done", "stopped", "failed", "interrupted", "damaged"]


class Comparison(Record):
    """Base against adapted on the same queries. Metrics are named task/metric, e.g. "text_to_image/R@1".

    Attributes:
        base: Each metric of the untouched model.
        adapted: Each metric of the adapted one.
        difference: Adapted minus base.
        primary_metric: What the verdict is about.
        verdict: "gain", "loss", "no measurable difference" or "too few to measure".
        verdict_text: The verdict in a sentence, in the language of when it was made.
        queries: Number of queries by task.
        gallery: Size of the gallery by task.
        chance: Each metric's value for random rankings.
    """

    base: Mapping[str, Score] = Field(default_factory=dict)
    adapted: Mapping[str, Score] = Field(default_factory=dict)
    difference: Mapping[str, Difference] = Field(default_factory=dict)
    primary_metric: str = Field(default="", validation_alias=AliasChoices("primary_metric", "headline"))
    verdict: str = ""
    verdict_text: str = ""
    queries: Mapping[str, int] = Field(default_factory=dict)
    gallery: Mapping[str, int] = Field(default_factory=dict)
    chance: Mapping[str, Score] = Field(default_factory=dict)

    @property
    def measured(self) -> bool:
        """Whether base and adapted were compared."""
        return bool(self.base)


class SplitSizes(Record):
    """How many drawings each part holds."""

    train: int = 0
    validation: int = 0
    test: int = 0


class PartMeans(Record):
    """Means of base and adapted on one part of the split."""

    base: Mapping[str, Score] = Field(default_factory=dict)
    adapted: Mapping[str, Score] = Field(default_factory=dict)


class TrainResult(Comparison):
    """What came out of a run: `evaluation.json`, and what `train` and `resume` show.

    Attributes:
        run: The run's id.
        path: Its folder.
        status: "done" or "stopped".
        steps: Optimiser steps taken.
        total_steps: Optimiser steps asked for.
        seconds: Time spent training.
        trainable_parameters: How many numbers were trained.
        best_step: The step whose checkpoint is kept; 0 is the untouched model.
        strength: The strength that is recommended.
        split: How many drawings each part held.
        measured_on: "test" or "validation".
        validation: Means on the validation part.
        base_untouched: Whether the base embeddings came out bit-equal again.
        protocol: How it was measured, in words.
        folds: How many folds it was measured by; 0 where one part was kept aside.
        questions: The comparison of each question.
        parts: What each part beside the update does.
        trivial: The trivial ways on the same queries.
        skipped: What was left out or shortened, in sentences.
        summary: What was done and why, in a paragraph.
    """

    schema_version: int = Field(default=SCHEMA, alias="schema")
    run: str = ""
    path: Text = ""
    status: str = ""
    steps: int = 0
    total_steps: int = 0
    seconds: float = 0.0
    trainable_parameters: int = 0
    best_step: int = 0
    strength: float = 1.0
    split: SplitSizes = SplitSizes()
    measured_on: str = ""
    validation: PartMeans = PartMeans()
    base_untouched: bool | None = None
    protocol: str = ""
    folds: int = 0
    questions: Mapping[str, QuestionResult] = Field(default_factory=dict)
    parts: tuple[PartGain, ...] = ()
    trivial: tuple[TrivialWay, ...] = ()
    skipped: tuple[str, ...] = ()
    summary: str = ""


class Evaluation(Comparison):
    """A run measured on a collection: what `evaluate` shows."""

    schema_version: int = Field(default=SCHEMA, alias="schema")
    run: str
    folder: Text
    strength: float
    images: int
    measured_on: str


class DataRecord(Record):
    """The collection a run was trained on."""

    fingerprint: str = ""
    images: int = 0
    pairs: int = 0


class ModelRecord(Record):
    """The base model of a run.

    Attributes:
        files: SHA-256 of what decides its embeddings.
        lineage: The trainings that are in its weights already, the first one first.
    """

    name: Text = ""
    path: Text = ""
    family: str = ""
    fingerprint: str = ""
    files: dict[str, str] = Field(default_factory=dict)
    parameters: int = 0
    image_size: int = 0
    lineage: tuple[Ancestor, ...] = ()

    @classmethod
    def of(cls, clip: Model) -> ModelRecord:
        """Of a loaded model, nothing attached to it."""
        return cls(
            name=clip.name,
            path=str(clip.folder),
            family=clip.family,
            fingerprint=clip.fingerprint,
            files=clip.files,
            parameters=clip.parameters,
            image_size=clip.image_size,
            lineage=lineage_of(clip.folder),
        )


class NumericPath(Record):
    """What decides how a run's numbers are rounded.

    Attributes:
        device: "cpu", "cuda", "mps" or "xpu".
        precision: Of training: "fp32", "bf16" or "fp16".
        attention: The kernel: "eager" or "sdpa".
        threads: Of the processor; 0 where another device computes.
        optimizer: The form in which AdamW is computed.
    """

    device: str = ""
    precision: str = ""
    attention: str = ""
    threads: int = 0
    optimizer: str = ""


class RunRecord(Record):
    """run.json: what was asked, and with what.

    Attributes:
        id: The run's id.
        name: The name the user gave; may be empty.
        created: Seconds since the epoch.
        folder: The collection.
        settings: By dotted name.
        versions: Of the packages that decide a run's numbers.
        data: The collection as it was read; None before the first step.
        model: The base model; None before the first step.
        numeric_path: How its numbers are computed; None before the first step, and in runs of earlier versions.
        foreign: Whether its adapter was made elsewhere: then it can be searched with and measured, not trained on.
    """

    schema_version: int = Field(default=SCHEMA, alias="schema", ge=0)
    id: str = ""
    name: Text = ""
    created: float = 0.0
    folder: Text = ""
    settings: dict[str, Any] = Field(default_factory=dict)
    versions: dict[str, str] = Field(default_factory=dict)
    data: DataRecord | None = None
    model: ModelRecord | None = None
    numeric_path: NumericPath | None = None
    foreign: bool = False

    @field_validator("settings")
    @classmethod
    def _todays_names(cls, values: dict[str, Any]) -> dict[str, Any]:
        return migrated(values)


class RunSummary(Record):
    """One line of the run list. A damaged run says why in `error` and has nothing else but its place.

    Attributes:
        bases: Ids of the runs whose updates are in the weights of its base model.
        note: What the user wrote about it.
        tag: The colour that the user gave it.
        archived: Whether it is left out of lists.
    """

    run: str
    path: Text = ""
    name: Text = ""
    status: Status = "interrupted"
    created: float = 0.0
    folder: Text = ""
    settings: dict[str, Any] = Field(default_factory=dict)
    result: TrainResult | None = None
    error: Text = ""
    bases: tuple[Text, ...] = ()
    note: Text = ""
    tag: str = ""
    archived: bool = False

    def as_json(self) -> dict[str, Any]:
        """As `runs --json` shows it: the comparison's main parts stand beside the result as well."""
        found = super().as_json()
        result = found["result"] or {}
        return found | {key: result.get(key) for key in ("base", "adapted", "difference", "verdict")}
