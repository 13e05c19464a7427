"""What a sub-command is, and what it is given: one module below `commands` makes one."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from clip_atelier.engine.core import Control, Work, drive

if TYPE_CHECKING:
    from clip_atelier.cli.progress import Reporter

T = TypeVar("T")

DONE, FAILED, WRONG_INPUT, STOPPED = 0, 1, 2, 130


@dataclass(frozen=True)
class Session:
    """What every command is given: where the user's data is, how to stop it, where its events go."""

    home: Path
    control: Control
    reporter: Reporter

    def drive(self, work: Work[T]) -> T:
        """Runs long work, showing its progress on stderr."""
        with self.reporter:
            return drive(work, self.reporter)


@dataclass(frozen=True)
class Outcome:
    """What a command has to say: `document` for `--json`, `text` for people."""

    document: Any
    text: str
    code: int = DONE


def versioned(document: Any) -> Any:
    """A document for `--json`, with the version of its form; each row of a list has its own.

    A record brings the version of its schema. Where a command puts a document together itself, its form is 1.
    """
    if isinstance(document, list | tuple):
        return [versioned(row) for row in document]
    if isinstance(document, dict) and "schema" not in document:
        return {"schema": 1, **document}
    return document


@dataclass(frozen=True)
class Command:
    """One sub-command.

    Attributes:
        name: As typed.
        title: One line for the list of commands (marked with `N_`).
        arguments: Adds the command's own arguments; the common ones are there already.
        run: Does it. Heavy imports belong inside, so that `--help` stays quick.
        detail: More words for the command's own help (marked with `N_`).
    """

    name: str
    title: str
    arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace, Session], Outcome]
    detail: str = ""
