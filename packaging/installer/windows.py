"""The Windows installer: what PyInstaller wants to know, and NSIS over the frozen program's folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from installer.project import (
    COMMAND,
    LARGEST_FILE,
    NAME,
    PACKAGING,
    RESOURCES,
    ROOT,
    SUMMARY,
    run,
    version,
    within,
)

_VERSION_INFO = """\
VSVersionInfo(
  ffi=FixedFileInfo(filevers={numbers}, prodvers={numbers}, mask=0x3F, flags=0x0, OS=0x40004, fileType=0x1, subtype=0x0),
  kids=[
    StringFileInfo([StringTable("040904B0", [
      StringStruct("CompanyName", "The CLIP Atelier authors"), StringStruct("FileDescription", {summary!r}),
      StringStruct("FileVersion", "{version}"), StringStruct("ProductName", "{name}"), StringStruct("ProductVersion", "{version}"),
      StringStruct("LegalCopyright", "Apache License 2.0"),
    ])]),
    VarFileInfo([VarStruct("Translation", [1033, 1200])]),
  ],
)
"""


def prepare(work: Path) -> Path:
    """Writes the icon and the version record of the executables; returns the icon."""
    from PIL import Image

    work.mkdir(parents=True, exist_ok=True)
    icon = work / "clip-atelier.ico"
    with Image.open(RESOURCES / "icons" / "clip-atelier.png") as picture:
        picture.convert("RGBA").save(icon, sizes=[(n, n) for n in (16, 24, 32, 48, 64, 128, 256)])
    record = work / "version.txt"
    numbers = tuple([*(int(n) for n in version().split(".")[:3]), 0][:4])
    record.write_text(
        _VERSION_INFO.format(numbers=numbers, version=version(), name=NAME, summary=SUMMARY), encoding="utf-8"
    )
    os.environ["CLIP_ATELIER_VERSION_FILE"] = str(record)
    return icon


def build(program: Path, work: Path, out: Path) -> Path:
    """Packs a frozen program's folder; where a certificate is set up (SIGNTOOL), it is signed before and after.

    Raises:
        BuildError: makensis is not there or fails, or the result is larger than NSIS and release pages allow.
    """
    out.mkdir(parents=True, exist_ok=True)
    installer = out / f"{COMMAND}-{version()}-windows-x86_64.exe"
    icon = work / "clip-atelier.ico"
    if not icon.is_file():
        prepare(work)
    for file in (program / f"{NAME}.exe", program / f"{COMMAND}.exe"):
        sign(file)
    flag = "/" if sys.platform == "win32" else "-"
    defines = {
        "VERSION": version(), "SOURCE": str(program), "OUTFILE": str(installer), "ICON": str(icon), "ROOT": str(ROOT),
        **({"TARGET": "amd64-unicode"} if has_64_bit_stub() else {}),
    }  # fmt: skip
    run(
        ["makensis", f"{flag}V2", f"{flag}INPUTCHARSET", "UTF8", *(f"{flag}D{n}={v}" for n, v in defines.items()),
         PACKAGING / "windows" / "installer.nsi"]
    )  # fmt: skip
    sign(installer)
    return within(LARGEST_FILE, installer)


def has_64_bit_stub() -> bool:
    """Whether this NSIS can make 64-bit installers (Debian's can, the one from the project's page cannot)."""
    found = shutil.which("makensis")
    if found is None:
        return False
    folders = (Path(found).resolve().parent, Path("/usr/share/nsis"))
    return any((folder / "Stubs" / "lzma_solid-amd64-unicode").is_file() for folder in folders)


def sign(file: Path) -> None:
    """Signs a file with the command in SIGNTOOL, to which its path is added; does nothing without one."""
    tool = os.environ.get("SIGNTOOL")
    if tool:
        subprocess.run(f'{tool} "{file}"', shell=True, check=True)
