"""The pages, in the order of the work. A new page is one file and one line here."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from PySide6.QtWidgets import QWidget

from clip_atelier.engine.core import N_

if TYPE_CHECKING:
    from clip_atelier.gui.app_model import AppModel


@dataclass(frozen=True)
class Page:
    """One entry of the left rail. The module is imported when the page is first shown and offers `make(app_model)`."""

    name: str
    title: str
    icon: str

    def make(self, app_model: AppModel) -> QWidget:
        """The page's widget."""
        module = import_module(f"clip_atelier.gui.pages.{self.name}.page")
        widget: QWidget = module.make(app_model)
        return widget


PAGES: tuple[Page, ...] = (
    Page("collection", N_("Collection"), "images"),
    Page("settings", N_("Settings"), "sliders-horizontal"),
    Page("training", N_("Training"), "activity"),
    Page("search", N_("Search"), "search"),
    Page("table", N_("Table"), "table"),
    Page("map", N_("Map"), "map"),
    Page("learned", N_("Learned and lost"), "scale"),
    Page("models", N_("Models"), "layers"),
)
