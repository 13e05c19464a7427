"""The one kind of error that is meant for people."""

from __future__ import annotations


class UserError(Exception):
    """Something the user can mend: says what is wrong and what to do.

    Args:
        message: What is wrong, naming the file, folder or setting; already translated.
        hint: The way out, in one sentence; may be empty.
        setting: The dotted name of the setting at fault, if one is ("lora.r"), so that a form can show it there.
    """

    def __init__(self, message: str, hint: str = "", setting: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.setting = setting

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class WorkError(UserError):
    """Work that was well asked for but failed on the way (disk full, a device error): exit code 1, not 2."""


class NotWritten(WorkError):  # noqa: N818 - told to people like its base
    """A file could not be written: no room, or its drive is gone. What was there before is whole.

    Attributes:
        path: The file.
    """

    def __init__(self, message: str, hint: str = "", path: str = "") -> None:
        super().__init__(message, hint)
        self.path = path


class Stopped(Exception):  # noqa: N818 - not an error: the user asked
    """Raised at a step or batch boundary after `Control.stop()`; what was done is kept."""
