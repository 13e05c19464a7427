"""Grids that were begun and not finished: offered again, or forgotten."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import filelock

from clip_atelier.engine.core import DamagedFile, cannot_write, read_document
from clip_atelier.engine.experiments.grid import Grid
from clip_atelier.engine.experiments.grid_records import StoredGrid

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Unfinished:
    """A queue on disk that nobody works on and that is not done.

    Attributes:
        error: Why the last cell that failed did; empty if none did.
    """

    id: str
    grid: Grid
    total: int
    done: int
    failed: int
    error: str


def unfinished(home: Path) -> list[Unfinished]:
    """The grids that were begun and not finished, the latest first. Files that cannot be read are left out."""
    files = sorted((home / "grids").glob("*.json"), key=lambda path: path.stat().st_mtime, reverse=True)
    found = []
    for path in files:
        try:
            one = _stored(path)
        except (OSError, DamagedFile) as error:
            log.info("%s: %s", path, error)
            continue
        if one.done < one.total and not _held(path):
            found.append(one)
    return found


def _stored(path: Path) -> Unfinished:
    stored = read_document(path, StoredGrid)
    errors = [entry.error for entry in stored.entries if entry.status == "failed"]
    done = sum(entry.status == "done" for entry in stored.entries)
    last = errors[-1] if errors else ""
    return Unfinished(path.stem, stored.request(), len(stored.entries), done, len(errors), last)


def _held(path: Path) -> bool:
    """Whether a window or command is filling the grid now."""
    try:
        with filelock.FileLock(path.with_suffix(".lock"), timeout=0):
            return False
    except (filelock.Timeout, OSError):
        return True


def forget(home: Path, grid: str) -> None:
    """Takes a grid's queue off the disk; its runs stay.

    Raises:
        WorkError: its file cannot be removed.
    """
    path = home / "grids" / f"{grid}.json"
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise cannot_write(path, error) from error
