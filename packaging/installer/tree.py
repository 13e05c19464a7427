"""The frozen program's folder: what must be in it, what must not, its list of files."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from installer import licences
from installer.project import LARGEST_FILE, BuildError, platform_name

INSIDE = "program"

#: Found below the program's folder by these patterns, on every system or on one.
_NEEDED = {
    "": (
        "resources/models/starter/model.safetensors", "resources/models/starter/config.json",
        "resources/models/starter/tokenizer.json", "resources/samples/emoji/metadata.csv",
        "resources/fonts/Pretendard-Regular.otf", "resources/icons/clip-atelier.svg",
        "resources/translations/ko/LC_MESSAGES/clip_atelier.mo", "huggingface_hub/templates/*.md",
        "PySide6/**/translations/qtbase_ko.qm", "PySide6/**/plugins/imageformats/*qsvg*",
        "PySide6/**/plugins/iconengines/*qsvgicon*", "PySide6/**/plugins/platforms/*qoffscreen*",
        "_pi_heif*", "resvg_py/resvg_py*", "LICENSE", "THIRD_PARTY_NOTICES.txt",
    ),
    "linux": (
        "PySide6/Qt/plugins/platforms/libqxcb.so", "PySide6/Qt/plugins/platforminputcontexts/libibus*",
        "fallback/libEGL.so.1", "fallback/libGL.so.1", "fallback/libxcb.so.1", "fallback/order.txt", "fallback/fonts.conf",
        "libxcb-cursor.so.0", "libxkbcommon-x11.so.0", "torch/lib/libtorch_cpu.so",
    ),
    "windows": ("PySide6/plugins/platforms/qwindows.dll", "torch/lib/torch_cpu.dll"),
    "macos": ("PySide6/Qt/plugins/platforms/libqcocoa.dylib", "torch/lib/libtorch_cpu.dylib"),
}  # fmt: skip


def files(folder: Path) -> Iterator[Path]:
    """Every file and link below a folder, in the same order everywhere."""
    yield from sorted(
        (f for f in folder.rglob("*") if f.is_symlink() or not f.is_dir()), key=lambda f: f.as_posix()
    )


def check(folder: Path, edition: str = "cpu", platform: str | None = None) -> dict[str, int]:
    """Looks at a frozen program's folder and returns its number of files and bytes.

    Raises:
        BuildError: names everything that is missing or must not be there, all at once.
    """
    program = folder / INSIDE
    names = [f.relative_to(folder).as_posix() for f in files(folder)]
    faults = [
        f"missing: {pattern}"
        for system in ("", platform or platform_name())
        for pattern in _NEEDED[system]
        if not any(program.glob(pattern))
    ]
    faults += licences.forbidden(names, edition)
    total = 0
    for file in files(folder):
        faults += _faults_of(file, folder)
        total += file.lstat().st_size
    if edition == "cpu" and total > LARGEST_FILE:
        faults.append(f"{total / 2**20:.0f} MB are more than an NSIS installer can hold (2 GB)")
    if faults:
        raise BuildError(f"the frozen program in {folder} is not fit to ship:\n  " + "\n  ".join(faults))
    return {"files": len(names), "bytes": total}


def _faults_of(file: Path, folder: Path) -> Iterator[str]:
    name = file.relative_to(folder).as_posix()
    if file.is_symlink():
        target = os.readlink(file)
        if os.path.isabs(target) or not file.exists() or not file.resolve().is_relative_to(folder.resolve()):
            yield f"{name} is a link to {target}, which is not in the folder"
        return
    mode = file.stat().st_mode
    if not stat.S_ISREG(mode) or mode & (stat.S_ISUID | stat.S_ISGID):
        yield f"{name} is no plain file"
    if file.stat().st_size > LARGEST_FILE:
        yield f"{name} is larger than 2 GB"


def normalise(folder: Path, moment: int) -> None:
    """Gives every file the same rights and times whoever built it: the same sources make the same archive.

    Lists of installed files lose what lies outside the program: start scripts, which name the folder they were built in.
    """
    for record in folder.rglob("*.dist-info/RECORD"):
        lines = record.read_bytes().splitlines(keepends=True)
        record.write_bytes(b"".join(line for line in lines if not line.startswith(b"../")))
    for path in [folder, *folder.rglob("*")]:
        if path.is_symlink():
            if os.utime in os.supports_follow_symlinks:
                os.utime(path, (moment, moment), follow_symlinks=False)
            continue
        runs = path.is_dir() or bool(path.stat().st_mode & stat.S_IXUSR)
        path.chmod(0o755 if runs else 0o644)
        os.utime(path, (moment, moment))


def listing(folder: Path, out: Path) -> Path:
    """Writes `SHA-256  size  name` for each file, in a fixed order; two builds are compared by comparing these."""
    lines = []
    for file in files(folder):
        name = file.relative_to(folder).as_posix()
        if file.is_symlink():
            lines.append(f"{'link':64} {0:>12} {name} -> {os.readlink(file)}")
            continue
        with file.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        lines.append(f"{digest} {file.stat().st_size:>12} {name}")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
    return out
