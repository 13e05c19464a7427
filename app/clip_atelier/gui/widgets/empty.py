"""What stands in the place of something that is not there yet: a picture, and words below it."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QWidget

from clip_atelier.gui import theme
from clip_atelier.gui.widgets.layout import column, row
from clip_atelier.gui.widgets.text import Label, Picture


def nothing_yet(icon: str, words: Label, width: int = 480) -> QWidget:
    """An icon in the middle, and words in lines of a width below it."""
    words.setAlignment(Qt.AlignmentFlag.AlignCenter)
    words.setFixedWidth(width)
    empty = QWidget()
    empty.setLayout(
        column(
            None, row(None, Picture(icon, 48, "strong_line"), None), row(None, words, None), None, gap=theme.M
        )
    )
    return empty
