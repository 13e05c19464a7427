"""How pictures leave the window: dragged out as files, copied, or shown in the file manager."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QMimeData, QUrl
from PySide6.QtGui import QDesktopServices, QImage

from clip_atelier.engine.core import original, paths


def as_files(files: Sequence[Path]) -> QMimeData:
    """Files as every program takes them that is dropped on or pasted into: addresses, and the paths as text.

    Of a document's pages the document leaves, once.
    """
    files = list(dict.fromkeys(original(file) for file in files))
    data = QMimeData()
    data.setUrls([address(file) for file in files])
    data.setText("\n".join(paths.shown(file) for file in files))
    return data


def address(file: Path) -> QUrl:
    """A file's address, with the bytes of its name as they are."""
    return QUrl.fromEncoded(file.absolute().as_uri().encode())


def as_picture(image: QImage) -> QMimeData:
    """A picture's pixels, for programs that paste pictures."""
    data = QMimeData()
    data.setImageData(image)
    return data


def command(platform: str, file: Path) -> list[str]:
    """What selects a file in the file manager of a platform."""
    if platform == "win32":
        return ["explorer", f"/select,{file}"]
    if platform == "darwin":
        return ["open", "-R", str(file)]
    # The interface that file managers of all desktops offer. `--print-reply` makes the failure of nobody offering it known.
    uri = file.absolute().as_uri().replace(",", "%2C")  # a comma would end the array's first entry
    return [
        "dbus-send", "--session", "--print-reply", "--reply-timeout=2000",
        "--dest=org.freedesktop.FileManager1", "/org/freedesktop/FileManager1",
        "org.freedesktop.FileManager1.ShowItems", f"array:string:{uri}", "string:",
    ]  # fmt: skip


def show_selected(words: Sequence[str]) -> bool:
    """Runs such a command; whether the file manager took it. May wait a moment, so it is called beside the window."""
    try:
        # Explorer ends with 1 whatever it did; the others say by it whether the file is shown.
        done = subprocess.run(words, capture_output=True, timeout=3, check=False)
    except subprocess.TimeoutExpired:
        return True
    except OSError:
        return False
    return done.returncode == 0 or os.name == "nt"


def open_folder(folder: Path) -> None:
    """Opens a folder the system's usual way."""
    QDesktopServices.openUrl(QUrl.fromLocalFile(str(folder)))
