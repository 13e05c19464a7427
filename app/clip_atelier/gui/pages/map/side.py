"""What stands beside the map: what its colours mean and how far to trust it, or the images that were chosen."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QStackedWidget

from clip_atelier.engine.core import N_, _
from clip_atelier.gui import theme
from clip_atelier.gui.pages.map.scatter_legend import Legend
from clip_atelier.gui.parts.pictures import PictureStore, TileView
from clip_atelier.gui.widgets.layout import box, row, scrolled
from clip_atelier.gui.widgets.sentences import Reading
from clip_atelier.gui.widgets.text import Button, Label, SpokenName

if TYPE_CHECKING:
    from clip_atelier.engine.analysis import FolderMap

_UNFINISHED = N_(
    "This is a first picture while the map is being drawn: it shows where groups lie, not yet who is next to whom."
)


class Side(QStackedWidget):
    """The meaning of the map first, the chosen images second."""

    def __init__(self, store: PictureStore) -> None:
        super().__init__()
        self.reading = Reading()
        self.legend = Legend()
        self.when = Label(role="caption", wrap=True)
        meant = Label(
            N_("Where each image stands when it is searched for with its own caption."), "caption", wrap=True
        )
        self.meant = meant
        trust = scrolled(
            box(
                Label(N_("What the colours mean"), "strong"), self.legend, meant, theme.M,
                Label(N_("How far to trust it"), "strong"), self.reading, theme.S, self.when, None,
            )
        )  # fmt: skip
        self.selected = Label(role="strong")
        self.drop = Button("", "icon", "x", tip=N_("Choose nothing"))
        self.list = TileView(store, 78, lines=1)
        SpokenName(self.list, N_("Pictures"))
        self.list.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        chosen = box(
            row(self.selected, None, self.drop), self.list,
            Label(N_("Double-click an image to find similar ones."), "caption", wrap=True),
        )  # fmt: skip
        self.addWidget(trust)
        self.addWidget(chosen)

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
