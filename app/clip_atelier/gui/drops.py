"""Files and folders that are dropped on the window."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import unquote_to_bytes

from PySide6.QtCore import QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent


def dropped_paths(event: QDragEnterEvent | QDropEvent) -> list[Path]:
    """The local files and folders of a drag."""
    return [local_path(url) for url in event.mimeData().urls() if url.isLocalFile()]


def local_path(url: QUrl) -> Path:
    """A dropped file's path with its bytes intact: Qt's own conversion replaces what is not UTF-8."""
    encoded = bytes(url.toEncoded(QUrl.ComponentFormattingOption.FullyEncoded).data())
    if os.name == "posix" and encoded.startswith(b"file:///"):
        return Path(os.fsdecode(unquote_to_bytes(encoded[7:])))
    return Path(url.toLocalFile())
