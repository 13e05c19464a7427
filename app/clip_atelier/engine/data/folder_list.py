"""Changes the list of a collection's further folders: added, at another place now, taken out and put back.

Where none of several folders is to be the first one, their list lies in the home: a collection without drawings of its own,
for which nothing is written into any of them.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

from clip_atelier.engine.core import (
    DamagedFile,
    UserError,
    WorkError,
    _,
    cannot_write,
    no_folder,
    paths,
    read_document,
    shown,
    write_document,
)
from clip_atelier.engine.data import further_folders
from clip_atelier.engine.data.further_folders import (
    FILE,
    FurtherFolder,
    FurtherFolders,
    damaged_hint,
    name_fault,
)
from clip_atelier.engine.data.names import folded, nfc
from clip_atelier.engine.storage import Trash, TrashEntry, packs


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
    added = _as_further(root, other, name, kept)
    _write(root, (*kept, added))
    return added


def _as_further(root: Path, other: Path, name: str, kept: tuple[FurtherFolder, ...]) -> FurtherFolder:
    """A folder under a name of its own, once nothing speaks against it; see `add_folder`."""
    target = _checked(root, other, kept)
    if len(kept) >= further_folders.MOST:
        raise UserError(
            _("A collection has {most} further folders at most.").format(most=further_folders.MOST),
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
    return FurtherFolder(name=name, folder=str(target))


def collections_of(home: Path) -> Path:
    """Where a home keeps the collections that `new_collection` made."""
    return home / "collections"


def kept_collections(home: Path) -> list[Path]:
    """The collections of a home, by name; each is the folder to open it with."""
    try:
        return sorted(one for one in collections_of(home).iterdir() if (one / FILE).is_file())
    except OSError:
        return []


def delete_collection(home: Path, name: str) -> TrashEntry:
    """Puts the list of a collection of a home into the trash; its folders stay as they are.

    Raises:
        UserError: there is none of this name.
        WorkError: it cannot be moved.
    """
    for root in kept_collections(home):
        if folded(root.name) == folded(name):
            try:
                return Trash(home).put("collection", root.name, root)
            finally:
                further_folders.forget()
    names = ", ".join(shown(root.name) for root in kept_collections(home))
    raise UserError(
        _("There is no collection called “{name}”.").format(name=shown(name)),
        _("There are these: {names}").format(names=names)
        if names
        else _("None was made with `folders new`."),
        "name",
    )


def new_collection(home: Path, name: str, folders: Sequence[Path]) -> Path:
    """Makes a collection of folders that lie anywhere; nothing is written into them.

    Args:
        home: Keeps the list of its folders.
        name: What it is called.
        folders: Each is called by its own name in it, or by one like it.

    Returns:
        The folder to open it with.

    Raises:
        UserError: the name is taken or no name, or see `add_folder`; nothing was made.
        WorkError: the list cannot be written.
    """
    name = nfc(name.strip())
    if not packs.is_plain(name):
        raise UserError(
            _("A collection cannot be called “{name}”.").format(name=shown(name)),
            name_fault(name) or _("Choose another name."),
            "name",
        )
    if not folders:
        raise UserError(_("A collection needs a folder."), _("Name one, or several."), "folder")
    root = collections_of(home) / name
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise UserError(
            _("There is a collection called “{name}” already.").format(name=shown(name)),
            _("Choose another name, or open that one."),
            "name",
        )
    kept: tuple[FurtherFolder, ...] = ()
    for folder in folders:
        kept = (*kept, _as_further(root, folder, "", kept))
    made = not root.exists()
    try:
        root.mkdir(parents=True, exist_ok=True)
        _write(root, kept, hint="")
    except OSError as error:
        raise cannot_write(root, error) from error
    except WorkError:
        if made:
            with contextlib.suppress(OSError):
                root.rmdir()
        raise
    return root


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
        raise no_folder(root)
    try:
        return read_document(root / FILE, FurtherFolders).folders
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
        raise no_folder(other)
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
    base = kept.strip().lstrip(".").strip()[: further_folders.LONGEST - 5].strip() or _("folder")
    name, number = base, 1
    while folded(name) in taken:
        number += 1
        name = f"{base} {number}"
    return name


def _write(root: Path, folders: tuple[FurtherFolder, ...], hint: str | None = None) -> None:
    try:
        write_document(root / FILE, FurtherFolders(folders=folders), hint=_hint() if hint is None else hint)
    finally:
        further_folders.forget()  # a collection may be known by several spellings of its path


def _hint() -> str:
    return _(
        "Free some space or change the folder's permissions, or make a new collection of both folders; nothing was changed."
    )
