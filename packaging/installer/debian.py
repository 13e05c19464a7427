"""The Debian package: one file for Debian 12, Ubuntu 23.04 and newer, without dependencies beyond the C library."""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from installer import tree
from installer.project import (
    APP,
    COMMAND,
    LARGEST_DEB,
    NAME,
    PACKAGING,
    RESOURCES,
    ROOT,
    SUMMARY,
    BuildError,
    epoch,
    run,
    version,
    within,
)

_LINUX = PACKAGING / "linux"
_MAINTAINER = "The CLIP Atelier authors <clip-atelier@localhost>"

# shell -> where a package puts a program's completion, below /usr/share
_COMPLETIONS = {
    "bash": f"bash-completion/completions/{COMMAND}",
    "zsh": f"zsh/vendor-completions/_{COMMAND}",
    "fish": f"fish/vendor_completions.d/{COMMAND}.fish",
}

_CONTROL = """\
Package: {command}
Version: {version}
Architecture: amd64
Maintainer: {maintainer}
Installed-Size: {kilobytes}
Depends: libc6 (>= 2.36)
Recommends: libgl1, libegl1
Section: graphics
Priority: optional
Description: {summary}
 {name} adapts a vision and language model to a folder of sketches or
 artworks with LoRA, on this machine, draws loss and retrieval while it
 learns, and searches the pictures with the untouched and the adapted
 model side by side. In English and Korean. It brings its own model and
 sample collection and never needs the network.
"""

_COPYRIGHT = """\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: {name}

Files: *
Copyright: The CLIP Atelier authors
License: Apache-2.0
 On Debian systems the full text is in /usr/share/common-licenses/Apache-2.0.

Comment:
 The work of others in this package is listed, with its licences, in
 /opt/{command}/program/THIRD_PARTY_NOTICES.txt
"""


def build(program: Path, work: Path, out: Path, *, quick: bool = False) -> Path:
    """Makes the package of a frozen program's folder; a quick one is larger and only for trying it out.

    Raises:
        BuildError: it is larger than an installer may be, or dpkg-deb is not there.
    """
    root = work / "deb"
    shutil.rmtree(root, ignore_errors=True)
    _lay_out(program, root)
    control = root / "DEBIAN"
    control.mkdir()
    kilobytes = sum(-(-f.lstat().st_size // 1024) for f in tree.files(root))
    (control / "control").write_text(
        _CONTROL.format(
            command=COMMAND, version=version(), maintainer=_MAINTAINER, kilobytes=kilobytes, summary=SUMMARY, name=NAME
        ),
        encoding="utf-8",
    )  # fmt: skip
    (control / "md5sums").write_text(_sums(root), encoding="utf-8")
    shutil.copyfile(_LINUX / "postrm", control / "postrm")
    (control / "postrm").chmod(0o755)
    tree.normalise(root, epoch())
    out.mkdir(parents=True, exist_ok=True)
    package = out / f"{COMMAND}_{version()}_amd64.deb"
    run(
        ["dpkg-deb", "--root-owner-group", "-Zzstd", "-z1" if quick else "-z19", "--build", root, package],
        SOURCE_DATE_EPOCH=str(epoch()),
    )
    shutil.rmtree(root)
    return package if quick else within(LARGEST_DEB, package)


def _lay_out(program: Path, root: Path) -> None:
    shutil.copytree(program, root / "opt" / COMMAND, symlinks=True)
    binary = root / "usr" / "bin"
    binary.mkdir(parents=True)
    (binary / COMMAND).symlink_to(f"/opt/{COMMAND}/{COMMAND}")
    for source, place in (
        (_LINUX / "clip-atelier.desktop", "usr/share/applications/clip-atelier.desktop"),
        (_LINUX / "clip-atelier-watch@.service", "usr/lib/systemd/user/clip-atelier-watch@.service"),
        (_LINUX / "clip-atelier.xml", "usr/share/mime/packages/clip-atelier.xml"),
        (
            _LINUX / "clip-atelier.metainfo.xml",
            "usr/share/metainfo/org.clip_atelier.ClipAtelier.metainfo.xml",
        ),
        (RESOURCES / "icons" / "clip-atelier.svg", "usr/share/icons/hicolor/scalable/apps/clip-atelier.svg"),
        (RESOURCES / "icons" / "clip-atelier.png", "usr/share/icons/hicolor/256x256/apps/clip-atelier.png"),
    ):
        target = root / place
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    manual = root / "usr" / "share" / "man" / "man1" / f"{COMMAND}.1.gz"
    manual.parent.mkdir(parents=True)
    manual.write_bytes(gzip.compress((ROOT / "docs" / f"{COMMAND}.1").read_bytes(), 9, mtime=0))
    for shell, place in _COMPLETIONS.items():
        target = root / "usr" / "share" / place
        target.parent.mkdir(parents=True)
        target.write_text(_completion(shell), encoding="utf-8")
    documents = root / "usr" / "share" / "doc" / COMMAND
    documents.mkdir(parents=True)
    (documents / "copyright").write_text(_COPYRIGHT.format(name=NAME, command=COMMAND), encoding="utf-8")


def _completion(shell: str) -> str:
    """The script for a shell, as the program being packed prints it."""
    try:
        return subprocess.run(
            [sys.executable, "-m", "clip_atelier", "completion", shell, "--language", "en"],
            env={**os.environ, "PYTHONPATH": str(APP)}, capture_output=True, encoding="utf-8", check=True,
        ).stdout  # fmt: skip
    except subprocess.CalledProcessError as error:
        raise BuildError(f"completion for {shell}: {error.stderr}") from error


def _sums(root: Path) -> str:
    lines = []
    for file in tree.files(root):
        if file.is_symlink():
            continue
        with file.open("rb") as stream:
            digest = hashlib.file_digest(stream, "md5").hexdigest()
        lines.append(f"{digest}  {file.relative_to(root).as_posix()}\n")
    return "".join(lines)
