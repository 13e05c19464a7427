"""What every step of the build must agree on: names, version, places, limits."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

PACKAGING = Path(__file__).resolve().parents[1]
ROOT = PACKAGING.parent
APP = ROOT / "app"
RESOURCES = ROOT / "resources"

NAME = "CLIP Atelier"
COMMAND = "clip-atelier"
IDENTIFIER = "org.clip_atelier.ClipAtelier"
SUMMARY = "Teach CLIP an artist's own hand, without the network"
SUMMARY_KO = "네트워크 없이 CLIP에게 작가의 손을 가르칩니다"
PACK_SUFFIX = ".clipmodel"

MEBIBYTE = 1 << 20
#: NSIS and the usual release pages stop at 2 GiB a file.
LARGEST_FILE = 2048 * MEBIBYTE - 1
#: What an installer of the processor edition may weigh. The .run is compressed so that every system can unpack it.
LARGEST_DEB = 280 * MEBIBYTE
LARGEST_RUN = 340 * MEBIBYTE


class BuildError(Exception):
    """The build must not go on; the message names the file and the remedy."""


def version() -> str:
    """The program's version, from the one place that says it: `clip_atelier/__init__.py`."""
    text = (APP / "clip_atelier" / "__init__.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "([^"]+)"$', text, re.MULTILINE)
    if found is None:
        raise BuildError("app/clip_atelier/__init__.py does not say __version__")
    return found.group(1)


def within(limit: int, file: Path) -> Path:
    """The file, if it is not larger than `limit` bytes.

    Raises:
        BuildError: it is.
    """
    size = file.stat().st_size
    if size > limit:
        raise BuildError(f"{file} is {size / MEBIBYTE:.1f} MB; it may be {limit / MEBIBYTE:.0f}")
    return file


def platform_name() -> str:
    """The system this build is for: "linux", "windows" or "macos"."""
    return {"win32": "windows", "darwin": "macos"}.get(sys.platform, "linux")


def epoch() -> int:
    """The moment that goes into archives, so that the same sources give the same files: SOURCE_DATE_EPOCH, or the commit's."""
    asked = os.environ.get("SOURCE_DATE_EPOCH")
    if asked:
        return int(asked)
    try:
        answer = subprocess.run(
            ["git", "log", "-1", "--format=%ct"], cwd=ROOT, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return 1_700_000_000
    return int(answer.stdout.strip() or 1_700_000_000)


def say(text: str) -> None:
    """One line about what is being done."""
    print(text, file=sys.stderr, flush=True)


def run(command: list[str | Path], folder: Path = ROOT, **environment: str) -> None:
    """Runs a tool and ends the build when it fails.

    Raises:
        BuildError: the tool is not installed, or failed.
    """
    words = [str(word) for word in command]
    try:
        subprocess.run(words, cwd=folder, env={**os.environ, **environment}, check=True)
    except FileNotFoundError as error:
        raise BuildError(
            f"{words[0]} is not installed; packaging/README.md says what a build needs"
        ) from error
    except subprocess.CalledProcessError as error:
        raise BuildError(f"{' '.join(words[:3])}… failed with code {error.returncode}") from error
