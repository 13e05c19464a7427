"""Moving things so that a kill leaves them in one place or the other, never in neither and never half."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import time
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Final

from clip_atelier.engine.core import UserError, _

DAY: Final = 86_400.0


def parts_of(place: str) -> tuple[str, ...]:
    """The steps of a place below the home.

    Raises:
        UserError: it leads out of it; about.json was written by somebody else.
    """
    path, other = PurePosixPath(place), PureWindowsPath(place)
    if not path.parts or path.is_absolute() or other.anchor or ".." in (*path.parts, *other.parts):
        raise UserError(_("“{path}” is no place inside the home folder.").format(path=place))
    return path.parts


def move(source: Path, target: Path) -> None:
    """A rename; where the two lie on different drives, a copy that is whole before the original goes."""
    try:
        os.rename(source, target)
        return
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
    partial = target.with_name(f".{target.name}.copying")
    shutil.rmtree(partial, ignore_errors=True)
    if source.is_dir() and not source.is_symlink():
        shutil.copytree(source, partial, symlinks=True)
    else:
        shutil.copy2(source, partial, follow_symlinks=False)
    os.rename(partial, target)
    remove(source)


def remove(path: Path) -> None:
    """Takes a folder or file away: out of sight by one rename, then for good; a kill in between leaves nothing half seen."""
    gone = path.with_name(f".{path.name}.gone")
    os.rename(path, gone)
    if gone.is_dir() and not gone.is_symlink():
        shutil.rmtree(gone, ignore_errors=True)
    else:
        gone.unlink()


def is_left(path: Path) -> bool:
    """Whether nobody has worked on it for a day: what is being added now must not be swept away."""
    with contextlib.suppress(OSError):
        return time.time() - path.stat().st_mtime > DAY
    return False


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files of a folder."""
    if path.is_symlink() or not path.is_dir():
        return path.lstat().st_size if path.exists() or path.is_symlink() else 0
    total = 0
    for folder, _folders, files in os.walk(path):
        for name in files:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(folder, name)).st_size
    return total
