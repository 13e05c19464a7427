"""Which trainings the table shows: of one collection, model or preset; archived ones only when asked for."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from clip_atelier.engine import settings
from clip_atelier.engine.core import N_, _, paths
from clip_atelier.gui.widgets.inputs import Choice, Switch
from clip_atelier.gui.widgets.layout import row
from clip_atelier.gui.widgets.text import Label, SpokenName

if TYPE_CHECKING:
    from clip_atelier.engine.evaluation import Row


class Narrowing(QWidget):
    """The choices above the table; each is there only where it divides the trainings."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.collection = Choice({"": N_("All collections")})
        self.model = Choice({"": N_("All models")})
        self.preset = Choice({"": N_("All presets")})
        self.archived = Switch()
        self._archived = Label(N_("Archived too"), "caption")
        for control, words in (
            (self.collection, N_("Collection")), (self.model, N_("Model")), (self.preset, N_("Preset")),
            (self.archived, N_("Archived too")),
        ):  # fmt: skip
            SpokenName(control, words)
            control.edited.connect(self.changed)
        self.setLayout(row(self.collection, self.model, self.preset, None, self._archived, self.archived))
        self.hide()

    def offer(self, rows: Sequence[Row]) -> None:
        """Offers what these trainings differ in; a choice stays while one of them answers to it."""
        self._renew(self.collection, N_("All collections"), {_folder(r): _name(r.folder) for r in rows})
        self._renew(self.model, N_("All models"), {m: _name(m) for m in map(_model, rows) if m})
        presets = {r.preset: settings.PRESETS[r.preset].title for r in rows if r.preset in settings.PRESETS}
        self._renew(self.preset, N_("All presets"), presets)
        some = any(row.label.archived for row in rows)
        self.archived.setVisible(some)
        self._archived.setVisible(some)
        choices = (self.collection, self.model, self.preset)
        self.setVisible(some or any(not choice.isHidden() for choice in choices))

    @staticmethod
    def _renew(choice: Choice, every: str, found: Mapping[str, str]) -> None:
        kept = choice.value()
        choice.renew({"": every, **found})
        choice.set_value(kept if kept in found else "")
        choice.setVisible(len(found) > 1)

    def kept(self, rows: Sequence[Row]) -> list[Row]:
        """The trainings that are to be shown."""
        wanted = ((self.collection, _folder), (self.model, _model), (self.preset, lambda r: r.preset))
        return [
            one
            for one in rows
            if (self.archived.value() or not one.label.archived)
            and all(choice.value() in ("", value(one)) for choice, value in wanted)
        ]


def _folder(row: Row) -> str:
    return os.path.abspath(row.folder)


def _model(row: Row) -> str:
    return str(row.settings.get("model.name", ""))


def _name(path: str) -> str:
    return paths.shown(Path(path).name) or _("No folder")
