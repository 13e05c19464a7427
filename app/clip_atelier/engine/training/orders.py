"""What a window and the process that trains for it say to each other: one order, then words; events, then how it ended.

All of it are lines of text over two pipes. An event is a line as in `events.jsonl`; every other line is a document.
"""

from __future__ import annotations

import json
from typing import Any, Literal

from pydantic import Field

from clip_atelier.engine.core import NotWritten, Record, Stopped, Text, UserError, WorkError
from clip_atelier.engine.runs import TrainResult

Word = Literal["stop", "leave", "pause", "go", "evaluate"]
"""What can be asked of a training that goes on: the methods of `Control`."""


class Order(Record):
    """The one thing that a trainer's process does.

    Attributes:
        home: Where runs and caches live.
        language: In which it tells what it tells.
        run: The run to go on with; where empty, a new one is made of the rest.
        folder: The collection.
        name: The user's name for the run.
        settings: By dotted name.
    """

    home: Text
    language: str = "en"
    run: Text = ""
    folder: Text = ""
    name: Text = ""
    settings: dict[str, Any] = Field(default_factory=dict)


class Ending(Record):
    """How the work ended.

    Attributes:
        how: "done", "stopped", or what kind of error it was.
        result: What came out, of work that is done.
        message: The error's, in the user's language.
        hint: The error's.
        setting: The setting at fault.
        path: The file that could not be written.
    """

    how: Literal["done", "stopped", "wrong", "failed", "not written", "unexpected"]
    result: TrainResult | None = None
    message: Text = ""
    hint: Text = ""
    setting: str = ""
    path: Text = ""

    @classmethod
    def of(cls, error: BaseException) -> Ending:
        """The ending that an exception stands for."""
        if isinstance(error, Stopped):
            return cls(how="stopped")
        if not isinstance(error, UserError):
            return cls(how="unexpected", message=f"{type(error).__name__}: {error}")
        how: Literal["wrong", "failed", "not written"] = "failed" if isinstance(error, WorkError) else "wrong"
        path = ""
        if isinstance(error, NotWritten):
            how, path = "not written", error.path
        return cls(how=how, message=error.message, hint=error.hint, setting=error.setting, path=path)

    def outcome(self) -> TrainResult:
        """What came out.

        Raises:
            Stopped, UserError, WorkError, NotWritten: what ended it instead.
            RuntimeError: something unexpected did.
        """
        if self.how == "stopped":
            raise Stopped
        if self.how == "wrong":
            raise UserError(self.message, self.hint, self.setting)
        if self.how == "failed":
            raise WorkError(self.message, self.hint, self.setting)
        if self.how == "not written":
            raise NotWritten(self.message, self.hint, self.path)
        if self.result is None:
            raise RuntimeError(self.message)
        return self.result


def line_of(document: Record) -> str:
    """A document on one line. Names of files keep their bytes: what is no Unicode is written as an escape."""
    return json.dumps(document.model_dump(), ensure_ascii=True, allow_nan=False)
