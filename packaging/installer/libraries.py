"""Shared libraries of the Linux system a build runs on."""

from __future__ import annotations

import functools
import re
import subprocess

from installer.project import BuildError


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
