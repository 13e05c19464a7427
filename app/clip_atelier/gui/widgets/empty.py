"""What stands in the place of something that is not there yet: a picture, and words below it."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QWidget

from clip_atelier.gui import theme
from clip_atelier.gui.widgets.layout import Part, column, row
from clip_atelier.gui.widgets.text import Label, Picture


def nothing_yet(
    icon: str, words: Label, width: int = 480, *, above: Part = None, below: tuple[Part, ...] = ()
) -> QWidget:
    """An icon in the middle, and words in lines of a width below it.

    Args:
        icon: One of the icons.
        words: In the middle.
        width: Of their lines, in pixels.
        above: What stands between both, such as a title.
        below: What stands below the words, such as buttons.
    """
    words.setAlignment(Qt.AlignmentFlag.AlignCenter)
    words.setFixedWidth(width)
    empty = QWidget()
    parts: list[Part] = [row(None, part, None) if isinstance(part, QWidget) else part for part in below]
    head: list[Part] = [row(None, above, None)] if above is not None else []
    empty.setLayout(
        column(
            None, row(None, Picture(icon, 48, "strong_line"), None), *head, row(None, words, None), *parts, None,
            gap=theme.M,
        )
    )  # fmt: skip
    return empty
