"""Shared libraries of the Linux system a build runs on."""

from __future__ import annotations

import functools
import posixpath
import re
import subprocess
from collections.abc import Iterable, Sequence

from installer.project import BuildError

Entry = tuple[str, str, str]  # PyInstaller's: name in the program's folder, source, kind


@functools.cache
def _known() -> dict[str, str]:
    """Name -> path of every library the system's loader knows, for this kind of processor."""
    answer = subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True, check=True).stdout
    found: dict[str, str] = {}
    for line in answer.splitlines():
        entry = re.fullmatch(r"\s*(\S+) \(libc6,(?:x86-64|AArch64)[^)]*\) => (\S+)", line)
        if entry:
            found.setdefault(entry.group(1), entry.group(2))
    return found


def system_library(name: str) -> str:
    """The path of a library of the system.

    Raises:
        BuildError: it is not installed.
    """
    path = _known().get(name)
    if path is None:
        raise BuildError(
            f"{name} is not installed here; packaging/README.md lists the packages a build needs"
        )
    return path


def asked_for(path: str) -> list[str]:
    """The names of the libraries that one file asks the loader for (its DT_NEEDED entries)."""
    answer = subprocess.run(["objdump", "-p", path], capture_output=True, text=True, check=False).stdout
    return re.findall(r"^\s+NEEDED\s+(\S+)", answer, re.MULTILINE)


def needed(entries: Sequence[Entry]) -> list[Entry]:
    """The entries without those libraries of the system that nothing kept asks for.

    PyInstaller follows every plugin it finds; when a plugin is dropped, what it brought along stays behind.
    """
    system = {name: source for name, source, kind in entries if kind == "BINARY" and _is_system(source)}
    wanted: set[str] = set()
    open_ends = [source for name, source, kind in entries if kind != "SYMLINK" and name not in system]
    while open_ends:
        for name in asked_for(open_ends.pop()):
            if name in system and name not in wanted:
                wanted.add(name)
                open_ends.append(system[name])
    return [entry for entry in entries if entry[0] not in system or entry[0] in wanted]


def _is_system(source: str) -> bool:
    return re.match(r"/(usr/)?lib/", source) is not None


def without_dangling(entries: Iterable[Entry], all_entries: Iterable[Entry]) -> list[Entry]:
    """The entries without links to what was dropped."""
    there = {name for name, _source, _kind in all_entries}
    return [
        (name, source, kind)
        for name, source, kind in entries
        if kind != "SYMLINK" or posixpath.normpath(posixpath.join(posixpath.dirname(name), source)) in there
    ]
