"""What stands beside the map: what its colours mean and how far to trust it, or the images that were chosen."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QStackedWidget

from clip_atelier.engine.core import N_, _
from clip_atelier.gui import theme
from clip_atelier.gui.pages.map.scatter_legend import Legend
from clip_atelier.gui.parts.pictures import PictureStore, Tile, TileView
from clip_atelier.gui.widgets.layout import box, row, scrolled
from clip_atelier.gui.widgets.sentences import Reading
from clip_atelier.gui.widgets.text import Button, Label, SpokenName

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clip_atelier.engine.analysis import FolderMap
    from clip_atelier.gui.pages.map.points import MapData

_ALONE = N_("{count} stand alone")
_TWINS = N_("{count} are nearly the same as another")
_UNFINISHED = N_(
    "This is a first picture while the map is being drawn: it shows where groups lie, not yet who is next to whom."
)


class Side(QStackedWidget):
    """The meaning of the map first, the chosen images second, with what can be done with them."""

    shown = Signal(object)  # [N] bool: the points that are to be chosen
    common_wanted = Signal(object)  # files: what they have in common is to be searched for
    captions_wanted = Signal(object)  # paths below the folder: their captions are to be edited

    def __init__(self, store: PictureStore) -> None:
        super().__init__()
        self.reading = Reading()
        self.legend = Legend()
        self.when = Label(role="caption", wrap=True)
        meant = Label(
            N_("Where each image stands when it is searched for with its own caption."), "caption", wrap=True
        )
        self.meant = meant
        self.alone = Button(_ALONE, "quiet", "search", count=0)
        self.twins = Button(_TWINS, "quiet", "copy", count=0)
        self._data: MapData | None = None
        self.alone.clicked.connect(lambda: self._show("alone"))
        self.twins.clicked.connect(lambda: self._show("twins"))
        trust = scrolled(
            box(
                Label(N_("What the colours mean"), "strong"), self.legend, meant, theme.S, row(self.alone, None),
                row(self.twins, None), theme.M,
                Label(N_("How far to trust it"), "strong"), self.reading, theme.S, self.when, None,
            )
        )  # fmt: skip
        self.selected = Label(role="strong")
        self.drop = Button("", "icon", "x", tip=N_("Choose nothing"))
        self.list = TileView(store, 78, lines=1)
        SpokenName(self.list, N_("Pictures"))
        self.list.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.common = Button(N_("Search for what they share"), "plain", "search")
        self.captions = Button(N_("Edit their captions"), "plain", "type")
        self.common.clicked.connect(lambda: self.common_wanted.emit([tile.path for tile in self._tiles]))
        self.captions.clicked.connect(self._ask_for_captions)
        self._tiles: Sequence[Tile] = ()
        chosen = box(
            row(self.selected, None, self.drop), self.list, self.common, self.captions,
            Label(N_("Double-click an image to find similar ones."), "caption", wrap=True),
        )  # fmt: skip
        self.addWidget(trust)
        self.addWidget(chosen)

    def offer(self, data: MapData) -> None:
        """Offers the drawings of a map that are unlike all others, or nearly the same."""
        self._data = data
        self.alone.say(_ALONE, count=len(data.alone))
        self.alone.tell(N_("Drawings that are far from all others: odd ones, or pages that are no drawings."))
        self.twins.say(_TWINS, count=len(set(data.twins)))
        self.twins.tell(
            N_(
                "Versions of one drawing, or the same thing drawn twice; exact copies are told of on Collection."
            )
        )
        self.alone.setVisible(bool(data.alone))
        self.twins.setVisible(bool(data.twins))

    def _show(self, which: str) -> None:
        if self._data is not None:
            self.shown.emit(self._data.mask(getattr(self._data, which)))

    def show_chosen(self, tiles: Sequence[Tile]) -> None:
        """Shows the chosen images."""
        self._tiles = tiles
        self.selected.say(N_("{count} images chosen"), count=f"{len(tiles):,}")
        self.list.show_tiles(list(tiles))

    def _ask_for_captions(self) -> None:
        if self._data is not None:
            self.captions_wanted.emit([self._data.points[int(tile.data)].path for tile in self._tiles])

    def say(self, result: FolderMap, measured_at: float) -> None:
        """How far to trust a map, and how it was made; in the current language."""
        if not result.scores:
            self.reading.say([_(_UNFINISHED)], stress=False)
            self.when.say("")
            return
        from clip_atelier.engine.analysis import reading

        self.reading.say(reading(result.scores), stress=False)
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(measured_at))
        values = {"when": when, "perplexity": f"{result.scores['perplexity']:.0f}"}
        if result.run is None:
            self.when.say(N_("Drawn {when}, perplexity {perplexity}."), **values)
        else:
            values["strength"] = f"{result.strength:g}"
            self.when.say(N_("Drawn {when}, perplexity {perplexity}, strength {strength}."), **values)
