"""Searches that were given a name, and the latest ones, in HOME/searches.json."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pydantic import Field

from clip_atelier.engine.core import Record, Text, read_kept, write_document

SCHEMA: Final = 1
LATEST: Final = 50
"""How many of the latest searches are kept."""


class KeptSearch(Record):
    """What was asked; what a picture without a file showed is not kept.

    Attributes:
        name: As the user called it; empty in the history.
        words: With their plus and minus.
        without: Words of what is not wanted, divided by commas.
        pictures: Files that are searched by.
    """

    name: Text = ""
    words: Text = ""
    without: Text = ""
    pictures: tuple[Text, ...] = ()

    @property
    def asked(self) -> tuple[str, str, tuple[str, ...]]:
        """Everything but the name."""
        return self.words, self.without, self.pictures

    def follows(self, earlier: KeptSearch) -> bool:
        """Whether this is the same question typed a little further, or taken back a little."""
        if self.pictures != earlier.pictures:
            return False
        both = ((self.words, earlier.words), (self.without, earlier.without))
        return all(one.startswith(other) or other.startswith(one) for one, other in both) and any(
            one == other for one, other in both
        )


class KeptSearches(Record):
    """All of them: the named ones in the order in which they were saved, the history with the latest first."""

    schema_version: int = Field(default=SCHEMA, alias="schema")
    saved: tuple[KeptSearch, ...] = ()
    history: tuple[KeptSearch, ...] = ()

    def remembering(self, search: KeptSearch) -> KeptSearches:
        """With one more search in the history: each is in it once, and of one that is being typed the last state."""
        search = search.model_copy(update={"name": ""})
        history = list(self.history)
        if history and search.follows(history[0]):
            history.pop(0)
        kept = [search, *(one for one in history if one.asked != search.asked)]
        return self.model_copy(update={"history": tuple(kept[:LATEST])})

    def saving(self, search: KeptSearch, name: str) -> KeptSearches:
        """With a search under a name; one of this name is replaced."""
        named = search.model_copy(update={"name": name})
        saved = tuple(named if one.name == name else one for one in self.saved)
        return self.model_copy(update={"saved": saved if named in saved else (*saved, named)})

    def renaming(self, before: str, name: str) -> KeptSearches:
        """With another name for a saved search; one that is taken changes nothing."""
        if any(one.name == name for one in self.saved):
            return self
        renamed = (one.model_copy(update={"name": name}) if one.name == before else one for one in self.saved)
        return self.model_copy(update={"saved": tuple(renamed)})

    def deleting(self, name: str) -> KeptSearches:
        """Without a saved search."""
        return self.model_copy(update={"saved": tuple(one for one in self.saved if one.name != name)})


def searches_file(home: Path) -> Path:
    """Where they lie."""
    return home / "searches.json"


def read_searches(home: Path) -> KeptSearches:
    """The searches of a home; none where there are none.

    Raises:
        DamagedFile: see `read_kept`.
    """
    return read_kept(searches_file(home), KeptSearches) or KeptSearches()


def write_searches(home: Path, searches: KeptSearches) -> None:
    """Keeps them, whole or not at all.

    Raises:
        WorkError: the home cannot be written.
    """
    write_document(searches_file(home), searches, copy=True)
