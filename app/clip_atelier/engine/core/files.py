"""The one way a file is written: whole or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from clip_atelier.engine.core.errors import NotWritten, UserError
from clip_atelier.engine.core.i18n import _
from clip_atelier.engine.core.paths import share, shown


def cannot_write(path: Path, error: OSError, hint: str = "") -> NotWritten:
    """The error for a failed write: the path, the reason in words, and the remedy."""
    return NotWritten(
        _("“{path}” cannot be written: {reason}.").format(path=path, reason=error.strerror or error),
        hint or _("Free some disk space, or choose another home folder with --home or CLIP_ATELIER_HOME."),
        str(path),
    )


def must_be_free(path: Path, *, empty_folder: bool = False) -> None:
    """What people asked to be written overwrites nothing.

    Args:
        path: Where it is to be.
        empty_folder: Whether a folder with nothing in it may be there.

    Raises:
        UserError: something is there already, a link that leads nowhere too.
    """
    if empty_folder and path.is_dir() and not any(path.iterdir()):
        return
    if path.exists() or path.is_symlink():
        raise UserError(
            _("“{path}” exists already.").format(path=shown(path)),
            _("Choose another name; nothing is overwritten."),
        )


@contextlib.contextmanager
def replacing(path: Path, hint: str = "") -> Iterator[Path]:
    """Gives a temporary path beside `path` to write to, which takes its place at the end of the block.

    After a crash the old file or the new one is there, never half of one. An error in the block leaves the old file.
    It keeps its permissions; what is written anew below the home is its user's alone (see `paths.keep_private`).

    Args:
        path: The file to write; its folder is made where it is missing.
        hint: The remedy that is told where it cannot be written; by default that of a file below the home.

    Raises:
        WorkError: it cannot be written.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            yield partial
            with partial.open("rb+") as stream:
                os.fsync(stream.fileno())
            if path.exists():
                shutil.copymode(path, partial)
            elif hint:  # not below the home: it is for others too
                share(partial)
            os.replace(partial, path)
        except BaseException:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise cannot_write(path, error, hint) from error


def write_whole(path: Path, content: bytes, hint: str = "") -> None:
    """Replaces a file by `content`; see `replacing`."""
    with replacing(path, hint) as partial:
        partial.write_bytes(content)
