"""In what two runs differ: what was asked of them, and what they learned from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from clip_atelier.engine.core import Record, Text
from clip_atelier.engine.settings import DECLARED, written

if TYPE_CHECKING:
    from clip_atelier.engine.runs.records import RunFolder


class SettingDifference(Record):
    """A setting that is another one in each of two runs; as it is written on the command line."""

    setting: Text
    first: Text
    second: Text


class RunDifference(Record):
    """In what two runs differ.

    Attributes:
        settings: In the order of the reference.
        same_collection: Whether both learned from the same drawings and captions; None where a run does not say.
    """

    schema_version: int = Field(default=1, alias="schema")
    first: Text
    second: Text
    settings: tuple[SettingDifference, ...] = ()
    same_collection: bool | None = None


def difference(first: RunFolder, second: RunFolder) -> RunDifference:
    """In what two runs differ.

    Raises:
        UserError: one of them cannot be read.
    """
    one, other = first.record, second.record
    known = [*DECLARED, *sorted({*one.settings, *other.settings} - {*DECLARED})]
    pairs = [(name, _written(one.settings, name), _written(other.settings, name)) for name in known]
    both = one.data is not None and other.data is not None
    return RunDifference(
        first=first.id,
        second=second.id,
        settings=tuple(
            SettingDifference(setting=name, first=was, second=now) for name, was, now in pairs if was != now
        ),
        same_collection=one.data.fingerprint == other.data.fingerprint if both else None,  # type: ignore[union-attr]
    )


def _written(values: dict[str, Any], name: str) -> str:
    """A setting as it is written; a run from before it existed ran as its default does not tell, so nothing is claimed."""
    return written(values[name]) if name in values else "–"
