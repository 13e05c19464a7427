"""Proof that the Linux installers work where nothing is prepared: fresh Debian roots, no network, no Python, no root user.

Run it as root: python3 packaging/prove.py DIST FOLDER

DIST is where build.py put the .deb and the .run; FOLDER is where the roots are made (about 4 GB; the base of them is kept
for the next time, and is the only thing that needs the network). For each installer: install, run the self-test as an
unprivileged user, measure the first window under Xvfb from cold files, do the main job on the sample with mouse and
keyboard, uninstall, look whether the user's work is still there. Pictures of every step and report.json go to FOLDER.

Needs here, beside this Python: debootstrap xvfb openbox xdotool x11-utils dbus-daemon python3-pil python3-jeepney.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from proof import main_job, opening
from proof.root import DATA, HOME, USER, Root, base, fresh_root
from proof.screen import wait_for, x_server
from proof.sitting import BUS, sitting

GUEST = "guest"  # somebody who may start the program and not write to it
WORK = "그림 작업"  # the user's own folder, with a space and Hangul
PREFIX = f"{HOME}/내 도구 tools/CLIP 아틀리에"  # where the .run goes
MOST_SECONDS = 1.5  # to the first window, from cold files
ENTRIES = {"deb": "/usr/share/applications", "run": f"{HOME}/.local/share/applications"}
LANGUAGES = {"deb": "en", "run": "ko"}  # of the main job; the self-test does it in both


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
    parser.add_argument("--only", choices=tuple(LANGUAGES))
    parser.add_argument(
        "--presets", default="attention", help="what the main job trains after the tour, one after the other"
    )
    args = parser.parse_args()
    if os.geteuid() != 0:
        print("debootstrap and chroot need root", file=sys.stderr)
        return 1
    folder = args.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    debian = base(folder / "base", args.mirror)
    found = {}
    for kind in LANGUAGES:
        if args.only in (None, kind):
            (installer,) = args.dist.glob(f"*.{kind}")
            found[kind] = prove(kind, installer.resolve(), debian, folder, tuple(args.presets.split(",")))
    report = json.dumps(found, ensure_ascii=False, indent=2)
    (folder / "report.json").write_text(report + "\n", encoding="utf-8")
    print(report)
    return 0


def prove(kind: str, installer: Path, debian: Path, folder: Path, presets: tuple[str, ...]) -> dict[str, Any]:
    """Installs, tests, looks, works, uninstalls."""
    with fresh_root(debian, folder / kind) as root:
        for tool in ("python3", "python"):
            assert not root.run("sh", "-c", f"command -v {tool} || true").strip(), f"{tool} is in the root"
        interfaces = root.run("sed", "-n", "s/:.*//p", "/proc/net/dev").split()
        assert interfaces == ["lo"], interfaces
        facts: dict[str, Any] = {"file": installer.name, "MB": round(installer.stat().st_size / 2**20, 1)}
        shutil.copyfile(installer, root.at(f"/tmp/{installer.name}"))
        began = time.monotonic()
        said = install(kind, root, installer.name).strip().splitlines()
        facts["install says"] = [line for line in said if "\b" not in line][-3:]
        facts["install seconds"] = round(time.monotonic() - began, 1)
        program = "/opt/clip-atelier/clip-atelier" if kind == "deb" else f"{PREFIX}/clip-atelier"
        root.run("mkdir", "-p", f"{HOME}/{WORK}", user=USER)
        facts["self-test"] = self_test(root, program)
        cold = facts["window seconds, cold"] = window(root, program, cold=True)
        assert cold <= MOST_SECONDS, f"the first window took {cold} s"
        facts["window seconds, warm"] = window(root, program, cold=False)
        before = files(root)
        with sitting(root, program, LANGUAGES[kind], folder / kind) as now:
            facts["main job by mouse"] = main_job.do(now, presets)
        facts["opened from the menu entry"] = opening.do(
            root,
            program,
            f"{ENTRIES[kind]}/clip-atelier.desktop",
            LANGUAGES[kind],
            f"{HOME}/{WORK}",
            folder / kind,
        )
        changed = sorted(set(files(root).items()) ^ set(before.items()))
        assert not changed, f"files outside the user's data were made or changed: {changed}"
        kept = sums(root.at(DATA))
        assert any(name.startswith("runs/") for name in kept), "there is no work to keep"
        facts["uninstall says"] = uninstall(kind, root).strip().splitlines()[-1:]
        for place in ("/usr/bin/clip-atelier", "/opt/clip-atelier", PREFIX, program):
            assert not os.path.lexists(root.at(place)), f"{place} is still there"
        assert sums(root.at(DATA)) == kept, "uninstalling changed the user's work"
        facts["user's work kept"] = f"{len(kept)} files, unchanged"
        return facts


def files(root: Root) -> dict[str, tuple[int, int]]:
    """Every folder, and size and time of every file, outside the program's data and the user's own folder."""
    passed = {root.at(p) for p in ("/proc", "/dev", "/tmp/.X11-unix", DATA, f"{HOME}/{WORK}")}
    above = set(root.at(DATA).parents)
    found = {}
    for folder, inner, names in os.walk(root.folder):
        inner[:] = [name for name in inner if Path(folder) / name not in passed]
        for path in (Path(folder) / name for name in names if not name.startswith(Path(BUS).name)):
            about = path.lstat()
            found[str(path.relative_to(root.folder))] = (about.st_size, about.st_mtime_ns)
        found |= {
            str((Path(folder) / name).relative_to(root.folder)): (0, 0)
            for name in inner
            if Path(folder) / name not in above
        }
    return found


def sums(folder: Path) -> dict[str, str]:
    """The SHA-256 of each file below a folder."""
    return {
        f.relative_to(folder).as_posix(): hashlib.sha256(f.read_bytes()).hexdigest()
        for f in sorted(folder.rglob("*"))
        if f.is_file()
    }


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


def self_test(root: Root, program: str) -> str:
    """The program's own, as a user who cannot write to it, working in a folder with a space and Hangul in its name."""
    began = time.monotonic()
    root.run("useradd", "--create-home", GUEST)
    root.run("chmod", "o+x", HOME)
    place = f"/home/{GUEST}/{WORK}"
    root.run("mkdir", "-p", place, user=GUEST)
    report = f"{place}/report.json"
    said = root.run(program, "--selftest", "--report", report, user=GUEST, TMPDIR=place, check=False)
    found = json.loads(root.at(report).read_text(encoding="utf-8"))
    assert found["ok"], said
    assert found["facts"]["frozen"]
    assert found["facts"]["user"] != 0
    assert not found["facts"]["program_can_be_written"]
    return f"{len(found['checks'])} checks passed in {time.monotonic() - began:.0f} s"


def window(root: Root, program: str, *, cold: bool) -> float:
    """Seconds from the command to a visible window, on a bare X server that tells the moment itself."""
    with x_server() as display:
        if cold:
            forget(root.at(program))
        # A home of its own: the main job is to begin where its user does, with nothing there.
        command = root.command(program, user=USER, DISPLAY=display, CLIP_ATELIER_HOME=f"{HOME}/{WORK}/home")
        with subprocess.Popen(
            ["stdbuf", "-oL", "xev", "-root", "-event", "substructure"],
            env={**os.environ, "DISPLAY": display}, stdout=subprocess.PIPE, text=True,
        ) as watching:  # fmt: skip
            assert watching.stdout is not None
            wait_for(lambda: "xev" in Path(f"/proc/{watching.pid}/comm").read_text(), "xev")
            began = time.monotonic()
            running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            next(line for line in watching.stdout if line.startswith("MapNotify"))
            seconds = time.monotonic() - began
            watching.terminate()
        with running:
            running.send_signal(signal.SIGTERM)
            assert running.wait(30) == 0, running.stderr.read() if running.stderr else ""
        return round(seconds, 2)


def forget(program: Path) -> None:
    """Puts the program's files out of the machine's memory, and nobody else's."""
    for file in program.parent.rglob("*"):
        if file.is_file() and not file.is_symlink():
            with file.open("rb") as stream:
                os.fdatasync(stream.fileno())
                os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


if __name__ == "__main__":
    sys.exit(main())
