"""THIRD_PARTY_NOTICES.txt: who made what is in the installer, and the licence texts that must travel with it."""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from installer.licences import REPLACEABLE, Component
from installer.project import NAME, PACKAGING, RESOURCES, BuildError, version

NAME_OF_FILE = "THIRD_PARTY_NOTICES.txt"
_TEXTS = PACKAGING / "licences"
_WORDS = ("LICEN", "COPYING", "COPYRIGHT", "NOTICE", "AUTHORS")
_RULE = "=" * 100

#: Licences by file for what brings no text of its own.
_STANDARD = {
    "Apache-2.0": PACKAGING.parent / "LICENSE",
    "LGPL-3.0-only": _TEXTS / "LGPL-3.0.txt",
    "GPL-3.0-or-later": _TEXTS / "GPL-3.0.txt",
}

#: Texts of what is built into a distribution that does not bring them itself.
_BUILT_IN = {"resvg-py": ("resvg.txt",)}

_QT = """\
Qt {qt} and Qt for Python {qt} (PySide6, Shiboken) are used under the GNU Lesser General Public License, version 3.
Copyright The Qt Company Ltd. and contributors. Nothing of them was changed. Their libraries lie as separate files in the
folder `program/PySide6` and may be replaced by modified versions with the same interface; put yours in their place. The
complete source of exactly this version is published by The Qt Company, in its archive of releases under
official_releases/qt/{series}/{qt} and official_releases/QtForPython/pyside6/PySide6-{qt}-src, and by the makers of this
installer on request, for three years from its date.
"""

_REPLACEABLE = """\
These libraries are used unchanged under the GNU Lesser General Public License. Each lies in a file of its own in the
folder `program` and may be replaced by a modified version: {names}. Their sources are those of the Debian packages of
the versions named above, in Debian's archive and its snapshots, and come from the makers of this installer on request.
"""


_HEIF = """\
libheif {heif} and libde265 {decoder}, which pi-heif brings to decode HEIC, are used unchanged under the GNU Lesser General Public
License, version 3. Copyright struktur AG, Dirk Farin and contributors. Each lies in a file of its own in the folder `program` and
may be replaced by a modified version. The complete sources of exactly these versions are published by their makers, as releases
v{heif} of strukturag/libheif and v{decoder} of strukturag/libde265 on GitHub, and come from the makers of this installer on request,
for three years from its date.
"""


def write(components: Iterable[Component], out: Path) -> Path:
    """Writes the notices of these components.

    Raises:
        BuildError: a component has no licence text, here or of its own.
    """
    parts = list(components)
    texts: dict[str, tuple[int, str]] = {}
    lines = [f"{NAME} {version()}: the work of others in it", _RULE, "", *_introduction(), ""]
    for part in parts:
        numbers = sorted({_number(text, texts) for text in _texts_of(part)})
        if not numbers:
            raise BuildError(
                f"{part.name} {part.version} brings no licence text; add one to packaging/licences"
            )
        lines.append(f"{part.name} {part.version}")
        lines.append(f"    licence: {part.licence}")
        lines.append(f"    texts: {', '.join(f'[{n}]' for n in numbers)}")
    lines += ["", _RULE, "Qt", "", *_qt(parts).splitlines()]
    free = [p.name for p in parts if p.kind == "system" and p.licence in REPLACEABLE]
    if free:
        lines += [
            "",
            _RULE,
            "LGPL libraries of the system",
            "",
            *_REPLACEABLE.format(names=", ".join(free)).splitlines(),
        ]
    if any(_plain(part) == "pi-heif" for part in parts):
        lines += ["", _RULE, "libheif and libde265", "", *_heif().splitlines()]
    lines += ["", _RULE, "Drawings, captions, typefaces and the starter model", "", *_resources(texts)]
    for number, text in sorted(texts.values()):
        lines += ["", _RULE, f"[{number}]", "", *text.splitlines()]
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text("\n".join(line.rstrip() for line in lines) + "\n", encoding="utf-8", newline="\n")
    return out


def _introduction() -> Iterator[str]:
    yield f"{NAME} itself is under the Apache License 2.0 (the file LICENSE beside this one). It is made with and carries the"
    yield "works below, each under its own licence; the numbers in brackets point to the texts at the end."


def _number(text: str, texts: dict[str, tuple[int, str]]) -> int:
    """The number of a text; one that is there already is not printed twice."""
    key = hashlib.sha256(" ".join(text.split()).encode()).hexdigest()
    return texts.setdefault(key, (len(texts) + 1, text))[0]


def _texts_of(part: Component) -> Iterator[str]:
    if part.kind == "python":
        yield _python_licence()
    elif part.kind == "builder":
        yield from _of_distribution(distribution("pyinstaller"))
    elif part.kind == "system":
        yield Path(f"/usr/share/doc/{part.name}/copyright").read_text(encoding="utf-8", errors="replace")
        if "LGPL" in part.licence:
            yield (_TEXTS / "LGPL-2.1.txt").read_text(encoding="utf-8")
        if part.licence.startswith("GPL-3"):
            yield _STANDARD["GPL-3.0-or-later"].read_text(encoding="utf-8")
    else:
        own = list(_of_distribution(distribution(part.name)))
        yield from own
        yield from ((_TEXTS / name).read_text(encoding="utf-8") for name in _BUILT_IN.get(_plain(part), ()))
        if "LGPL-3.0" in part.licence:
            yield _STANDARD["LGPL-3.0-only"].read_text(encoding="utf-8")
            yield _STANDARD["GPL-3.0-or-later"].read_text(encoding="utf-8")
        elif not own and part.licence in _STANDARD:
            yield _STANDARD[part.licence].read_text(encoding="utf-8")


def _of_distribution(found: Distribution) -> Iterator[str]:
    for file in found.files or ():
        name, inside = file.name.upper(), next((p for p in file.parts if p.endswith(".dist-info")), "")
        # Below `licenses` every file is one, whatever it is called.
        if (
            inside
            and not name.endswith(".PY")
            and (any(word in name for word in _WORDS) or f"{inside}/licenses/" in file.as_posix())
        ):
            path = Path(str(found.locate_file(file)))
            if path.is_file():
                yield path.read_text(encoding="utf-8", errors="replace")


def _python_licence() -> str:
    import sysconfig

    candidates = [
        Path(sysconfig.get_path("stdlib")) / "LICENSE.txt",
        Path(sys.base_prefix) / "LICENSE.txt",
        Path("/usr/share/doc/python3/copyright"),
    ]
    for file in candidates:
        if file.is_file():
            return file.read_text(encoding="utf-8", errors="replace")
    raise BuildError(f"Python's licence text is in none of: {', '.join(map(str, candidates))}")


def _plain(part: Component) -> str:
    return part.name.lower().replace("_", "-")


def _heif() -> str:
    """The libraries tell their versions themselves; what their wheel says of them is older than they are."""
    import pi_heif

    decoder = re.search(r"version ([\d.]+)", pi_heif.libheif_info()["decoders"]["libde265"])
    return _HEIF.format(heif=pi_heif.libheif_version(), decoder=decoder[1] if decoder else "")


def _qt(parts: list[Component]) -> str:
    try:
        qt = next(p.version for p in parts if p.name.lower().replace("_", "-") == "pyside6-essentials")
    except StopIteration:
        raise BuildError(
            "the program holds no Qt: PySide6-Essentials owns none of its files"
        ) from PackageNotFoundError()
    return _QT.format(qt=qt, series=".".join(qt.split(".")[:2]))


def _resources(texts: dict[str, tuple[int, str]]) -> Iterator[str]:
    """Each licence or credits file below resources/, with where it lies in the program's folder."""
    found = sorted(
        file
        for file in RESOURCES.rglob("*")
        if file.is_file() and any(word in file.name.upper() for word in ("LICEN", "CREDITS", "NOTICE"))
    )
    if not found:
        raise BuildError("resources/ holds no licence texts")
    for file in found:
        number = _number(file.read_text(encoding="utf-8"), texts)
        yield f"resources/{file.relative_to(RESOURCES).as_posix()}: [{number}]"
