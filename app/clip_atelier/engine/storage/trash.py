"""Deleting that can be undone: what is deleted lies in HOME/trash for a month, and goes back by one rename.

HOME/trash/NUMBER/ holds about.json and the thing itself, "content". It is put together as .NUMBER.partial, about.json
first, and then named: whenever a kill comes, the thing is in its own place or in the trash, never in neither and never half.
"""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import filelock
from pydantic import Field

from clip_atelier.engine.core import (
    DamagedFile,
    Record,
    Text,
    UserError,
    WorkError,
    _,
    cannot_write,
    read_document,
    shown,
    write_document,
)
from clip_atelier.engine.storage.moving import DAY, is_left, move, parts_of, remove, size_of

DAYS: Final = 30
"""So long a thing stays."""
MOST_BYTES: Final = 20 << 30
"""Beyond it the oldest go earlier; the last one stays whatever its size."""
_ABOUT, _CONTENT = "about.json", "content"


class DeletedThing(Record):
    """What about.json says of a thing in the trash.

    Attributes:
        kind: "run", "model", "table", "captions", "collection" or "drawings".
        name: What people know it by.
        place: Where it was, below the home, with forward slashes; of files in another folder, that folder.
        deleted: When, in seconds since 1970.
        size: Bytes of all its files.
    """

    schema_version: int = Field(default=1, alias="schema")
    kind: Text
    name: Text
    place: Text
    deleted: float
    size: int = 0
    files: tuple[Text, ...] = ()
    """Files that lay in another folder than the home: their names there. "content" is then a folder of them."""


@dataclass(frozen=True)
class TrashEntry:
    """A thing in the trash. The number tells the order, whatever the clock does."""

    number: int
    folder: Path
    thing: DeletedThing

    @property
    def kind(self) -> str:
        """See `DeletedThing`."""
        return self.thing.kind

    @property
    def name(self) -> str:
        """See `DeletedThing`."""
        return self.thing.name

    @property
    def until(self) -> float:
        """When it goes for good at the latest, in seconds since 1970."""
        return self.thing.deleted + DAYS * DAY


class Trash:
    """The trash of a home."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.folder = home / "trash"

    def entries(self) -> list[TrashEntry]:
        """What is in it, the latest first. What cannot be understood is left out and stays where it is."""
        found = []
        for number, folder in self._numbered():
            with contextlib.suppress(OSError, DamagedFile):
                found.append(TrashEntry(number, folder, read_document(folder / _ABOUT, DeletedThing)))
        return sorted(found, key=lambda entry: entry.number, reverse=True)

    def put(self, kind: str, name: str, path: Path) -> TrashEntry:
        """Moves a file or folder of the home into the trash.

        Raises:
            UserError: it is not inside the home.
            WorkError: it cannot be moved; it is where it was.
        """
        place = self._place(path)
        thing = DeletedThing(kind=kind, name=name, place=place, deleted=time.time(), size=size_of(path))
        return self._put(thing, path, lambda content: move(path, content))

    def _put(self, thing: DeletedThing, path: Path, take: Callable[[Path], None]) -> TrashEntry:
        with self._held():
            number = max((number for number, _folder in self._numbered()), default=0) + 1
            partial = self.folder / f".{number:06d}.partial"
            final = self.folder / f"{number:06d}"
            try:
                partial.mkdir()
                write_document(partial / _ABOUT, thing)
                take(partial / _CONTENT)
                partial.rename(final)
            except OSError as error:
                with contextlib.suppress(OSError):
                    self._settle()
                raise cannot_write(path, error) from error
            self._expire(keep=number)
        return TrashEntry(number, final, thing)

    def put_files(self, kind: str, name: str, folder: Path, files: Sequence[Path]) -> TrashEntry:
        """Moves files that this program wrote into a folder of the user's into the trash, as one thing.

        Where a kill comes in between, some are in their own place and some in the trash, from where they can go back.

        Raises:
            UserError: there is none.
            WorkError: they cannot be moved.
        """
        if not files:
            raise UserError(
                _("None of the files of “{name}” is there any more.").format(name=name),
                _("Nothing was changed."),
            )
        size = sum(size_of(file) for file in files)
        names = tuple(file.name for file in files)
        thing = DeletedThing(
            kind=kind, name=name, place=str(folder.resolve()), deleted=time.time(), size=size, files=names
        )

        def take(content: Path) -> None:
            content.mkdir()
            for file in files:
                move(file, content / file.name)

        return self._put(thing, folder, take)

    def find(self, wanted: str) -> TrashEntry:
        """An entry by its number or by its name; of several of one name the latest.

        Raises:
            UserError: there is none.
        """
        for entry in self.entries():
            if wanted and wanted in (entry.name, str(entry.number)):
                return entry
        raise UserError(
            _("There is nothing named “{name}” in the trash.").format(name=wanted),
            _("“clip-atelier trash list” shows what there is."),
            "name",
        )

    def restore(self, entry: TrashEntry) -> Path:
        """Puts a thing back where it was.

        Raises:
            UserError: something else is there by now, or the thing is no longer in the trash.
            WorkError: it cannot be moved; it is in the trash still.
        """
        if entry.thing.files:
            return self._restore_files(entry)
        target = self.home.joinpath(*parts_of(entry.thing.place))
        with self._held():
            self._must_be_there(entry)
            if target.exists() or target.is_symlink():
                raise UserError(
                    _("There is a “{name}” again, so the deleted one cannot go back to its place.").format(
                        name=entry.name
                    ),
                    _("Delete or rename the other first: {path}").format(path=shown(target)),
                    "name",
                )
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                move(entry.folder / _CONTENT, target)
                remove(entry.folder)
            except OSError as error:
                raise cannot_write(target, error) from error
        return target

    def _restore_files(self, entry: TrashEntry) -> Path:
        """Puts files back into their folder; all of them, or none where one of their names is taken."""
        folder = Path(entry.thing.place)
        with self._held():
            self._must_be_there(entry)
            # Only names that a folder lists, never a path that about.json tells: somebody else may have written it.
            back = sorted((entry.folder / _CONTENT).iterdir())
            taken = next((file.name for file in back if (folder / file.name).exists()), "")
            if taken:
                raise UserError(
                    _("There is a “{name}” again, so the deleted one cannot go back to its place.").format(
                        name=taken
                    ),
                    _("Delete or rename the other first: {path}").format(path=shown(folder / taken)),
                    "name",
                )
            try:
                folder.mkdir(parents=True, exist_ok=True)
                for file in back:
                    move(file, folder / file.name)
                remove(entry.folder)
            except OSError as error:
                raise cannot_write(folder, error) from error
        return folder

    def empty(self, entries: Sequence[TrashEntry] | None = None) -> int:
        """Deletes entries, or all of them, for good; how many.

        Raises:
            WorkError: something cannot be removed.
        """
        gone = self.entries() if entries is None else entries
        with self._held():
            for entry in gone:
                self._must_be_there(entry)
                try:
                    remove(entry.folder)
                except OSError as error:
                    raise cannot_write(entry.folder, error, _("Close what uses it and try again.")) from error
        return len(gone)

    def tidy(self) -> None:
        """Takes out what has been there for long, and what a kill left of runs and models being added or removed.

        Raises:
            WorkError: the trash cannot be written.
        """
        for kept in ("runs", "models"):
            for path in (self.home / kept).glob(".*"):
                if path.suffix == ".gone" or (path.suffix == ".partial" and is_left(path)):
                    shutil.rmtree(path, ignore_errors=True)
        if self.folder.is_dir():
            with self._held():
                self._expire()

    # Keeping order

    def _must_be_there(self, entry: TrashEntry) -> None:
        """Numbers are used again; what was looked at a while ago may be gone."""
        with contextlib.suppress(OSError, DamagedFile):
            if read_document(entry.folder / _ABOUT, DeletedThing) == entry.thing:
                return
        raise UserError(
            _("There is nothing named “{name}” in the trash.").format(name=entry.name),
            _("“clip-atelier trash list” shows what there is."),
            "name",
        )

    @contextlib.contextmanager
    def _held(self) -> Iterator[None]:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with filelock.FileLock(self.folder / ".lock", timeout=60):
                self._settle()
                yield
        except filelock.Timeout as error:
            raise WorkError(
                _("Another window or command is using the trash."), _("Try again in a moment.")
            ) from error
        except OSError as error:
            raise cannot_write(self.folder, error) from error

    def _numbered(self) -> list[tuple[int, Path]]:
        if not self.folder.is_dir():
            return []
        return [(int(path.name), path) for path in self.folder.iterdir() if path.name.isdecimal()]

    def _settle(self) -> None:
        """What a kill left: a thing that had been moved gets its name, everything else of it is removed."""
        for path in self.folder.glob(".*"):
            if path.suffix == ".partial" and (path / _CONTENT).exists() and (path / _ABOUT).exists():
                path.rename(self.folder / path.stem.removeprefix("."))
            elif path.suffix in (".partial", ".gone"):
                shutil.rmtree(path, ignore_errors=True)
        for _number, path in self._numbered():
            content = path / _CONTENT
            if (path / _ABOUT).exists() and not content.exists() and not content.is_symlink():
                shutil.rmtree(path, ignore_errors=True)  # it went back; only its card is left

    def _expire(self, keep: int = 0) -> None:
        total = 0
        for place, entry in enumerate(self.entries()):
            total += entry.thing.size
            old = time.time() - entry.thing.deleted > DAYS * DAY
            if entry.number != keep and (old or (place and total > MOST_BYTES)):
                with contextlib.suppress(OSError):
                    remove(entry.folder)

    def _place(self, path: Path) -> str:
        # The parent alone is resolved: a link is moved, not what it leads to.
        inside = path.parent.resolve() / path.name
        home = self.home.resolve()
        if not inside.is_relative_to(home) or inside == home or inside.is_relative_to(home / "trash"):
            raise UserError(
                _("“{path}” is not inside the home folder {home}, so it is not deleted.").format(
                    path=shown(path), home=shown(self.home)
                ),
                _("Delete it yourself if that is what you want."),
            )
        return inside.relative_to(home).as_posix()
