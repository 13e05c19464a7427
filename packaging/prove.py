"""Proof that the Linux installers work where nothing is prepared: fresh Debian roots, no network, no Python, no root user.

Run it as root: python packaging/prove.py DIST FOLDER

DIST is where build.py put the .deb and the .run; FOLDER is where the roots are made (about 4 GB; the base of them is kept
for the next time, and is the only thing that needs the network). For each installer: install, run the self-test as an
unprivileged user, measure the first window under Xvfb from cold files, picture it in both languages, uninstall, look
whether the user's work is still there. Needs debootstrap, Xvfb and xev (x11-utils) here; pictures need Pillow.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

USER = "artist"
WORK = "그림 작업"  # the user's own folder, with a space and Hangul
PREFIX = f"/home/{USER}/내 도구 tools/CLIP 아틀리에"  # where the .run goes
DISPLAY = ":93"
SUITE = "bookworm"


def main() -> int:
    """Proves both installers; prints what was measured as JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dist", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "--mirror", default="", help="where debootstrap finds Debian; its own choice if not given"
    )
    parser.add_argument("--only", choices=("deb", "run"))
    args = parser.parse_args()
    if os.geteuid() != 0:
        print("debootstrap and chroot need root", file=sys.stderr)
        return 1
    args.folder.mkdir(parents=True, exist_ok=True)
    base = args.folder / "base"
    if not (base / "etc" / "debian_version").exists():
        subprocess.run(
            ["debootstrap", "--variant=minbase", SUITE, base, *filter(None, [args.mirror])], check=True
        )
    found = {}
    for kind, pattern in (("deb", "*.deb"), ("run", "*.run")):
        if args.only in (None, kind):
            (installer,) = args.dist.glob(pattern)
            found[kind] = prove(kind, installer.resolve(), base, args.folder)
    print(json.dumps(found, ensure_ascii=False, indent=2))
    return 0


class Root:
    """A Debian of its own, entered without a network."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def command(self, *words: str, user: str = "root", **environment: str) -> list[str]:
        """The words that run a command inside."""
        home = "/root" if user == "root" else f"/home/{user}"
        variables = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": home,
            "LANG": "C.UTF-8",
            "USER": user,
            **environment,
        }
        return [
            "unshare", "--net", "chroot", f"--userspec={user}:{user}", str(self.folder),
            "env", "-i", *(f"{k}={v}" for k, v in variables.items()), *words,
        ]  # fmt: skip

    def run(self, *words: str, user: str = "root", check: bool = True, **environment: str) -> str:
        """Runs a command inside and returns what it said."""
        command = self.command(*words, user=user, **environment)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if check and done.returncode:
            raise SystemExit(
                f"{' '.join(words)} failed with {done.returncode}:\n{done.stdout}\n{done.stderr}"
            )
        return done.stdout + done.stderr


@contextmanager
def fresh_root(base: Path, folder: Path) -> Iterator[Root]:
    """A copy of the base with a user, /proc, /dev and the X server's socket."""
    shutil.rmtree(folder, ignore_errors=True)
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


def prove(kind: str, installer: Path, base: Path, folder: Path) -> dict[str, object]:
    """Installs, tests, looks, uninstalls."""
    with fresh_root(base, folder / kind) as root:
        for tool in ("python3", "python"):
            assert not root.run("sh", "-c", f"command -v {tool} || true").strip(), f"{tool} is in the root"
        interfaces = root.run("sed", "-n", "s/:.*//p", "/proc/net/dev").split()
        assert interfaces == ["lo"], interfaces
        facts: dict[str, object] = {"file": installer.name, "MB": round(installer.stat().st_size / 2**20, 1)}
        shutil.copyfile(installer, root.folder / "tmp" / installer.name)
        began = time.monotonic()
        said = install(kind, root, installer.name).strip().splitlines()
        facts["install says"] = [line for line in said if "\b" not in line][-3:]
        facts["install seconds"] = round(time.monotonic() - began, 1)
        program = "/opt/clip-atelier/clip-atelier" if kind == "deb" else f"{PREFIX}/clip-atelier"
        root.run("mkdir", "-p", f"/home/{USER}/{WORK}", user=USER)
        facts["self-test"] = self_test(root, program, kind)
        facts["window seconds, cold"] = [window(root, program, "en", folder / f"{kind}-en.png", cold=True)]
        facts["window seconds, warm"] = [window(root, program, "ko", folder / f"{kind}-ko.png", cold=False)]
        kept = root.folder / "home" / USER / ".local/share/CLIP Atelier/window.json"
        assert kept.is_file(), "the window remembered nothing"
        facts["uninstall says"] = uninstall(kind, root).strip().splitlines()[-1:]
        assert not (root.folder / program.lstrip("/")).exists(), "the program is still there"
        assert kept.is_file(), "uninstalling took the user's work"
        left = [
            p
            for p in ("usr/bin/clip-atelier", "opt/clip-atelier", PREFIX.lstrip("/"))
            if (root.folder / p).exists()
        ]
        assert not left, left
        facts["user's work kept"] = True
        return facts


def install(kind: str, root: Root, name: str) -> str:
    """As a Debian user or as the owner of a home folder would."""
    if kind == "deb":
        return root.run("dpkg", "--install", f"/tmp/{name}")
    return root.run("sh", f"/tmp/{name}", "--", "--prefix", PREFIX, user=USER)


def uninstall(kind: str, root: Root) -> str:
    """Removes what was installed."""
    if kind == "deb":
        return root.run("dpkg", "--purge", "clip-atelier")
    return root.run("sh", f"{PREFIX}/uninstall.sh", user=USER)


def self_test(root: Root, program: str, kind: str) -> str:
    """The program's own, as a user who cannot write to it (the .deb) or who owns it (the .run)."""
    began = time.monotonic()
    place = f"/home/{USER}/{WORK}"
    said = root.run(
        program, "--selftest", "--report", f"{place}/report.json", user=USER, TMPDIR=place, check=False
    )
    report = json.loads((root.folder / place.lstrip("/") / "report.json").read_text(encoding="utf-8"))
    assert report["ok"], said
    assert report["facts"]["frozen"]
    assert report["facts"]["user"] != 0
    assert report["facts"]["program_can_be_written"] is (kind == "run")
    return f"{len(report['checks'])} checks passed in {time.monotonic() - began:.0f} s"


def window(root: Root, program: str, language: str, picture: Path, *, cold: bool) -> float:
    """Seconds from the command to a visible window."""
    server = subprocess.Popen(
        ["Xvfb", DISPLAY, "-screen", "0", "1400x900x24", "-ac"], stderr=subprocess.DEVNULL
    )
    try:
        wait_for(Path(f"/tmp/.X11-unix/X{DISPLAY[1:]}").exists)
        if cold:
            forget(root.folder / program.lstrip("/"))
        watch = ["stdbuf", "-oL", "xev", "-root", "-event", "substructure"]
        # The window keeps the language it was left in, so the second one is given a home of its own.
        own = {} if language == "en" else {"CLIP_ATELIER_HOME": f"/home/{USER}/{WORK}/home {language}"}
        command = root.command(program, user=USER, DISPLAY=DISPLAY, CLIP_ATELIER_LANGUAGE=language, **own)
        with subprocess.Popen(
            watch, env={**os.environ, "DISPLAY": DISPLAY}, stdout=subprocess.PIPE, text=True
        ) as watching:
            assert watching.stdout is not None
            wait_for(lambda: "xev" in Path(f"/proc/{watching.pid}/comm").read_text())
            began = time.monotonic()
            running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            next(line for line in watching.stdout if line.startswith("MapNotify"))
            seconds = time.monotonic() - began
            watching.terminate()
        with running:
            take(picture)
            running.send_signal(signal.SIGTERM)
            assert running.wait(30) == 0, running.stderr.read() if running.stderr else ""
        return round(seconds, 2)
    finally:
        server.terminate()
        server.wait()


def forget(program: Path) -> None:
    """Puts the program's files out of the machine's memory, and nobody else's."""
    for file in program.parent.rglob("*"):
        if file.is_file() and not file.is_symlink():
            with file.open("rb") as stream:
                os.fdatasync(stream.fileno())
                os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def wait_for(holds: object, seconds: float = 20) -> None:
    """Until something is so."""
    until = time.monotonic() + seconds
    while not holds():  # type: ignore[operator]
        if time.monotonic() > until:
            raise SystemExit("waited in vain")
        time.sleep(0.05)


def take(picture: Path) -> None:
    """A picture of the screen, where Pillow is at hand; a moment later, so that the first page is drawn."""
    try:
        from PIL import ImageGrab
    except ImportError:
        return
    time.sleep(3)
    ImageGrab.grab(xdisplay=DISPLAY).save(picture)


if __name__ == "__main__":
    sys.exit(main())
