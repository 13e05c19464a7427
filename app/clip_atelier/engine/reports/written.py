"""What was written for use elsewhere."""

from __future__ import annotations

from clip_atelier.engine.core import Record


class WrittenFiles(Record):
    """The paths that an export wrote."""

    files: tuple[str, ...]


class WrittenReport(Record):
    """A report page: where it is, which runs it is about, and by which metric they are compared."""

    path: str
    runs: tuple[str, ...]
    measure: str
