"""The Table page: every run with what it did for retrieval, and the grid that fills the table."""

from __future__ import annotations

from PySide6.QtWidgets import QWidget

from clip_atelier.engine.i18n import N_
from clip_atelier.gui import theme
from clip_atelier.gui.desk import Desk
from clip_atelier.gui.widgets.layout import column, row
from clip_atelier.gui.widgets.text import Label


def make(desk: Desk) -> QWidget:
    """The page."""
    return TablePage(desk)


class TablePage(QWidget):
    """Every run, compared."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self.desk = desk
        layout = column(row(Label(N_("Table"), "title"), None), None, gap=theme.M)
        layout.setContentsMargins(theme.XL, theme.L, theme.XL, theme.L)
        self.setLayout(layout)
