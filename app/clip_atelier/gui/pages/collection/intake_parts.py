"""What the dialog of photographed pages keeps of each page, and how it shows a drawing."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Final

from PySide6.QtCore import Qt
from PySide6.QtGui import QIcon, QImage, QPainter, QPixmap

from clip_atelier.gui.pages.collection.intake_jobs import Shown

THUMB: Final = 120


@dataclasses.dataclass
class LookedAt:
    """One page of the dialog."""

    path: Path
    shown: Shown | None = None
    problem: str = ""
    used: bool = True
    changed: bool = False  # its boxes are no longer those that were found


def icon_of(picture: QImage) -> QIcon:
    """A picture as a list shows it."""
    side = 2 * THUMB
    small = picture.scaled(
        side, side, Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation
    )
    # All of one size, so that the numbers below them stand in a line.
    whole = QPixmap(side, side)
    whole.fill(Qt.GlobalColor.transparent)
    painter = QPainter(whole)
    painter.drawImage((side - small.width()) // 2, (side - small.height()) // 2, small)
    painter.end()
    return QIcon(whole)
