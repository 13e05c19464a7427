"""A query's words as the model can take them: emoji by their names, and what it does not read or know is said."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final, Protocol

from clip_atelier.engine.core import _
from clip_atelier.engine.models import TextReading
from clip_atelier.engine.search.query import Query, Term

_PICTOGRAPHS: Final = 0x2190  # below are ©, ® and the like, which are letters to most people
_REGIONS: Final = range(0x1F1E6, 0x1F200)
_SILENT: Final = frozenset(
    (0x200D, 0x20E3, 0xFE0E, 0xFE0F, *range(0x1F3FB, 0x1F400), *range(0xE0020, 0xE0080))
)
"""What joins emoji or gives them a skin or a style."""


class Reader(Protocol):
    """A model, or as much of it as reads words."""

    def readings(self, texts: Sequence[str]) -> list[TextReading]:
        """How much of each text is read, and which of its words are not known."""


def readable(query: Query, model: Reader, taught: Iterable[str] = ()) -> tuple[Query, tuple[str, ...]]:
    """The query that is searched for, and remarks in the user's language.

    Args:
        query: As it was asked.
        model: What reads it.
        taught: Words of the user's own, which stay as they are.
    """
    own = {word.casefold() for word in taught}
    terms: list[Term] = []
    remarks: dict[str, None] = {}
    for term in query.terms:
        if isinstance(term.content, str) and term.content.strip().casefold() not in own:
            text, told = _worded(term.content, model)
            remarks.update(dict.fromkeys(told))
            term = replace(term, content=text)
        terms.append(term)
    return Query(tuple(terms)), tuple(remarks)


def emoji_name(text: str) -> str:
    """What emoji are called, in English as Unicode does; "" if there is anything else in the text."""
    names: list[str] = []
    for letter in text:
        code = ord(letter)
        if code in _SILENT or letter.isspace():
            continue
        if code in _REGIONS:
            names.append(chr(code - _REGIONS.start + ord("A")))
        elif code >= _PICTOGRAPHS and unicodedata.category(letter) in ("So", "Sk", "Sm"):
            names.append(unicodedata.name(letter, "").lower())
        else:
            return ""
    if names and all(len(name) == 1 for name in names):
        return f"flag {''.join(names)}"
    return " ".join(dict.fromkeys(filter(None, names)))


def _worded(text: str, model: Reader) -> tuple[str, list[str]]:
    remarks = []
    name = emoji_name(text)
    if name:
        remarks.append(
            _("“{emoji}” is searched for by its name: {name}.").format(emoji=text.strip(), name=name)
        )
        text = name
    reading = model.readings([text])[0]
    named = {word: emoji_name(word) for word in reading.unknown}
    for word, name in named.items():
        if name:
            remarks.append(_("“{emoji}” is searched for by its name: {name}.").format(emoji=word, name=name))
            text = re.sub(rf"(?<!\S){re.escape(word)}(?!\S)", name, text)
    if any(named.values()):
        reading = model.readings([text])[0]
    if reading.unknown:
        remarks.append(
            _("The model does not know: {words}. What it finds for that is chance.").format(
                words=", ".join(f"“{word}”" for word in reading.unknown)
            )
        )
    if reading.left_out:
        remarks.append(cut(reading))
    return text, remarks


def cut(reading: TextReading) -> str:
    """Where a text that is too long ends for the model, and how much is left out."""
    last = " ".join(reading.read.split()[-3:])
    return _("Longer than the model reads: it ends after “… {end}”; words left out: {count}.").format(
        end=last, count=len(reading.left_out)
    )
