"""What is told of a path that leads nowhere, everywhere in the same words."""

from __future__ import annotations

from pathlib import Path

from clip_atelier.engine.core.errors import UserError
from clip_atelier.engine.core.i18n import _
from clip_atelier.engine.core.paths import shown


def no_folder(path: Path, setting: str = "folder") -> UserError:
    """The error of a folder that is not there; `setting` is what it was given as."""
    return UserError(
        _("There is no folder “{folder}”.").format(folder=shown(path)), _("Check the path."), setting
    )


def no_file(path: Path, setting: str = "file") -> UserError:
    """The error of a file that is not there."""
    return UserError(_("There is no file “{file}”.").format(file=shown(path)), _("Check the path."), setting)


def nothing_at(path: Path, setting: str = "folder") -> UserError:
    """The error of a path at which a file or a folder might be, and neither is."""
    return UserError(_("There is no “{name}”.").format(name=shown(path)), _("Check the path."), setting)
