"""What the Map page asks of the engine besides the map itself, as work for a lane."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QBuffer, QByteArray, QIODevice
from PySide6.QtGui import QImage, QImageWriter

from clip_atelier.engine.core import Control, Work, _, paths, write_whole
from clip_atelier.gui.jobs import at_once

if TYPE_CHECKING:
    from clip_atelier.engine.analysis import FolderMap
    from clip_atelier.gui.workers import Tools


def write_map(result: FolderMap, out: Path, _tools: Tools, _control: Control) -> Work[Path]:
    """Writes a map's points as a table (.csv) that a spreadsheet can open safely."""
    from clip_atelier.engine.core import tables

    columns = ("label", "split", "caption", "motion", "control_motion", "before", "after")
    header = ("path", "base_x", "base_y", "adapted_x", "adapted_y", *columns)
    rows = [
        (paths.shown(p.path), *p.base, *(p.adapted or ("", "")), *(getattr(p, key) for key in columns))
        for p in result.points
    ]

    def write() -> Path:
        tables.write(out, header, rows)
        return out

    return at_once(write)


def write_picture(image: QImage, out: Path, _tools: Tools, _control: Control) -> Work[Path]:
    """Writes a picture (.png).

    Raises:
        WorkError: it cannot be written.
    """

    def write() -> Path:
        # Encoded in memory and written by Python: Qt alters odd file names.
        data = QByteArray()
        buffer = QBuffer(data)
        buffer.open(QIODevice.OpenModeFlag.WriteOnly)
        QImageWriter(buffer, QByteArray(b"png")).write(image)
        write_whole(out, bytes(data.data()), _("Free some space, or choose another place."))
        return out

    return at_once(write)
