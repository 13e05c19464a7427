"""The .run file: installs on any Linux of the same age, with or without root, into any folder."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from installer import tree
from installer.project import (
    COMMAND,
    LARGEST_RUN,
    NAME,
    PACKAGING,
    RESOURCES,
    epoch,
    run,
    version,
    within,
)

_LINUX = PACKAGING / "linux"


def build(program: Path, work: Path, out: Path, *, quick: bool = False) -> Path:
    """Makes the self-extracting installer of a frozen program's folder; a quick one is only for trying it out.

    Raises:
        BuildError: it is larger than an installer may be, or makeself is not there.
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
            "makeself", "--gzip", "--complevel", "1" if quick else "9", "--sha256", "--nox11", "--nowait", "--packaging-date", moment,
            "--tar-format", "gnu",
            "--tar-extra", "--sort=name --owner=0 --group=0 --numeric-owner",
            root, installer, f"{NAME} {version()}", "./setup.sh",
        ],
        GZIP="-n",  # no date in the compressed data; makeself gives no other way to say so
    )  # fmt: skip
    shutil.rmtree(root)
    return installer if quick else within(LARGEST_RUN, installer)
