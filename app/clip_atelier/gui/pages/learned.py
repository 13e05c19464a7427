"""The page of what was gained against what was forgotten, and of the words learned and lost."""

from __future__ import annotations

from PySide6.QtWidgets import QWidget

from clip_atelier.gui.desk import Desk


def make(desk: Desk) -> QWidget:
    """The page."""
    return LearnedPage(desk)


class LearnedPage(QWidget):
    """All of it."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self.desk = desk
