"""Searches to come back to: those that were given a name, and the latest ones."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QInputDialog, QMenu

from clip_atelier.engine.core import N_, DamagedFile, WorkError, _, paths
from clip_atelier.engine.search import KeptSearch, KeptSearches, read_searches, write_searches
from clip_atelier.gui.widgets.text import Button

if TYPE_CHECKING:
    from clip_atelier.gui.app_model import AppModel

_WIDE = 60  # characters of a search in the menu


class SavedSearches(Button):
    """A button with their menu.

    Args:
        app_model: What the pages share.
        asked: What is asked now; None where that cannot be kept: nothing, or a picture that is no file.
    """

    chosen = Signal(object)  # a KeptSearch

    def __init__(self, app_model: AppModel, asked: Callable[[], KeptSearch | None]) -> None:
        super().__init__(N_("Searches"), "plain", "star", tip=N_("Saved searches, and the latest ones"))
        self._app_model = app_model
        self._asked = asked
        self.kept = KeptSearches()
        try:
            self.kept = read_searches(app_model.home)
        except DamagedFile as error:
            app_model.report(error)
        menu = QMenu(self)
        menu.aboutToShow.connect(lambda: self.fill(menu))
        self.setMenu(menu)

    def remember(self) -> None:
        """Puts what is asked now into the history."""
        search = self._asked()
        if search is not None:
            self._keep(self.kept.remembering(search))

    def fill(self, menu: QMenu) -> None:
        """What can be done now."""
        menu.clear()
        save = menu.addAction(_("Save this search…"), self._ask_for_name)
        save.setEnabled(self._asked() is not None)
        if self.kept.saved:
            menu.addSeparator()
            for one in self.kept.saved:
                menu.addAction(_plain(one.name), partial(self.chosen.emit, one))
            rename, delete = menu.addMenu(_("Rename")), menu.addMenu(_("Delete"))
            for one in self.kept.saved:
                rename.addAction(_plain(one.name), partial(self._ask_for_other_name, one.name))
                delete.addAction(_plain(one.name), partial(self._delete, one.name))
        menu.addSeparator()
        history = menu.addMenu(_("Latest searches"))
        history.setEnabled(bool(self.kept.history))
        for one in self.kept.history:
            history.addAction(_plain(search_words(one)), partial(self.chosen.emit, one))
        history.addSeparator()
        history.addAction(_("Clear the list"), self._clear)

    def _ask_for_name(self) -> None:
        search = self._asked()
        if search is None:
            return
        name, given = QInputDialog.getText(
            self, _("Save this search"), _("Name of the search:"), text=search_words(search)
        )
        if given and name.strip():
            self._keep(self.kept.saving(search, name.strip()))

    def _ask_for_other_name(self, before: str) -> None:
        name, given = QInputDialog.getText(self, _("Rename"), _("Name of the search:"), text=before)
        if given and name.strip():
            self._keep(self.kept.renaming(before, name.strip()))

    def _delete(self, name: str) -> None:
        self._keep(self.kept.deleting(name))

    def _clear(self) -> None:
        self._keep(self.kept.model_copy(update={"history": ()}))

    def _keep(self, kept: KeptSearches) -> None:
        if kept == self.kept:
            return
        self.kept = kept
        try:
            write_searches(self._app_model.home, kept)
        except WorkError as error:
            self._app_model.report(error)


def search_words(search: KeptSearch) -> str:
    """A search in one line."""
    parts = [search.words, *(paths.shown(Path(file).name) for file in search.pictures)]
    if search.without:
        parts.append(_("without {words}").format(words=search.without))
    return "  ·  ".join(part for part in parts if part)


def _plain(text: str) -> str:
    """As an entry of a menu: shortened, and with no letter underlined."""
    short = text if len(text) <= _WIDE else text[: _WIDE - 1] + "…"
    return short.replace("&", "&&")
