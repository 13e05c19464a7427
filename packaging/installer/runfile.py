"""The .run file: installs on any Linux of the same age, with or without root, into any folder."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from installer import tree
from installer.project import (
    COMMAND,
    LARGEST_FILE,
    NAME,
    PACKAGING,
    RESOURCES,
    BuildError,
    epoch,
    run,
    version,
)

_LINUX = PACKAGING / "linux"


def build(program: Path, work: Path, out: Path) -> Path:
    """Makes the self-extracting installer of a frozen program's folder.

    Raises:
        BuildError: it is too large for a release page, or makeself is not there.
    """
    root = work / "run"
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(program, root / COMMAND, symlinks=True)
    for name in ("setup.sh", "uninstall.part", "refresh.sh"):
        shutil.copyfile(_LINUX / name, root / name)
    (root / "setup.sh").chmod(0o755)
    desktop = root / "desktop"
    desktop.mkdir()
    for source in (
        _LINUX / "clip-atelier.desktop",
        _LINUX / "clip-atelier.xml",
        RESOURCES / "icons" / "clip-atelier.svg",
        RESOURCES / "icons" / "clip-atelier.png",
    ):
        shutil.copyfile(source, desktop / source.name)
    tree.normalise(root, epoch())
    out.mkdir(parents=True, exist_ok=True)
    installer = out / f"{COMMAND}-{version()}-linux-x86_64.run"
    installer.unlink(missing_ok=True)
    moment = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(epoch()))
    # gzip: every system can unpack it. The contents' order, owner and dates are fixed, so that equal trees give equal files.
    run(
        [
            "makeself", "--gzip", "--complevel", "9", "--sha256", "--nox11", "--nowait", "--packaging-date", moment,
            "--tar-format", "gnu",
            "--tar-extra", "--sort=name --owner=0 --group=0 --numeric-owner",
            root, installer, f"{NAME} {version()}", "./setup.sh",
        ],
        GZIP="-n",  # no date in the compressed data; makeself gives no other way to say so
    )  # fmt: skip
    shutil.rmtree(root)
    if installer.stat().st_size > LARGEST_FILE:
        raise BuildError(f"{installer} is larger than 2 GB")
    return installer
