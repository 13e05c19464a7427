"""Grids that were begun and not finished: offered again, or forgotten."""

from __future__ import annotations

import contextlib
import logging
from dataclasses import dataclass
from pathlib import Path

import filelock

from clip_atelier.engine.core import DamagedFile, UserError, _, copy_of, read_document, shown
from clip_atelier.engine.experiments.grid import Grid
from clip_atelier.engine.experiments.grid_records import StoredGrid
from clip_atelier.engine.storage import Trash, TrashEntry

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
    files = sorted((home / "grids").glob("[!.]*.json"), key=lambda path: path.stat().st_mtime, reverse=True)
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


def forget(home: Path, grid: str) -> TrashEntry:
    """Puts a grid's queue into the home's trash; its runs stay.

    Raises:
        UserError: there is no such grid.
        WorkError: its file cannot be moved.
    """
    path = home / "grids" / f"{grid}.json"
    if Path(grid).name != grid or not path.is_file():
        raise UserError(_("There is no table “{name}”.").format(name=shown(grid)))
    entry = Trash(home).put("table", grid, path)
    with contextlib.suppress(OSError):
        copy_of(path).unlink(missing_ok=True)
    return entry
