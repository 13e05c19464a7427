"""Further folders of a collection: drawings that lie elsewhere, read as if they were in a sub-folder.

A collection keeps one folder of its own. A small document in it names the others: `collection-folders.json`. A drawing of a
further folder is called "NAME/rest" in every record, and `located` alone tells where its file is. So a split, runs and exports
need not know that there is more than one folder, and a folder that is at another place now is named once.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from clip_atelier.engine.core import (
    DamagedFile,
    Record,
    Text,
    UserError,
    _,
    read_document,
    shown,
)
from clip_atelier.engine.data.names import folded

FILE: Final = "collection-folders.json"
MOST: Final = 100
"""Further folders of one collection."""
_LOOK_AGAIN: Final = 1.0
"""Seconds after which it is asked whether another program or window changed the document."""
_MOST_KNOWN: Final = 64
LONGEST: Final = 120


def _usable(name: str) -> str:
    if fault := name_fault(name):
        raise ValueError(fault)
    return name


class FurtherFolder(Record):
    """A folder that belongs to a collection and does not lie in it.

    Attributes:
        name: What the paths of its drawings begin with.
        folder: Where it is, absolute.
    """

    name: Annotated[Text, AfterValidator(_usable)]
    folder: Text

    @property
    def path(self) -> Path:
        """Where it is."""
        return Path(self.folder)

    @property
    def there(self) -> bool:
        """Whether it can be looked into: its drive may be unplugged, or it was moved."""
        # A path of another system would be looked for below the folder that the program was started in.
        return self.path.is_absolute() and self.path.is_dir()


def _without_twins(folders: tuple[FurtherFolder, ...]) -> tuple[FurtherFolder, ...]:
    if len({folded(one.name) for one in folders}) < len(folders):
        raise ValueError("two folders have one name")
    return folders


class FurtherFolders(Record):
    """The further folders of the collection that it lies in."""

    schema_version: int = Field(default=1, alias="schema", ge=1, le=1)
    folders: Annotated[tuple[FurtherFolder, ...], Field(max_length=MOST), AfterValidator(_without_twins)] = ()


@dataclass(frozen=True)
class Places:
    """Where the drawings of one collection are.

    Attributes:
        root: The collection's own folder.
        further: Those beside it, by their names.
        fault: Why the document cannot be understood, "" if it can or there is none.
    """

    root: Path
    further: Mapping[str, FurtherFolder]
    fault: str = ""

    def name_of(self, path: str) -> str:
        """The further folder that a path leads into, "" for the collection's own."""
        first = path.partition("/")[0] if self.further else ""
        return first if first in self.further else ""

    def file(self, path: str) -> str:
        """Where the file of a path is; a string, since making a hundred thousand `Path`s takes long."""
        name = self.name_of(path)
        if not name or not self.further[name].path.is_absolute():
            return os.path.join(self.root, path)
        folder, rest = self.further[name].folder, path[len(name) + 1 :]
        return os.path.join(folder, rest) if rest else folder

    def inside(self, file: Path) -> bool:
        """Whether a file or folder lies in one of the folders."""
        return any(
            file.is_relative_to(folder)
            for folder in (self.root, *(one.path for one in self.further.values()))
        )


_Stamp = tuple[int, int, int] | None
_known: dict[str, tuple[float, _Stamp, Places]] = {}


def places_of(root: Path, *, now: bool = False) -> Places:
    """Where the drawings of a collection are.

    Args:
        root: Its folder.
        now: Do not go by what was known a moment ago.
    """
    key, asked = os.fspath(root), time.monotonic()
    known = _known.get(key)
    if known and not now and asked - known[0] < _LOOK_AGAIN:
        return known[2]
    stamp = _stamp(root / FILE)
    places = known[2] if known and known[1] == stamp else _read(root, stamp)
    if len(_known) >= _MOST_KNOWN:
        _known.clear()
    _known[key] = asked, stamp, places
    return places


def forget() -> None:
    """The list of a collection was changed, which may be known by several spellings of its path."""
    _known.clear()


def located(root: Path, path: str) -> Path:
    """Where a drawing's file is.

    Args:
        root: The collection's folder.
        path: As in `Item.path` and every record.
    """
    return Path(places_of(root).file(path))


def _stamp(file: Path) -> _Stamp:
    try:
        status = os.stat(file)
    except (OSError, ValueError):
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _read(root: Path, stamp: _Stamp) -> Places:
    if stamp is None:
        return Places(root, {})
    try:
        return Places(root, {one.name: one for one in _document(root).folders})
    except DamagedFile as error:
        return Places(root, {}, error.reason)
    except OSError as error:
        return Places(root, {}, error.strerror or str(error))


def _document(root: Path) -> FurtherFolders:
    return read_document(root / FILE, FurtherFolders)


def name_fault(name: str) -> str:
    """Why a further folder cannot be called so; "" where it can."""
    odd = name != name.strip() or name.startswith(".") or not name.isprintable()
    if not name or odd or len(name) > LONGEST or any(letter in name for letter in '/\\:*?"<>|'):
        return _(
            'A name is a plain word or some: without / \\ : * ? " < > |, and with no dot at its beginning.'
        )
    return ""


def damaged_hint() -> str:
    """What to do about a document that cannot be understood."""
    return _("Mend it in a text editor, or delete it and add the folders again under their names.")


def not_there(names: Sequence[str], hint: str) -> UserError:
    """The error where work must not go on without some further folders."""
    told = ", ".join(map(shown, names))
    return UserError(
        _("Folders of the collection are not there: {names}.").format(names=told), hint, "folder"
    )
