"""Writes the hash-locked requirements of a build: exactly these files, or the build stops.

Run it as: python packaging/lock.py [--platform linux|windows|macos] [--edition cpu|cuda]

Asks pip, which asks the index it is set up with, for the one file of each pinned package that the platform would
install, and writes its SHA-256 to packaging/lock/PLATFORM-EDITION.txt. Which build of torch that is depends on the
index: for the processor edition on Linux it must be one that has `+cpu` builds, see packaging/README.md.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

PACKAGING = Path(__file__).resolve().parent
LOCK = PACKAGING / "lock"

#: The platform tags of wheels that run on the oldest system supported, newest first.
TAGS = {
    "linux": [f"manylinux_2_{minor}_x86_64" for minor in range(36, 4, -1)] + ["manylinux2014_x86_64", "manylinux2010_x86_64"],
    "windows": ["win_amd64"],
    "macos": [f"macosx_{major}_0_{kind}" for major in range(14, 10, -1) for kind in ("arm64", "universal2")],
}  # fmt: skip
SYSTEMS = {"linux": "linux", "windows": "win32", "macos": "darwin"}


def main() -> int:
    """Writes one lock file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    here = {"win32": "windows", "darwin": "macos"}.get(sys.platform, "linux")
    parser.add_argument("--platform", choices=tuple(TAGS), default=here)
    parser.add_argument("--edition", choices=("cpu", "cuda"), default="cpu")
    args = parser.parse_args()
    if args.edition == "cuda" and args.platform != here:
        parser.error("the CUDA edition is locked on its own system: its packages depend on where pip runs")
    report = resolve(
        pinned(PACKAGING / "requirements-freeze.txt", SYSTEMS[args.platform]), args.platform, args.edition
    )
    LOCK.mkdir(exist_ok=True)
    out = LOCK / f"{args.platform}-{args.edition}.txt"
    out.write_text(locked(report, args.platform, args.edition), encoding="utf-8", newline="\n")
    print(f"{out}: {len(report['install'])} packages")
    return 0


def pinned(file: Path, system: str) -> list[str]:
    """`name==version` of a requirements file and of those it includes, for one system."""
    pins = []
    for line in file.read_text(encoding="utf-8").splitlines():
        text = line.partition("#")[0].strip()
        if text.startswith("-r "):
            pins += pinned(file.parent / text[3:].strip(), system)
            continue
        pin, _semicolon, marker = (part.strip() for part in text.partition(";"))
        if pin and (not marker or marker == f'sys_platform == "{system}"'):
            pins.append(pin)
    return pins


def resolve(pins: list[str], platform: str, edition: str) -> dict[str, list[dict[str, object]]]:
    """What pip would install of these pins on a platform; for CUDA also what torch needs of NVIDIA's packages."""
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch) / "report.json"
        options = [option for tag in TAGS[platform] for option in ("--platform", tag)]
        command = [
            sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed",
            *(["--no-deps"] if edition == "cpu" else []), "--only-binary", ":all:", "--implementation", "cp", "--python-version", "3.11", *options,
            "--target", scratch, "--report", str(report), *pins,
        ]  # fmt: skip
        subprocess.run(command, check=True, env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"})
        found: dict[str, list[dict[str, object]]] = json.loads(report.read_text(encoding="utf-8"))
        return found


def locked(report: dict[str, list[dict[str, object]]], platform: str, edition: str) -> str:
    """The lock file's text, in the order of names."""
    lines = [
        f"# What the {edition} installer for {platform} is made from: these files and no others (CPython 3.11).",
        f"# Written by: python packaging/lock.py --platform {platform} --edition {edition}",
    ]
    for item in sorted(report["install"], key=lambda item: str(_of(item, "metadata", "name")).lower()):
        digest = _of(item, "download_info", "archive_info", "hashes", "sha256")
        lines.append(f"{_of(item, 'metadata', 'name')}=={_of(item, 'metadata', 'version')} \\")
        lines.append(f"    --hash=sha256:{digest}")
    return "\n".join(lines) + "\n"


def _of(item: object, *names: str) -> object:
    for name in names:
        assert isinstance(item, dict)
        item = item[name]
    return item


if __name__ == "__main__":
    sys.exit(main())
