"""The licence gate: what may be shipped, under which licence, and what must never get in.

An installer hands other people's work on. The build stops on a library whose licence nobody wrote down here, on
anything under a licence that would bind the whole program, and on files that are known to bring such a library along.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.metadata import Distribution, distribution
from typing import Final

from installer.owners import Contents
from installer.project import BuildError

#: What is accepted without a further word.
ACCEPTED: Final = frozenset(
    {
        "0BSD", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "CC0-1.0",
        "CNRI-Python", "FTL", "HPND", "IJG", "ISC", "MIT", "MIT-CMU", "MPL-2.0", "PSF-2.0", "Unlicense", "X11", "Zlib",
        "libpng-2.0", "OFL-1.1", "Unicode-3.0", "blessing", "bzip2-1.0.6", "AFL-2.1",
    }
)  # fmt: skip

#: Accepted with a duty: the library lies in a file of its own that a user can replace, its text is shipped, and the
#: notices say where its source is.
REPLACEABLE: Final = frozenset(
    {"LGPL-2.1-or-later", "LGPL-3.0-only", "LGPL-2.0-or-later", "LGPL-3.0-or-later"}
)

#: Accepted because of the exception, which is part of the licence.
EXCEPTIONS: Final = frozenset(
    {"GPL-3.0-or-later WITH GCC-exception-3.1", "GPL-2.0-or-later WITH Bootloader-exception"}
)

#: Distributions that do not state an SPDX expression of their own, with what their licence files say.
STATED: Final = {
    "accelerate": "Apache-2.0", "colorama": "BSD-3-Clause", "huggingface-hub": "Apache-2.0", "Jinja2": "BSD-3-Clause",
    "markdown-it-py": "MIT", "mdurl": "MIT", "mpmath": "BSD-3-Clause", "peft": "Apache-2.0",
    "pyinstaller": "GPL-2.0-or-later WITH Bootloader-exception",
    "pyinstaller-hooks-contrib": "Apache-2.0",  # its run-time hooks; the rest stays on the build machine
    "safetensors": "Apache-2.0", "scipy": "BSD-3-Clause", "shellingham": "ISC", "sympy": "BSD-3-Clause",
    "tokenizers": "Apache-2.0", "transformers": "Apache-2.0", "altgraph": "MIT", "pywin32-ctypes": "BSD-3-Clause",
    "pefile": "MIT", "macholib": "MIT", "protobuf": "BSD-3-Clause",
    # libheif and libde265 are used under the LGPL; on Windows GCC's libraries and winpthreads come along.
    "pi-heif": "BSD-3-Clause AND LGPL-3.0-or-later AND GPL-3.0-or-later WITH GCC-exception-3.1 AND MIT",
    # resvg and the crates that it is built from; what its wheel does not bring is in licences/resvg.txt.
    "resvg-py": "MIT AND Apache-2.0 AND BSD-2-Clause AND BSD-3-Clause AND Zlib",
    "scikit-image": "BSD-3-Clause AND BSD-2-Clause AND MIT",
    # PDFium and what is built into it; each text lies among the package's own licence files.
    "pypdfium2": "BSD-3-Clause AND Apache-2.0 AND MIT AND FTL AND IJG AND libpng-2.0 AND Zlib AND Unicode-3.0",
    # Offered under the LGPL, the GPL or a commercial licence: used under the first.
    "PySide6-Essentials": "LGPL-3.0-only", "shiboken6": "LGPL-3.0-only",
}  # fmt: skip

#: Libraries of the build system (Debian's packages) that are carried along, and the licence each is used under.
SYSTEM: Final = {
    "libbrotli1": "MIT", "libbsd0": "BSD-3-Clause", "libbz2-1.0": "bzip2-1.0.6", "libcap2": "BSD-3-Clause",
    "libdbus-1-3": "AFL-2.1", "libegl1": "MIT", "libexpat1": "MIT", "libffi8": "MIT", "libfontconfig1": "HPND",
    "libfreetype6": "FTL", "libgcc-s1": "GPL-3.0-or-later WITH GCC-exception-3.1", "libgcrypt20": "LGPL-2.1-or-later",
    "libgl1": "MIT", "libglib2.0-0": "LGPL-2.1-or-later", "libglvnd0": "MIT", "libglx0": "MIT",
    "libgomp1": "GPL-3.0-or-later WITH GCC-exception-3.1", "libgpg-error0": "LGPL-2.1-or-later",
    "liblz4-1": "BSD-2-Clause", "liblzma5": "0BSD", "libmd0": "BSD-3-Clause", "libopengl0": "MIT",
    "libpcre2-8-0": "BSD-3-Clause", "libpng16-16": "libpng-2.0", "libsqlite3-0": "blessing", "libssl3": "Apache-2.0",
    "libstdc++6": "GPL-3.0-or-later WITH GCC-exception-3.1", "libsystemd0": "LGPL-2.1-or-later",
    "libuuid1": "BSD-3-Clause", "libx11-6": "X11", "libx11-xcb1": "X11", "libxau6": "X11", "libxcb-cursor0": "X11",
    "libxcb-glx0": "X11", "libxcb-icccm4": "X11", "libxcb-image0": "X11", "libxcb-keysyms1": "X11",
    "libxcb-randr0": "X11", "libxcb-render-util0": "X11", "libxcb-render0": "X11", "libxcb-shape0": "X11",
    "libxcb-shm0": "X11", "libxcb-sync1": "X11", "libxcb-util1": "X11", "libxcb-xfixes0": "X11", "libxcb-xkb1": "X11",
    "libxcb1": "X11", "libxdmcp6": "X11", "libxkbcommon-x11-0": "MIT", "libxkbcommon0": "MIT", "libzstd1": "BSD-3-Clause",
    "zlib1g": "Zlib",
}  # fmt: skip

#: Files that bring a licence we do not accept, or a library that is not ours to hand on, whatever owns them.
FORBIDDEN: Final = {
    r"libreadline|readline\..*\.so": "GNU Readline is under the GPL; the module `readline` must stay out",
    r"lib(x265|x264|kvazaar)|_?pillow_heif": "the encoders of HEIC are under the GPL; pi-heif, which only decodes, has none",
    r"qgtk3|libgtk|libgdk[-_]": "Qt's GTK theme drags the host's GTK in",
    r"libgdbm|_gdbm|libdb-\d": "the GNU and Berkeley databases are under the GPL and AGPL",
    r"libmysqlclient|qsqlmysql|libmariadb": "the MySQL client is under the GPL",
    r"libcu(da|dart|blas|dnn|fft|rand|solver|sparse)|libnv(idia|rtc|jitlink)|nvidia_": "CUDA belongs to its own edition only",
    r"qfluentwidgets": "PySide6-Fluent-Widgets is under the GPL",
    r"libgsl|libfftw3": "GPL numerics",
    r"libavcodec|libavformat": "FFmpeg is often built with GPL parts",
}


@dataclass(frozen=True)
class Component:
    """One thing in the installer that somebody else made."""

    name: str
    version: str
    licence: str
    kind: str
    files: int


def check(contents: Contents, edition: str = "cpu") -> list[Component]:
    """What is in the program, with the licence each part is used under.

    Raises:
        BuildError: names everything that must not be shipped, all at once.
    """
    faults = forbidden([name for name, _source in [*contents.files, *contents.modules]], edition)
    components: list[Component] = []
    for (kind, name), names in sorted(contents.owned.items()):
        if kind == "own":
            continue
        version, licence = stated(kind, name, edition)
        components.append(Component(name, version, licence, kind, len(names)))
        fault = objection(licence)
        if fault:
            faults.append(f"{name} ({kind}, for example {sorted(names)[0]}): {fault}")
    if faults:
        raise BuildError("the licence gate refuses:\n  " + "\n  ".join(faults))
    return components


def forbidden(names: list[str], edition: str = "cpu") -> list[str]:
    """A line for every file of a name that must not be there."""
    faults = []
    for pattern, why in FORBIDDEN.items():
        if edition == "cuda" and why.startswith("CUDA"):
            continue
        # The pattern begins a file's name: `torch/cuda/nvidia_...py` is torch's own code, in text.
        rule = re.compile(rf"(^|.*/)(lib)?({pattern})[^/]*\Z", re.IGNORECASE)
        faults += [
            f"{name}: {why}" for name in names if rule.match(name) and not name.endswith((".py", ".txt"))
        ]
    return faults


def stated(kind: str, name: str, edition: str = "cpu") -> tuple[str, str]:
    """Version and licence of a part; an empty licence where nobody wrote it down."""
    if kind == "python":
        import platform

        return platform.python_version(), "PSF-2.0"
    if kind == "builder":
        return distribution("pyinstaller").version, STATED["pyinstaller"]
    if kind == "system":
        return system_version(name), SYSTEM.get(name, "")
    found = distribution(name)
    if edition == "cuda" and name.startswith("nvidia-"):
        return found.version, "LicenseRef-NVIDIA-redistributable"
    return found.version, STATED.get(name) or STATED.get(name.replace("_", "-")) or declared(found)


def declared(found: Distribution) -> str:
    """The SPDX expression a distribution states, or what its trove classifiers say plainly."""
    expression = found.metadata.get("License-Expression") or ""
    if expression:
        return expression
    plain = {
        "MIT License": "MIT", "BSD License": "BSD-3-Clause", "Apache Software License": "Apache-2.0",
        "ISC License (ISCL)": "ISC", "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
        "Python Software Foundation License": "PSF-2.0",
    }  # fmt: skip
    classifiers = [c.rpartition("::")[2].strip() for c in found.metadata.get_all("Classifier") or ()]
    said = [plain[c] for c in classifiers if c in plain]
    text = (found.metadata.get("License") or "").strip()
    return said[0] if len(said) == 1 else "" if objection(text) else text


def objection(licence: str) -> str:
    """Why a licence is not accepted; empty where it is. Of alternatives (OR) one is enough, of parts (AND) all count."""
    if not licence:
        return "its licence is not written down in packaging/installer/licences.py"
    if licence.startswith("LicenseRef-NVIDIA"):
        return ""
    for part in re.split(r"\s+AND\s+", licence.replace("(", "").replace(")", "")):
        if not any(one.strip() in ACCEPTED | REPLACEABLE | EXCEPTIONS for one in re.split(r"\s+OR\s+", part)):
            return f"{part} is not among the accepted licences"
    return ""


def system_version(package: str) -> str:
    """The version of a Debian package on the build machine."""
    import subprocess

    asked = ["dpkg-query", "-W", "-f", "${Version}", package]
    answer = subprocess.run(asked, capture_output=True, text=True, check=False)
    return answer.stdout.splitlines()[0] if answer.stdout else ""
