"""How a run leaves the list: into the trash, or for good where it holds no work. Never a folder outside the home."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from clip_atelier.engine.core import UserError, _, cannot_write, shown
from clip_atelier.engine.storage import Trash, TrashEntry

if TYPE_CHECKING:
    from clip_atelier.engine.runs.records import RunFolder


def delete(folder: Path, run: RunFolder) -> TrashEntry:
    """Puts a run into the trash of the home whose runs lie in `folder`.

    Raises:
        UserError: it lies outside the home, or it is being worked on.
        WorkError: it cannot be moved; it is where it was.
    """
    _must_be_own(folder, run)
    return Trash(folder.parent).put("run", run.id, run.path)


def discard(folder: Path, run: RunFolder) -> None:
    """Removes a run for good: out of the list by one rename, then off the disk.

    Raises:
        UserError: it lies outside the home, or it is being worked on.
        WorkError: it cannot be removed.
    """
    _must_be_own(folder, run)
    gone = run.path.with_name(f".{run.path.name}.gone")
    try:
        run.path.rename(gone)
        shutil.rmtree(gone)
    except OSError as error:
        raise cannot_write(run.path, error) from error


def _must_be_own(folder: Path, run: RunFolder) -> None:
    if run.path.parent.resolve() != folder.resolve() or run.id.startswith("."):
        raise UserError(
            _("The training at {path} is not in the home folder {home}, so it is not deleted.").format(
                path=shown(run.path), home=shown(folder.parent)
            ),
            _("Delete its folder yourself if that is what you want."),
            "run",
        )
    with run.hold():
        pass
