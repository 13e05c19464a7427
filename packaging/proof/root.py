"""A fresh Debian of its own: without a network, without Python, with one ordinary user."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

USER = "artist"
HOME = f"/home/{USER}"
DATA = f"{HOME}/.local/share/CLIP Atelier"  # where the program keeps its user's work
SUITE = "bookworm"


class Root:
    """A Debian of its own, entered without a network."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def at(self, place: str) -> Path:
        """Where a file of the root lies out here."""
        return self.folder / place.lstrip("/")

    def command(self, *words: str, user: str = "root", **environment: str) -> list[str]:
        """The words that run a command inside."""
        variables = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": "/root" if user == "root" else f"/home/{user}",
            "LANG": "C.UTF-8",
            "USER": user,
            **environment,
        }
        return [
            "unshare", "--net", "chroot", f"--userspec={user}:{user}", str(self.folder),
            "env", "-i", *(f"{k}={v}" for k, v in variables.items()), *words,
        ]  # fmt: skip

    def run(self, *words: str, user: str = "root", check: bool = True, **environment: str) -> str:
        """Runs a command inside and returns what it said.

        Raises:
            SystemExit: it failed, and `check` is asked for.
        """
        command = self.command(*words, user=user, **environment)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if check and done.returncode:
            raise SystemExit(
                f"{' '.join(words)} failed with {done.returncode}:\n{done.stdout}\n{done.stderr}"
            )
        return done.stdout + done.stderr


def base(folder: Path, mirror: str = "") -> Path:
    """The Debian that all roots are copies of; made once, which is all that the network is needed for."""
    if not (folder / "etc" / "debian_version").exists():
        subprocess.run(
            ["debootstrap", "--variant=minbase", SUITE, folder, *filter(None, [mirror])], check=True
        )
    return folder


def remove(folder: Path, mounts: Path = Path("/proc/self/mounts")) -> None:
    """Removes what a proof before left behind.

    A proof that was killed leaves this machine's own /dev mounted in it: removed with the folder, its devices would be gone.

    Args:
        folder: The root of that proof.
        mounts: What is mounted, as the kernel lists it.

    Raises:
        SystemExit: something is mounted there and stays so; nothing is removed.
    """

    def mounted() -> list[str]:
        written = [line.split()[1] for line in mounts.read_text(encoding="utf-8").splitlines()]
        places = [
            re.sub(r"\\(\d{3})", lambda octal: chr(int(octal[1], 8)), place) for place in written
        ]  # spaces
        return [place for place in places if Path(place).is_relative_to(folder)]

    for place in reversed(mounted()):
        subprocess.run(["umount", place], check=False)
    if left := mounted():
        raise SystemExit(f"{', '.join(left)} is still mounted: unmount it, then prove again")
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def fresh_root(base: Path, folder: Path) -> Iterator[Root]:
    """A copy of the base with a user, /proc, /dev and the X server's socket."""
    remove(folder)
    subprocess.run(["cp", "-a", base, folder], check=True)
    mounts = [
        ("proc", "proc", ["-t", "proc"]),
        ("/dev", "dev", ["--bind"]),
        ("/tmp/.X11-unix", "tmp/.X11-unix", ["--bind"]),
    ]
    Path("/tmp/.X11-unix").mkdir(exist_ok=True)
    try:
        for source, place, how in mounts:
            (folder / place).mkdir(parents=True, exist_ok=True)
            subprocess.run(["mount", *how, source, folder / place], check=True)
        root = Root(folder)
        root.run("useradd", "--create-home", USER)
        yield root
    finally:
        for _source, place, _how in reversed(mounts):
            subprocess.run(["umount", "--lazy", folder / place], check=False)
