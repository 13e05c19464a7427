"""Packs: one file that carries a model or a run to a machine without a network.

A pack is a zip with the files stored as they are, and `pack.json`: the format's name and version, the name of what it
carries, and each file's length and SHA-256. Nothing of a pack is believed before it is checked: every file must be named
in the manifest, be no longer than it says, lie where it may, be of a kind that belongs there, and have its hash; nothing
is unpickled and no code is taken along.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import re
import shutil
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from clip_atelier.engine.core import UserError, WorkError, _, bounded_json, must_be_free, replacing
from clip_atelier.engine.storage.hashes import digest_of

VERSION: Final = 1
MANIFEST: Final = "pack.json"

_LARGEST_MANIFEST = 1 << 20
_MOST_FILES = 1000
_NAME = re.compile('[^/\\\\\x00-\x1f:*?"<>|\ud800-\udfff]{1,100}')
_DEVICE = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # means a device on Windows
_CHUNK = 1 << 20
_BROKEN = (
    zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, OverflowError, struct.error,
)  # fmt: skip
"""What zipfile and zlib raise on damage; RuntimeError is an encrypted member."""
_MOST_EXPANSION = 100
"""Our packs store files as they are; one that unpacks to more than so many times its size is none of ours."""


@dataclass(frozen=True)
class Kind:
    """A kind of pack.

    Attributes:
        format: As the manifest names it.
        suffix: Of the pack's own name.
        kinds: Suffixes of the files it may hold.
        depth: How many folders deep they may lie.
        about: What else the manifest must say, as texts.
    """

    format: str
    suffix: str
    kinds: tuple[str, ...]
    depth: int = 0
    about: tuple[str, ...] = ()


@dataclass(frozen=True)
class PackMember:
    """One file of a pack."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Pack:
    """What a pack says it holds."""

    path: Path
    name: str
    about: Mapping[str, str]
    entries: tuple[PackMember, ...]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(entry.size for entry in self.entries)


def write(kind: Kind, name: str, about: Mapping[str, str], files: Mapping[str, Path], out: Path) -> Pack:
    """Makes a pack of files, named as they shall lie in it; the same files give the same bytes. Whole or not at all.

    Raises:
        UserError: `out` exists.
        WorkError: it cannot be written.
    """
    must_be_free(out)
    listed = {n: {"size": f.stat().st_size, "sha256": digest_of(f)} for n, f in sorted(files.items())}
    manifest = {"format": kind.format, "version": VERSION, "name": name, **about, "files": listed}
    # Weights do not compress; stored files can be copied out by any unzip, and the pack is made in one pass.
    with (
        replacing(out, _("Free some space, or choose another folder.")) as partial,
        zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as archive,
    ):
        archive.writestr(_member(MANIFEST), json.dumps(manifest, ensure_ascii=False, indent=1))
        for entry in listed:
            with (
                files[entry].open("rb") as source,
                archive.open(_member(entry), "w", force_zip64=True) as target,
            ):
                shutil.copyfileobj(source, target, _CHUNK)
    return read(kind, out)


def _member(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0))
    info.external_attr = 0o644 << 16
    return info


def read(kind: Kind, path: Path) -> Pack:
    """What a pack says it holds; its files are not checked yet.

    Raises:
        UserError: it is not a pack of this kind, is of a newer version, or its manifest does not fit what is in it.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return _read(kind, path, archive)
    except FileNotFoundError as error:
        raise UserError(_("“{path}” does not exist.").format(path=path)) from error
    except _BROKEN as error:
        raise damaged(path, str(error)) from error
    except OSError as error:
        if error.errno != errno.EINVAL:  # an offset before the file's beginning
            raise
        raise damaged(path, str(error)) from error


def _read(kind: Kind, path: Path, archive: zipfile.ZipFile) -> Pack:
    members = {info.filename: info for info in archive.infolist()}
    if MANIFEST not in members or members[MANIFEST].file_size > _LARGEST_MANIFEST:
        raise _foreign(path)
    try:
        manifest: Any = bounded_json(archive.read(MANIFEST))
    except ValueError as error:
        raise damaged(path, MANIFEST) from error
    if not isinstance(manifest, dict) or manifest.get("format") != kind.format:
        raise _foreign(path)
    if manifest.get("version") != VERSION:
        raise UserError(
            _("“{path}” was made by a newer version of CLIP Atelier.").format(path=path),
            _("Install the newer version, or make the pack again with this one."),
        )
    entries = tuple(_entries(kind, path, manifest.get("files")))
    name, about = manifest.get("name"), {key: manifest.get(key) for key in kind.about}
    if not isinstance(name, str) or not is_plain(name) or not all(isinstance(v, str) for v in about.values()):
        raise damaged(path, MANIFEST)
    pack = Pack(path, name, {key: str(value) for key, value in about.items()}, entries)
    _must_match(pack, members, len(archive.infolist()))
    return pack


def _entries(kind: Kind, path: Path, files: Any) -> Iterator[PackMember]:
    if not isinstance(files, dict) or not files or len(files) > _MOST_FILES:
        raise damaged(path, MANIFEST)
    for name, what in files.items():
        if not _may_lie(kind, name):
            raise UserError(
                _("“{path}” holds “{name}”, which has no place in such a pack.").format(path=path, name=name),
                _("Get the pack again from someone you trust."),
            )
        size, digest = (what.get("size"), what.get("sha256")) if isinstance(what, dict) else (None, None)
        if type(size) is not int or size < 0 or not isinstance(digest, str) or len(digest) != 64:
            raise damaged(path, MANIFEST)
        yield PackMember(name, size, digest)
    if len({unicodedata.normalize("NFC", name).casefold() for name in files}) < len(files):
        raise UserError(
            _("“{path}” holds files whose names differ in case only.").format(path=path),
            _("Get the pack again from someone you trust."),
        )


def _may_lie(kind: Kind, name: str) -> bool:
    parts = name.split("/")
    return len(parts) <= kind.depth + 1 and all(map(is_plain, parts)) and parts[-1].endswith(kind.kinds)


def is_plain(name: str) -> bool:
    """A name that stays in its folder on every system, and can be written on each."""
    return (
        _NAME.fullmatch(name) is not None
        and not name.startswith(".")
        and name == name.strip(" .")
        and _DEVICE.fullmatch(name) is None
    )


def _must_match(pack: Pack, members: Mapping[str, zipfile.ZipInfo], count: int) -> None:
    listed = {entry.name: entry for entry in pack.entries}
    unknown = sorted(set(members) - set(listed) - {MANIFEST})
    if unknown or count != len(members):
        raise UserError(
            _("“{path}” holds “{name}”, which has no place in such a pack.").format(
                path=pack.path, name=unknown[0] if unknown else MANIFEST
            ),
            _("Get the pack again from someone you trust."),
        )
    for entry in pack.entries:
        member = members.get(entry.name)
        if member is None or member.file_size != entry.size:
            raise damaged(pack.path, entry.name)
        if member.file_size > _MOST_EXPANSION * max(member.compress_size, 1024):
            raise UserError(
                _("“{path}” unpacks “{name}” to many times its size.").format(
                    path=pack.path, name=entry.name
                ),
                _("Get the pack again from someone you trust."),
            )


def extract(pack: Pack, folder: Path) -> None:
    """Writes a pack's files into an empty folder, each checked against its hash while it is copied.

    Raises:
        UserError: a file is damaged; it is named.
        WorkError: there is no room for it.
    """
    free = shutil.disk_usage(folder).free
    if pack.size > free:
        raise WorkError(
            _("“{path}” needs {need:.1f} GB, and only {free:.1f} GB are free in {folder}.").format(
                path=pack.path, need=pack.size / 2**30, free=free / 2**30, folder=folder
            ),
            _("Free some space, or choose another home folder."),
        )
    with zipfile.ZipFile(pack.path) as archive:
        for entry in pack.entries:
            target = folder.joinpath(*entry.name.split("/"))
            target.parent.mkdir(parents=True, exist_ok=True)
            _extract_one(pack, archive, entry, target)


def check(pack: Pack) -> None:
    """Reads every file of a pack and compares it with its hash; nothing is written.

    Raises:
        UserError: a file is damaged; it is named.
    """
    with zipfile.ZipFile(pack.path) as archive:
        for entry in pack.entries:
            with _of_a_whole_pack(pack, entry), archive.open(entry.name) as source:
                for _chunk in _checked(pack, entry, source):
                    pass


def _extract_one(pack: Pack, archive: zipfile.ZipFile, entry: PackMember, target: Path) -> None:
    with (
        _of_a_whole_pack(pack, entry),
        archive.open(entry.name) as source,
        target.open("xb") as copy,
    ):
        for chunk in _checked(pack, entry, source):
            copy.write(chunk)


@contextlib.contextmanager
def _of_a_whole_pack(pack: Pack, entry: PackMember) -> Iterator[None]:
    """Turns zlib's and zipfile's own errors into ours."""
    try:
        yield
    except _BROKEN as error:
        raise damaged(pack.path, entry.name) from error
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        raise damaged(pack.path, entry.name) from error


def _checked(pack: Pack, entry: PackMember, source: IO[bytes]) -> Iterator[bytes]:
    """The chunks of a file; after the last one its length and hash are compared."""
    digest, left = hashlib.sha256(), entry.size
    while chunk := source.read(min(_CHUNK, left + 1)):
        left -= len(chunk)
        if left < 0:
            break
        digest.update(chunk)
        yield chunk
    if left or digest.hexdigest() != entry.sha256:
        raise damaged(pack.path, entry.name)


def _foreign(path: Path) -> UserError:
    return UserError(
        _("“{path}” is not a pack of CLIP Atelier of the kind that belongs here.").format(path=path),
        _(
            "Packs of models are made with packaging/make_model_pack.py, packs of trainings with “clip-atelier runs pack”."
        ),
    )


def damaged(path: Path, what: str) -> UserError:
    """The refusal of a pack that is not whole, naming the part."""
    return UserError(
        _("The pack “{path}” is damaged: {what}.").format(path=path, what=what),
        _("Copy it again from where it came from."),
    )
