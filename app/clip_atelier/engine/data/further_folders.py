"""Further folders of a collection: drawings that lie elsewhere, read as if they were in a sub-folder.

A collection keeps one folder of its own. A small document in it names the others: `collection-folders.json`. A drawing of a
further folder is called "NAME/rest" in every record, and `located` alone tells where its file is. So a split, runs and exports
need not know that there is more than one folder, and a folder that is at another place now is named once.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
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
    paths,
    read_document,
    shown,
    write_document,
)
from clip_atelier.engine.data.names import folded, nfc

FILE: Final = "collection-folders.json"
MOST: Final = 100
"""Further folders of one collection."""
_LOOK_AGAIN: Final = 1.0
"""Seconds after which it is asked whether another program or window changed the document."""
_MOST_KNOWN: Final = 64
_LONGEST: Final = 120


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
    if not name or odd or len(name) > _LONGEST or any(letter in name for letter in '/\\:*?"<>|'):
        return _(
            'A name is a plain word or some: without / \\ : * ? " < > |, and with no dot at its beginning.'
        )
    return ""


def add_folder(root: Path, other: Path, name: str = "") -> FurtherFolder:
    """Makes a folder part of a collection; nothing in it is changed.

    Args:
        root: The collection's folder.
        other: The folder.
        name: What the paths of its drawings are to begin with; its own name, or one like it, where left out.

    Raises:
        UserError: it is not there, lies within another folder of the collection or around one, or the name is taken.
        WorkError: the document cannot be written.
    """
    if root.resolve().is_relative_to(paths.resources().resolve()):
        raise UserError(
            _("The sample is a part of the program; no folder can be added to it."),
            _("Open a folder of your own first."),
            "folder",
        )
    kept = _kept(root)
    target = _checked(root, other, kept)
    if len(kept) >= MOST:
        raise UserError(
            _("A collection has {most} further folders at most.").format(most=MOST),
            _("Put several folders into one, and add that."),
            "folder",
        )
    taken = {folded(one.name) for one in kept} | _names_in(root)
    if name:
        name = nfc(name)
        if fault := name_fault(name):
            raise UserError(_("A folder cannot be called “{name}”.").format(name=shown(name)), fault, "name")
        if folded(name) in taken:
            raise UserError(
                _("“{folder}” has something called “{name}” already.").format(
                    folder=shown(root), name=shown(name)
                ),
                _("Choose another name."),
                "name",
            )
    else:
        name = _free_name(target, taken)
    added = FurtherFolder(name=name, folder=str(target))
    _write(root, (*kept, added))
    return added


def can_be_added(root: Path, other: Path) -> bool:
    """Whether a folder lies apart from all folders of a collection, so that it could be added."""
    try:
        _checked(root, other, _kept(root))
    except (UserError, OSError):
        return False
    return not root.resolve().is_relative_to(paths.resources().resolve())


def locate_folder(root: Path, name: str, other: Path) -> FurtherFolder:
    """Tells where a further folder is now: it was moved, or its drive has another letter.

    Raises:
        UserError: see `add_folder`, or there is none of this name.
        WorkError: the document cannot be written.
    """
    kept = _kept(root)
    former = _named(kept, name)
    target = _checked(root, other, tuple(one for one in kept if one is not former))
    now = FurtherFolder(name=former.name, folder=str(target))
    _write(root, tuple(now if one is former else one for one in kept))
    return now


def remove_folder(root: Path, name: str) -> FurtherFolder:
    """Takes a further folder out of a collection; nothing in it is changed, and it can be added again under its name.

    Raises:
        UserError: there is none of this name.
        WorkError: the document cannot be written.
    """
    kept = _kept(root)
    former = _named(kept, name)
    _write(root, tuple(one for one in kept if one is not former))
    return former


def put_back(root: Path, former: FurtherFolder) -> None:
    """Undoes `remove_folder`, even where the folder is not there now.

    Raises:
        UserError: another one has its name by now.
        WorkError: the document cannot be written.
    """
    kept = _kept(root)
    if any(folded(one.name) == folded(former.name) for one in kept):
        raise UserError(_("There is another folder called “{name}” by now.").format(name=former.name))
    _write(root, (*kept, former))


def further_folders_of(root: Path) -> tuple[FurtherFolder, ...]:
    """The further folders of a collection.

    Raises:
        UserError: there is no such collection, or its document cannot be read.
    """
    return _kept(root)


def _kept(root: Path) -> tuple[FurtherFolder, ...]:
    """The further folders as the document has them.

    Raises:
        UserError: there is no such collection, or its document cannot be read: it is not overwritten then.
    """
    if not root.is_dir():
        raise UserError(
            _("There is no folder “{folder}”.").format(folder=shown(root)), _("Check the path."), "folder"
        )
    try:
        return _document(root).folders
    except FileNotFoundError:
        return ()
    except DamagedFile as error:
        raise UserError(str(error), damaged_hint(), "folder") from error
    except OSError as error:
        raise UserError(
            _("“{file}” cannot be read ({error}).").format(
                file=shown(root / FILE), error=error.strerror or error
            ),
            _("Change its permissions; nothing was changed."),
            "folder",
        ) from error


def damaged_hint() -> str:
    """What to do about a document that cannot be understood."""
    return _("Mend it in a text editor, or delete it and add the folders again under their names.")


def _named(kept: tuple[FurtherFolder, ...], name: str) -> FurtherFolder:
    for one in kept:
        if folded(one.name) == folded(name):
            return one
    names = ", ".join(shown(one.name) for one in kept)
    raise UserError(
        _("The collection has no further folder “{name}”.").format(name=shown(name)),
        _("It has these: {names}").format(names=names) if kept else _("It has none."),
        "name",
    )


def _checked(root: Path, other: Path, kept: tuple[FurtherFolder, ...]) -> Path:
    """The folder's absolute path, once it is known to lie apart from all others of the collection."""
    other = Path(os.path.abspath(other.expanduser()))
    if not other.is_dir():
        raise UserError(
            _("There is no folder “{folder}”.").format(folder=shown(other)), _("Check the path."), "folder"
        )
    real = other.resolve()
    own = root.resolve()
    if real == own or own in real.parents:
        raise UserError(
            _("“{folder}” lies in the collection's own folder already.").format(folder=shown(other)),
            _("Its drawings are read without being added."),
            "folder",
        )
    if real in own.parents:
        raise UserError(
            _("The collection's own folder lies in “{folder}”.").format(folder=shown(other)),
            _("Open “{folder}” itself as the collection, or add a folder beside it.").format(
                folder=shown(other)
            ),
            "folder",
        )
    for one in (one for one in kept if one.path.is_absolute()):
        there = one.path.resolve()
        if real == there or there in real.parents:
            raise UserError(
                _("“{folder}” is in the collection already, as “{name}” or in it.").format(
                    folder=shown(other), name=shown(one.name)
                ),
                _("Its drawings are read without being added."),
                "folder",
            )
        if real in there.parents:
            raise UserError(
                _("“{folder}” holds “{name}”, which is in the collection already.").format(
                    folder=shown(other), name=shown(one.name)
                ),
                _("Take “{name}” out first, then add this one.").format(name=shown(one.name)),
                "folder",
            )
    return other


def _names_in(root: Path) -> set[str]:
    try:
        return {folded(name) for name in os.listdir(root)}
    except OSError:
        return set()


def _free_name(target: Path, taken: set[str]) -> str:
    """The folder's own name, as far as it can be one, with a number where it is taken."""
    plain = nfc(os.fsencode(target.name).decode("utf-8", "ignore"))
    kept = "".join(letter for letter in plain if letter.isprintable() and letter not in '/\\:*?"<>|')
    base = kept.strip().lstrip(".").strip()[: _LONGEST - 5].strip() or _("folder")
    name, number = base, 1
    while folded(name) in taken:
        number += 1
        name = f"{base} {number}"
    return name


def _write(root: Path, folders: tuple[FurtherFolder, ...]) -> None:
    try:
        write_document(root / FILE, FurtherFolders(folders=folders), hint=_hint())
    finally:
        _known.clear()  # a collection may be known by several spellings of its path


def _hint() -> str:
    return _("Free some space or change the folder's permissions; nothing was changed.")
