"""The pages, in the order of the work. A new page is one file and one line here."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module

from PySide6.QtWidgets import QWidget

from clip_atelier.engine.i18n import N_
from clip_atelier.gui.desk import Desk


@dataclass(frozen=True)
class Page:
    """One entry of the left rail. The module is imported when the page is first shown and offers `make(desk)`."""

    name: str
    title: str
    icon: str

    def make(self, desk: Desk) -> QWidget:
        """The page's widget."""
        module = import_module(f"clip_atelier.gui.pages.{self.name}")
        widget: QWidget = module.make(desk)
        return widget


PAGES: tuple[Page, ...] = (
    Page("collection", N_("Collection"), "images"),
    Page("settings", N_("Settings"), "sliders-horizontal"),
    Page("training", N_("Training"), "activity"),
    Page("search", N_("Search"), "search"),
    Page("table", N_("Table"), "table"),
    Page("map", N_("Map"), "map"),
    Page("learned", N_("Learned and lost"), "scale"),
)
