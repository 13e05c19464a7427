"""The Map page: t-SNE of the collection before and after the adaptation, and how far to trust it."""

from __future__ import annotations

from PySide6.QtWidgets import QWidget

from clip_atelier.gui.desk import Desk


def make(desk: Desk) -> QWidget:
    """The page."""
    return MapPage(desk)


class MapPage(QWidget):
    """All of it."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self.desk = desk
