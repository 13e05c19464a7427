"""Whose each file of a frozen program is: the program's own, Python's, a distribution's or the system's."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib.metadata import Distribution, distributions
from pathlib import Path

from installer.project import ROOT, BuildError

Owner = tuple[str, str]  # kind ("own", "python", "distribution", "system", "builder"), name


@dataclass
class Contents:
    """What the freeze put where. `files`: (name in the program's folder, source); `modules`: (name, source)."""

    files: list[tuple[str, str]]
    modules: list[tuple[str, str]]
    owned: dict[Owner, list[str]] = field(default_factory=dict)

    @classmethod
    def read(cls, file: Path) -> Contents:
        """Reads what `clip-atelier.spec` wrote and finds every file's owner.

        Raises:
            BuildError: a file belongs to nobody known, so nobody could say under which licence it is.
        """
        plain = json.loads(file.read_text(encoding="utf-8"))
        contents = cls([tuple(f) for f in plain["files"]], [tuple(m) for m in plain["modules"]])
        contents.owned = owned([*contents.files, *contents.modules], file.parent)
        return contents


def by_distribution() -> dict[str, Distribution]:
    """Real path of every installed file -> the distribution that brought it."""
    found: dict[str, Distribution] = {}
    for distribution in distributions():
        for file in distribution.files or ():
            found[os.path.realpath(distribution.locate_file(file))] = distribution
    return found


def owned(entries: Iterable[tuple[str, str]], work: Path) -> dict[Owner, list[str]]:
    """Owner -> the names it answers for.

    Raises:
        BuildError: names entries without an owner.
    """
    installed = by_distribution()
    prefixes = [
        os.path.realpath(p) for p in {sysconfig.get_path("stdlib"), sys.base_prefix, sys.base_exec_prefix}
    ]
    result: dict[Owner, list[str]] = {}
    system: dict[str, list[str]] = {}
    lost: list[str] = []
    for name, source in entries:
        real = os.path.realpath(source) if source not in ("", "-") else ""
        owner: Owner | None = None
        if real in installed:
            owner = ("distribution", installed[real].name)
        elif not real or Path(real).is_relative_to(work) or name == "base_library.zip":
            owner = ("builder", "PyInstaller") if real and name.startswith("pyi") else ("python", "Python")
        elif Path(real).is_relative_to(ROOT) and "site-packages" not in real:
            owner = ("own", "CLIP Atelier")
        elif (
            any(Path(real).is_relative_to(prefix) for prefix in prefixes)
            and "site-packages" not in real
            and not _is_shared(real)
        ):
            owner = ("python", "Python")
        elif "site-packages" in real:
            owner = _by_folder(real, installed)
        elif _is_shared(real) and sys.platform == "linux":
            system.setdefault(real, []).append(name)
            continue
        if owner is None:
            lost.append(f"{name} (from {source})")
        else:
            result.setdefault(owner, []).append(name)
    for real, names in system.items():
        package = _debian_package(real)
        if package is None:
            lost += [f"{name} (from {real})" for name in names]
        else:
            result.setdefault(("system", package), []).extend(names)
    if lost:
        raise BuildError(
            "nobody known owns these files, so their licence is unknown:\n  " + "\n  ".join(sorted(lost)[:40])
        )
    return result


def _is_shared(real: str) -> bool:
    return re.match(r"/(usr/)?lib/", real) is not None and ".so" in Path(real).name


def _by_folder(real: str, installed: dict[str, Distribution]) -> Owner | None:
    """A file a hook generated beside a distribution's own, such as a compiled cache."""
    here = os.path.dirname(real)
    found = {d.name for path, d in installed.items() if os.path.dirname(path) == here}
    return ("distribution", found.pop()) if len(found) == 1 else None


def _debian_package(real: str) -> str | None:
    # Debian merged /lib into /usr/lib, and packages still list either.
    for path in (real, real.removeprefix("/usr"), "/usr" + real):
        answer = subprocess.run(["dpkg", "-S", path], capture_output=True, text=True, check=False)
        if answer.returncode == 0:
            return answer.stdout.split(":")[0]
    return None
