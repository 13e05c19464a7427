"""Which trainings are in a model's weights: a merged run that is trained on from carries their names beside its weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pydantic import Field

from clip_atelier.engine.core import Record, Text, _, read_document, write_document

LINEAGE: Final = "lineage.json"
"""Beside the weights of a merged model."""


class Ancestor(Record):
    """A training whose update was added to the weights.

    Attributes:
        run: Its id.
        name: What it was called.
        base: The name of the model it was trained on.
        base_fingerprint: Of that model.
        created: When it was begun, in seconds since 1970.
        strength: Of its update in the weights.
    """

    run: Text
    name: Text = ""
    base: Text = ""
    base_fingerprint: str = ""
    created: float = 0.0
    strength: float = 1.0


class Lineage(Record):
    """lineage.json of a merged model: its trainings, the first one first."""

    schema_version: int = Field(default=1, alias="schema")
    trainings: tuple[Ancestor, ...] = ()


def lineage_of(folder: Path) -> tuple[Ancestor, ...]:
    """The trainings in a model's weights, the first one first; empty for a model as it was published.

    Raises:
        DamagedFile: its lineage.json cannot be understood.
    """
    try:
        return read_document(folder / LINEAGE, Lineage).trainings
    except OSError:
        return ()


def write_lineage(folder: Path, trainings: Sequence[Ancestor]) -> None:
    """Puts it beside a merged model's weights."""
    write_document(folder / LINEAGE, Lineage(trainings=tuple(trainings)))


def lineage_words(trainings: Sequence[Ancestor]) -> str:
    """In the user's language: the model it began with, then each training; "" for none."""
    if not trainings:
        return ""
    steps = [_("“{model}”").format(model=trainings[0].base)]
    steps += [_("training “{run}”").format(run=one.name or one.run) for one in trainings]
    return " → ".join(steps)
