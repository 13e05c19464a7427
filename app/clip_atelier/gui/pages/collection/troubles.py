"""What is wrong with a collection's files, and which of its drawings look nearly the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from PySide6.QtWidgets import QStackedWidget, QWidget

from clip_atelier.engine.core import N_, _, paths
from clip_atelier.engine.data import located
from clip_atelier.gui import theme
from clip_atelier.gui.parts.pictures import PictureStore, Tile, TileView
from clip_atelier.gui.parts.plain_table import fill_table, plain_table
from clip_atelier.gui.widgets.layout import box, card, row
from clip_atelier.gui.widgets.text import Label, Picture, SpokenName

if TYPE_CHECKING:
    from clip_atelier.engine.data import Collection


class Problems(QStackedWidget):
    """The files that are left out, each with its reason; or that there are none."""

    def __init__(self) -> None:
        super().__init__()
        self.table = plain_table((N_("File"), N_("Why it is left out")))
        SpokenName(self.table, N_("Problems"))
        self.addWidget(card(self.table, margin=1))
        self.addWidget(_nothing("circle-check", N_("Every file could be read.")))

    def show_collection(self, collection: Collection) -> None:
        """Lists its problems."""
        fill_table(self.table, [(paths.shown(p.path), p.reason) for p in collection.problems])
        self.setCurrentIndex(0 if collection.problems else 1)


class Twins(QStackedWidget):
    """The groups of drawings that look nearly the same; or that there are none."""

    def __init__(self, store: PictureStore) -> None:
        super().__init__()
        self.grid = TileView(store, 120, lines=2)
        SpokenName(self.grid, N_("Near-duplicates"))
        words = Label(
            N_(
                "Each group shows nearly the same drawing. A group is never torn apart between training and "
                "checking, so that nothing is found merely because it was seen."
            ),
            "muted",
            wrap=True,
        )
        view: Any = box(words, self.grid, gap=theme.M)
        view.layout().setStretch(1, 1)
        self.addWidget(view)
        self.addWidget(_nothing("circle-check", N_("No two images look nearly the same.")))

    def show_collection(self, collection: Collection) -> None:
        """Shows its groups."""
        tiles = [
            Tile(
                located(collection.root, path),
                paths.shown(path),
                _("group {number}").format(number=n),
                str(n),
            )
            for n, group in enumerate(collection.duplicates, 1)
            for path in group
        ]
        self.grid.show_tiles(tiles)
        self.setCurrentIndex(0 if tiles else 1)


def _nothing(icon: str, text: str) -> QWidget:
    return box(None, row(None, Picture(icon, 28, "gain"), None), row(None, Label(text, "muted"), None), None)
