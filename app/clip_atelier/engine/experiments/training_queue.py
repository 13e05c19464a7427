"""Trainings that wait for the one before them to end, in HOME/queue.json: a restart of the program loses none."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from pydantic import Field

from clip_atelier.engine.core import (
    Record,
    Text,
    read_kept,
    remove_kept,
    write_document,
)

SCHEMA: Final = 1


class QueuedTraining(Record):
    """One training that waits.

    Attributes:
        id: Tells it from the others of the queue.
        folder: The collection.
        name: What the run will be called; empty for none.
        settings: Every setting by dotted name, as it was when the training was queued.
        queued: When that was, in seconds since 1970.
        error: Why it could not begin, in the user's language; empty where it was not tried.
    """

    id: str
    folder: Text
    name: Text = ""
    settings: dict[str, Any]
    queued: float = 0.0
    error: Text = ""


class TrainingQueue(Record):
    """Everything that waits, the next one first."""

    schema_version: int = Field(default=SCHEMA, alias="schema")
    entries: tuple[QueuedTraining, ...] = ()


def queue_file(home: Path) -> Path:
    """Where the queue lies."""
    return home / "queue.json"


def read_queue(home: Path) -> TrainingQueue:
    """The queue of a home; an empty one where there is none.

    Raises:
        DamagedFile: see `read_kept`.
    """
    return read_kept(queue_file(home), TrainingQueue) or TrainingQueue()


def write_queue(home: Path, queue: TrainingQueue) -> None:
    """Keeps the queue, whole or not at all; an empty one leaves no file.

    Raises:
        WorkError: the home cannot be written.
    """
    file = queue_file(home)
    if queue.entries:
        write_document(file, queue, copy=True)
        return
    remove_kept(file)
