"""What is searched for: words and images, added and taken away."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self, TypeAlias

from clip_atelier.engine.core import UserError, _

if TYPE_CHECKING:
    from PIL import Image

Picture: TypeAlias = "Path | Image.Image"

# Quoted words, or a plus or minus sign that stands alone, or anything else without spaces.
_PARTS = re.compile(r'"(?P<quoted>[^"]*)"|(?P<sign>[+\-−](?=\s|$))|(?P<word>\S+)')


@dataclass(frozen=True)
class Term:
    """One part of a query: words or a picture, with a weight (negative takes it away)."""

    content: str | Picture
    weight: float = 1.0


@dataclass(frozen=True)
class Query:
    """A sum of terms. Each term's embedding has length 1; their weighted sum is normalised again."""

    terms: tuple[Term, ...]

    @classmethod
    def of(cls, *contents: str | Picture) -> Self:
        """A query that adds words (taken literally) and pictures."""
        return cls(tuple(Term(content) for content in contents))

    def plus(self, content: str | Picture, weight: float = 1.0) -> Query:
        """This query with one more term."""
        return Query((*self.terms, Term(content, weight)))

    @property
    def alone(self) -> str | Picture | None:
        """What is asked where it is one thing, words or a picture; None where things are added or taken away."""
        return self.terms[0].content if len(self.terms) == 1 and self.terms[0].weight > 0 else None

    @property
    def texts(self) -> list[str]:
        """The words of the query, in order."""
        return [term.content for term in self.terms if isinstance(term.content, str)]

    @property
    def pictures(self) -> list[Picture]:
        """The pictures of the query, in order."""
        return [term.content for term in self.terms if not isinstance(term.content, str)]


WITHOUT: Final = -0.3
"""Weight of what is not wanted. At -1 the query drifts away from what is asked; at -0.3 what is not wanted was 2 to 3 times
rarer among the first results of two collections and the ranking of the others as good as before, or better."""


def parse_query(text: str, pictures: Sequence[Picture] = (), without: str = "") -> Query:
    """Reads `horse + stripes`, `apple - fruit`; `"rock + roll"` in quotes is taken as it is.

    A sign counts only where it stands alone, so that `t-shirt` and `1+1` are words. Pictures are added. What stands in
    `without`, divided by commas, is pushed down the ranking but not taken from the meaning of what is asked.

    Raises:
        UserError: nothing to search for, or a sign without words after it.
    """
    terms = [Term(picture) for picture in pictures]
    words: list[str] = []
    weight, signed = 1.0, False
    for part in _PARTS.finditer(text):
        if part["sign"]:
            if words:
                terms.append(Term(" ".join(words), weight))
            elif signed:
                raise _incomplete(text)
            words, signed = [], True
            weight = 1.0 if part["sign"] == "+" else -1.0
        else:
            words.extend((part["quoted"] if part["quoted"] is not None else part["word"]).split())
    if words:
        terms.append(Term(" ".join(words), weight))
    elif signed:
        raise _incomplete(text)
    if not terms:
        raise UserError(_("There is nothing to search for."), _("Give some words or an image."))
    unwanted = [" ".join(words.split()) for words in without.split(",") if words.strip()]
    return Query((*terms, *(Term(words, WITHOUT) for words in unwanted)))


def _incomplete(text: str) -> UserError:
    return UserError(
        _("“{text}” has a plus or minus with nothing after it.").format(text=text),
        _("Write for example: horse + stripes. In quotes, signs are taken as words."),
    )
