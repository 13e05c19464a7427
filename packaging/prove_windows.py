"""What Debian can prove of the Windows installer: packed by makensis, installed and removed under Wine.

Run it as: python3 packaging/prove_windows.py FOLDER [--program TREE]

A frozen program for Windows can only be made on Windows; in its place stands a small tree with the same names, or TREE.
What is proven is the installer: folders with spaces and Hangul, file types, the entry for folders, what it refuses, that
it takes away all it brought and nothing else. The program itself is tested on Windows, see the build workflow.

Needs here: nsis wine64 python3-pil.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from installer import windows
from installer.project import COMMAND, NAME, version

_PATIENCE = 120.0  # seconds
_CLASSES = r"HKCU\Software\Classes"
_UNINSTALL = r"HKCU\Software\Microsoft\Windows\CurrentVersion\Uninstall\ClipAtelier"
_KEYS = (
    rf"{_CLASSES}\.clipmodel", rf"{_CLASSES}\.cliprun", rf"{_CLASSES}\ClipAtelier.ModelPack\shell\open\command",
    rf"{_CLASSES}\ClipAtelier.RunPack\shell\open\command", rf"{_CLASSES}\Directory\shell\ClipAtelier\command", _UNINSTALL,
)  # fmt: skip


def main() -> int:
    """Packs, installs, looks, removes; prints what was found as JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "--program", type=Path, help="a frozen program's folder; a small stand-in if left out"
    )
    args = parser.parse_args()
    folder = args.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    program = args.program.resolve() if args.program else stand_in(folder / "stand-in")
    setup = windows.build(program, folder, folder)
    wine = Wine(folder / "wine")
    wine.run("winecfg", "-v", "win7")
    old = wine.run(str(setup), "/S").returncode
    assert old == 2, f"Windows 7 was not refused: {old}"
    wine.run("winecfg", "-v", "win10")
    facts = {
        "file": setup.name,
        "MB": round(setup.stat().st_size / 2**20, 1),
        "Windows 7": f"refused with {old}",
        "usual folder": usual_folder(wine, setup, program),
        "folder with Hangul": odd_folder(wine, setup, program),
        "somebody's folder": foreign_folder(wine, setup),
    }
    print(json.dumps(facts, ensure_ascii=False, indent=2))
    return 0


def stand_in(folder: Path) -> Path:
    """A tree with the names of a frozen program's."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "program" / "resources").mkdir(parents=True)
    for name in (f"{NAME}.exe", f"{COMMAND}.exe", "program/LICENSE", "program/resources/이름 있는 파일.txt"):
        (folder / name).write_text(name, encoding="utf-8")
    return folder


class Wine:
    """A Windows of its own, without a screen."""

    def __init__(self, prefix: Path) -> None:
        shutil.rmtree(prefix, ignore_errors=True)
        prefix.mkdir()
        self.disk = prefix / "drive_c"
        self._program = shutil.which("wine64") or "/usr/lib/wine/wine64"
        self._environment = {
            **os.environ, "WINEPREFIX": str(prefix), "WINEARCH": "win64", "WINEDEBUG": "-all", "LC_ALL": "C.UTF-8",
            "DISPLAY": "", "WINEDLLOVERRIDES": "mscoree,mshtml=",
        }  # fmt: skip
        self.run("wineboot", "--init")
        (self.home,) = (self.disk / "users").glob("[!P]*/AppData/Local")

    def run(self, *words: str) -> subprocess.CompletedProcess[bytes]:
        """Runs a program to its end."""
        return subprocess.run(
            [self._program, *words],
            env=self._environment,
            capture_output=True,
            check=False,
            timeout=_PATIENCE,
        )

    def keys(self) -> list[str]:
        """Which of the installer's keys are in the registry."""
        return [key for key in _KEYS if self.run("reg", "query", key).returncode == 0]

    def value(self, key: str, name: str) -> str:
        """A text of the registry."""
        said = self.run("reg", "query", key, *(["/v", name] if name else ["/ve"])).stdout
        return said.decode("utf-8", "replace").strip().rpartition("REG_SZ")[2].strip()

    def uninstall(self, folder: Path) -> None:
        """Starts the uninstaller, which goes on beside us, and waits until it is through."""
        self.run(str(folder / "uninstall.exe"), "/S")
        until = time.monotonic() + _PATIENCE
        while folder.exists():
            if time.monotonic() > until:
                raise SystemExit(f"uninstalling left {sorted(p.name for p in folder.iterdir())}")
            time.sleep(0.2)


def installed(folder: Path, program: Path) -> int:
    """Every file of the program is there and the same; how many."""
    names = [file.relative_to(program) for file in program.rglob("*") if file.is_file()]
    for name in names:
        assert (folder / name).read_bytes() == (program / name).read_bytes(), f"{name} is missing or another"
    assert (folder / "uninstall.exe").is_file()
    return len(names)


def usual_folder(wine: Wine, setup: Path, program: Path) -> str:
    """Installed silently, once over itself, and removed; the user's work stays."""
    work = wine.home / NAME / "runs" / "내 작업.txt"
    work.parent.mkdir(parents=True)
    work.write_text("kept", encoding="utf-8")
    folder = wine.home / "Programs" / NAME
    for _time in ("first", "over itself"):
        assert wine.run(str(setup), "/S").returncode == 0
        count = installed(folder, program)
    assert wine.keys() == list(_KEYS), wine.keys()
    assert wine.value(_UNINSTALL, "DisplayVersion") == version()
    opens = wine.value(rf"{_CLASSES}\Directory\shell\ClipAtelier\command", "")
    assert opens.endswith(rf'\Programs\{NAME}\{NAME}.exe" "%1"'), opens
    wine.uninstall(folder)
    assert not wine.keys(), wine.keys()
    assert work.read_text(encoding="utf-8") == "kept"
    return f"{count} files and {len(_KEYS)} keys came and went; the user's work stayed"


def odd_folder(wine: Wine, setup: Path, program: Path) -> str:
    """Installed into a folder with a space and Hangul in its name, and removed."""
    folder = wine.disk / "그림 도구" / "CLIP 아틀리에"
    # NSIS wants the folder last and without quotes, and Wine puts quotes around a word with a space in it.
    assert wine.run(str(setup), "/S", *r"/D=C:\그림 도구\CLIP 아틀리에".split()).returncode == 0
    count = installed(folder, program)
    wine.uninstall(folder)
    return f"{count} files came and went"


def foreign_folder(wine: Wine, setup: Path) -> str:
    """A folder with somebody's files is refused and left alone."""
    folder = wine.disk / "mine"
    folder.mkdir()
    (folder / "keep.txt").write_text("kept", encoding="utf-8")
    code = wine.run(str(setup), "/S", r"/D=C:\mine").returncode
    assert code != 0, "it was installed among somebody's files"
    assert [path.name for path in folder.iterdir()] == ["keep.txt"]
    return f"refused with {code}"


if __name__ == "__main__":
    sys.exit(main())
