"""One picture of the collection, large, with all that is known about it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtWidgets import QFrame

from clip_atelier.engine.core import N_, _, paths
from clip_atelier.gui import theme
from clip_atelier.gui.parts.large_pictures import LargePicture
from clip_atelier.gui.widgets.layout import box, column, row, scrolled
from clip_atelier.gui.widgets.text import Button, ElidedLabel, Label

if TYPE_CHECKING:
    from clip_atelier.gui.app_model import AppModel

PARTS = {"train": N_("learned from"), "validation": N_("chosen by"), "test": N_("checked on")}
_ROLES = {"sketch": N_("sketch"), "artwork": N_("artwork")}


class Detail(QFrame):
    """One picture, large, with all that is known about it."""

    def __init__(self, app_model: AppModel) -> None:
        super().__init__()
        self._app_model = app_model
        self._path: Path | None = None
        self.setProperty("role", "card")
        self.setFixedWidth(268)
        self.picture = LargePicture(app_model.store, 220)
        self.name = ElidedLabel(role="strong")
        self.extent = Label(role="caption")
        self.captions = Label(wrap=True)
        self.facts = Label(role="muted", wrap=True)
        self.reveal = Button(N_("Show in folder"), "quiet", "external-link")
        self.alike = Button(N_("Find similar"), "quiet", "search")
        self.reveal.clicked.connect(self._reveal)
        self.alike.clicked.connect(self._find)
        self.none = Label(N_("Choose a drawing to see it large."), "muted", wrap=True)
        self.known = box(
            self.name, self.extent, theme.S, self.captions, self.facts, theme.S, row(self.reveal, None),
            row(self.alike, None), None, gap=theme.XS,
        )  # fmt: skip
        # It keeps its room while nothing is chosen: a click must not push the drawings away from under the pointer.
        layout = column(self.picture, self.none, scrolled(self.known), gap=theme.M)
        layout.setContentsMargins(theme.M, theme.M, theme.M, theme.M)
        self.setLayout(layout)
        self.show_item(None)

    def show_item(self, index: int | None) -> None:
        """Shows one item of the collection, or nothing."""
        collection = self._app_model.collection
        nothing = index is None or collection is None
        self.picture.setHidden(nothing)
        self.known.setHidden(nothing)
        self.none.setVisible(nothing)
        if index is None or collection is None:
            self._path = None
            self.picture.show_path(None)
            return
        item = collection.items[index]
        self._path = collection.absolute(item)
        self.picture.show_path(self._path)
        self.name.show_literal(paths.shown(item.path))
        self.extent.show_literal(f"{item.width:,} × {item.height:,}")
        self.captions.show_literal("\n".join(item.captions))
        known = [
            (N_("Label: {value}"), item.label),
            (N_("Pair: {value}"), item.pair),
            (N_("Side: {value}"), _(_ROLES.get(item.role, ""))),
            (N_("Part: {value}"), _(PARTS.get(self._app_model.part_of.get(index, ""), ""))),
        ]
        self.facts.show_literal("\n".join(_(text).format(value=value) for text, value in known if value))

    def _reveal(self) -> None:
        if self._path is not None:
            self._app_model.reveal(self._path)

    def _find(self) -> None:
        if self._path is not None:
            self._app_model.page_wanted.emit("search")
            self._app_model.asked_to_find.emit(str(self._path))
