"""What goes into a log file: where something failed and of what kind it was, never what people wrote or drew.

Captions, words and names of drawings stand in the messages of errors; pixels in the values that they quote. So of an error
only its kind and its place in the program are written, except where it is about a file of ours or the disk.
"""

from __future__ import annotations

import copy
import logging
import traceback
from types import TracebackType

from clip_atelier.engine.core.documents import DamagedFile
from clip_atelier.engine.core.errors import UserError, WorkError

_Raised = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


def kind_of(error: BaseException) -> str:
    """An error without what people wrote."""
    name = type(error).__name__
    if isinstance(error, WorkError | DamagedFile):
        return f"{name}: {error.message}"
    if isinstance(error, UserError):
        return f"{name} ({error.setting})" if error.setting else name
    if isinstance(error, OSError):
        return f"{name}: {error.strerror}"
    return name


class PrivateFormatter(logging.Formatter):
    """Formats records with errors as `kind_of` tells them."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as a line, with the frames of an error below it."""
        told = copy.copy(record)
        told.exc_text = None
        if isinstance(told.args, tuple):
            told.args = tuple(kind_of(one) if isinstance(one, BaseException) else one for one in told.args)
        return super().format(told)

    def formatException(self, ei: _Raised) -> str:  # noqa: N802 - logging's name
        """Where an error came from, frame by frame, and of what kind it and its causes are."""
        lines: list[str] = []
        error, seen = ei[1], set[int]()
        while error is not None and id(error) not in seen:
            seen.add(id(error))
            lines += [*traceback.format_tb(error.__traceback__), f"{kind_of(error)}\n"]
            error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        return "".join(lines).rstrip()
