"""The edition for NVIDIA cards: an archive in slices that fit release pages, with a checker that needs nothing installed.

CUDA's libraries make the archive larger than one file may be. Beside the slices lies a list of them and a script for
the target's own shell; it names each slice that is missing or damaged before anything is unpacked.
"""

from __future__ import annotations

import hashlib
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from installer import tree
from installer.project import COMMAND, LARGEST_FILE, PACKAGING, RESOURCES, epoch, platform_name, version

#: Below 2 GiB with room for what pages and file systems add.
SLICE = LARGEST_FILE - (64 << 20)
_CHUNK = 1 << 20
_LINUX = PACKAGING / "linux"


class Slices:
    """A file to write to that begins a new numbered file whenever one is full, and knows the hash of each."""

    def __init__(self, stem: Path, limit: int = SLICE) -> None:
        self._stem, self._limit = stem, limit
        self._out: BinaryIO | None = None
        self._room = 0
        self._digest = hashlib.sha256()
        self.made: list[tuple[Path, int, str]] = []

    def write(self, data: bytes) -> int:
        """Takes bytes; returns how many, which is all."""
        rest = memoryview(data)
        while rest:
            if self._room == 0:
                self._next()
            assert self._out is not None
            part = rest[: self._room]
            self._out.write(part)
            self._digest.update(part)
            self._room -= len(part)
            rest = rest[len(part) :]
        return len(data)

    def _next(self) -> None:
        self.close()
        path = self._stem.with_name(f"{self._stem.name}.{len(self.made) + 1:03}")
        self._out, self._room, self._digest = path.open("wb"), self._limit, hashlib.sha256()

    def close(self) -> None:
        """Ends the last slice."""
        if self._out is not None:
            path = Path(self._out.name)
            self._out.close()
            self._out = None
            self._room = 0
            self.made.append((path, path.stat().st_size, self._digest.hexdigest()))


def build(program: Path, out: Path, limit: int = SLICE, platform: str | None = None) -> list[Path]:
    """Writes the slices of a frozen program's folder, their list and the script that checks, joins and installs."""
    system = platform or platform_name()
    out.mkdir(parents=True, exist_ok=True)
    name = f"{COMMAND}-{version()}-{system}-cuda"
    for old in out.glob(f"{name}.tar.gz.*"):
        old.unlink()
    slices = Slices(out / f"{name}.tar.gz", limit)
    # As a stream: the archive never lies anywhere in one piece.
    with tarfile.open(fileobj=slices, mode="w|gz", format=tarfile.GNU_FORMAT) as archive:  # type: ignore[call-overload]
        for path, place in _members(program, system):
            archive.add(path, place, recursive=False, filter=_plain)
    slices.close()
    listing = out / f"{name}.slices"
    rows = [f"{digest}  {size}  {path.name}" for path, size, digest in slices.made]
    listing.write_text("\n".join(rows) + "\n", encoding="ascii", newline="\n")
    script = out / f"{name}-setup.{'ps1' if system == 'windows' else 'sh'}"
    template = PACKAGING / "cuda" / ("setup.ps1" if system == "windows" else "setup.sh")
    # PowerShell 5 reads a script without a byte order mark in the machine's old encoding.
    encoding = "utf-8-sig" if system == "windows" else "utf-8"
    script.write_text(
        template.read_text(encoding="utf-8").replace("@NAME@", name), encoding=encoding, newline="\n"
    )
    shutil.copymode(PACKAGING / "build.py", script)
    return [*(path for path, _size, _digest in slices.made), listing, script]


def _members(program: Path, system: str) -> Iterator[tuple[Path, str]]:
    for file in tree.files(program):
        yield file, f"{COMMAND}/{file.relative_to(program).as_posix()}"
    if system == "linux":
        for name in ("setup.sh", "uninstall.part", "refresh.sh"):
            yield _LINUX / name, name
        for desktop in (_LINUX / "clip-atelier.desktop", _LINUX / "clip-atelier.xml",
                        RESOURCES / "icons" / "clip-atelier.svg", RESOURCES / "icons" / "clip-atelier.png"):  # fmt: skip
            yield desktop, f"desktop/{desktop.name}"


def _plain(info: tarfile.TarInfo) -> tarfile.TarInfo:
    """Without the builder's name, and with the sources' date."""
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    info.mtime = epoch()
    return info
