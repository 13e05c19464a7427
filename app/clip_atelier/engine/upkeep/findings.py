"""What was found in a home, and what was done about it: the documents of `verify` and `repair`."""

from __future__ import annotations

from pydantic import Field, computed_field

from clip_atelier.engine.core import Record, Text

SCHEMA = 1


class Finding(Record):
    """A file, or a folder that is one thing, that is not as it should be.

    Attributes:
        path: Below the home, with slashes.
        kind: "run", "model", "cache", "index", "settings", "grid", "queue", "searches", "collection", "measurement" or "pack".
        reason: What is wrong, in words.
        remedy: What `repair` does about it, in words.
        repaired: Whether it was made whole again.
    """

    path: Text
    kind: str
    reason: Text
    remedy: str = ""
    repaired: bool = False


class Verified(Record):
    """What `verify` found.

    Attributes:
        home: What was looked at.
        checked: How many files and folders that are one thing.
        in_work: Runs that a process works on now, which are left out.
        findings: What is not as it should be.
    """

    schema_version: int = Field(default=SCHEMA, alias="schema")
    home: Text
    checked: int = 0
    in_work: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()

    @computed_field  # type: ignore[prop-decorator]
    @property
    def problems(self) -> tuple[Finding, ...]:
        """The findings, under the name that `verify` and `repair` share."""
        return self.findings


class Repaired(Record):
    """What `repair` did; nothing was deleted.

    Attributes:
        home: What was looked at.
        checked: How many files and folders that are one thing.
        in_work: Runs that a process works on now, which are left out.
        folder: Where what was damaged lies now; "" where nothing was.
        mended: Made whole again; the damaged file lies in `folder` too.
        set_aside: Could not be mended, and lies in `folder`.
        left: Could not be moved, and why.
    """

    schema_version: int = Field(default=SCHEMA, alias="schema")
    home: Text
    checked: int = 0
    in_work: tuple[str, ...] = ()
    folder: Text = ""
    mended: tuple[Finding, ...] = ()
    set_aside: tuple[Finding, ...] = ()
    left: tuple[Finding, ...] = ()

    @computed_field  # type: ignore[prop-decorator]
    @property
    def problems(self) -> tuple[Finding, ...]:
        """All that was found."""
        return (*self.mended, *self.set_aside, *self.left)
