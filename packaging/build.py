#!/usr/bin/env python3
"""Builds the installers for the system it runs on, by one command.

    python3 packaging/build.py                    freeze, check, and make every installer of this system, in dist/
    python3 packaging/build.py --edition cuda     the edition for NVIDIA cards, as a split archive
    python3 packaging/build.py --steps freeze     only some steps: environment, freeze, check, test, install

Needs Python 3.11 and what packaging/README.md lists for the system. Everything intermediate goes below build/. The
network is used in the first step only; with the environment there, the rest runs without it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from installer import project
from installer.project import COMMAND, PACKAGING, ROOT, BuildError, epoch, platform_name, run, say, version

STEPS = ("environment", "freeze", "check", "test", "install")


def main() -> int:
    """Builds, and says in one line what went wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--edition", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--steps", default=",".join(STEPS))
    parser.add_argument(
        "--quick", action="store_true", help="compress little: Linux installers to try out, not to give away"
    )
    parser.add_argument("--work", type=Path, default=ROOT / "build", help="intermediate files")
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="installers")
    args = parser.parse_args()
    steps = args.steps.split(",")
    unknown = sorted(set(steps) - set(STEPS))
    if unknown:
        parser.error(f"unknown steps: {', '.join(unknown)}; there are {', '.join(STEPS)}")
    work, out = args.work.resolve(), args.out.resolve()
    try:
        python = work / "environment" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        if "environment" in steps:
            environment(python, args.edition)
        rest = [step for step in steps if step != "environment"]
        if not rest:
            return 0
        if Path(sys.prefix).resolve() != python.parents[1].resolve():
            # The rest looks at the packages it ships, so it runs among them.
            again = [
                sys.argv[0], "--edition", args.edition, "--steps", ",".join(rest), "--work", work, "--out", out,
                *(["--quick"] if args.quick else []),
            ]  # fmt: skip
            return subprocess.run([str(word) for word in [python, *again]], check=False).returncode
        does = {
            "freeze": lambda: freeze(work),
            "check": lambda: check(work, out, args.edition),
            "test": lambda: test(work),
            "install": lambda: install(work, out, args.edition, quick=args.quick),
        }
        for step in rest:
            began = time.monotonic()
            say(f"== {step}")
            does[step]()
            say(f"== {step} took {time.monotonic() - began:.0f} s")
    except BuildError as error:
        say(f"The build stops: {error}")
        return 1
    return 0


def environment(python: Path, edition: str) -> None:
    """The packages that are shipped, exactly those that were locked, and PyInstaller."""
    if sys.version_info[:2] != (3, 11):
        raise BuildError(f"installers are made with Python 3.11; this is {sys.version.split()[0]}")
    say("== environment")
    if not python.exists():
        run([sys.executable, "-m", "venv", python.parents[1]])
    lock = PACKAGING / "lock" / f"{platform_name()}-{edition}.txt"
    if not lock.is_file():
        raise BuildError(
            f"{lock.name} is missing; make it with: python3 packaging/lock.py --edition {edition}"
        )
    run([python, "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes", "--requirement", lock])


def freeze(work: Path) -> None:
    """PyInstaller, with what it needs to give the same folder again."""
    from installer import slim, tree

    icon = ""
    if platform_name() == "windows":
        from installer import windows

        icon = str(windows.prepare(work))
    elif platform_name() == "macos":
        from installer import macos

        icon = str(macos.icon(work))
    run(
        [sys.executable, "-m", "PyInstaller", "--noconfirm", "--log-level", "WARN", "--workpath", work / "freeze",
         "--distpath", work / "frozen", PACKAGING / "clip-atelier.spec"],
        PYTHONHASHSEED="1",
        SOURCE_DATE_EPOCH=str(epoch()),
        CLIP_ATELIER_ICON=icon,
    )  # fmt: skip
    slim.strip(program(work) / tree.INSIDE)


def program(work: Path) -> Path:
    """The frozen program's folder."""
    return work / "frozen" / COMMAND


def check(work: Path, out: Path, edition: str) -> None:
    """The licence gate, the notices, completeness, and the list of files."""
    from installer import licences, notices, tree
    from installer.owners import Contents

    contents = Contents.read(work / "freeze" / COMMAND / "contents.json")
    components = licences.check(contents, edition)
    folder = program(work)
    notices.write(components, folder / tree.INSIDE / notices.NAME_OF_FILE)
    tree.normalise(folder, epoch())
    found = tree.check(folder, edition)
    listed = tree.listing(folder, out / f"{COMMAND}-{version()}-{platform_name()}-{edition}.files.txt")
    say(
        f"{len(components)} components of others, {found['files']} files, {found['bytes'] / 2**20:.0f} MB; {listed.name}"
    )


def test(work: Path) -> None:
    """The frozen program's own self-test, in a folder with a space and Hangul in its name."""
    place = work / "자가 검사 self test"
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(program(work), place / COMMAND, symlinks=True)
    try:
        run(
            [place / COMMAND / (COMMAND + (".exe" if os.name == "nt" else "")), "--selftest"],
            PYTHONHOME="",
            PYTHONPATH="",
        )
    finally:
        shutil.rmtree(place, ignore_errors=True)


def install(work: Path, out: Path, edition: str, *, quick: bool) -> None:
    """The installers of this system and edition."""
    folder, made = program(work), []
    if edition == "cuda":
        from installer import slices

        made = slices.build(folder, out)
    elif platform_name() == "linux":
        from installer import debian, runfile

        # Side by side: gzip uses one core only.
        with ThreadPoolExecutor() as pool:
            made = list(pool.map(lambda kind: kind.build(folder, work, out, quick=quick), (debian, runfile)))
    elif platform_name() == "windows":
        from installer import windows

        made = [windows.build(folder, work, out)]
    else:
        from installer import macos

        made = [macos.build(work / "frozen" / f"{project.NAME}.app", work, out)]
    for file in made:
        say(f"{file}: {file.stat().st_size / 2**20:.1f} MB")


if __name__ == "__main__":
    sys.exit(main())
