"""What was written for use elsewhere."""

from __future__ import annotations

from clip_atelier.engine.core import Record, Text


class WrittenFiles(Record):
    """The paths that an export wrote."""

    files: tuple[Text, ...]


class WrittenReport(Record):
    """A report page: where it is, which runs it is about, and by which metric they are compared."""

    path: Text
    runs: tuple[str, ...]
    measure: str
