"""What is said of a word that the user taught to a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from clip_atelier.engine.core import N_, _

if TYPE_CHECKING:
    from clip_atelier.engine.parts import TaughtWord

SURE: Final = {
    "yes": N_("Sure"),
    "unsure": N_("Not sure: teach it with more drawings"),
    "too few": N_("Too few drawings to be sure"),
}

_TOLD: Final = {
    "yes": N_(
        "“{word}” finds {found} of its {count} drawings when it is learned from the others. You can rely on it."
    ),
    "unsure": N_(
        "“{word}” finds only {found} of its {count} drawings when it is learned from the others. "
        "More drawings, or drawings that are more alike, would make it sure."
    ),
    "too few": N_(
        "“{word}” is taught, but this training has too few drawings of it to be sure. Three or more are needed."
    ),
}


def how_sure(word: TaughtWord) -> str:
    """How sure a word is, in a sentence."""
    return _(_TOLD[word.sure]).format(word=word.word, found=word.found, count=len(word.drawings))


def found(word: TaughtWord) -> str:
    """How many of its drawings a word finds, as a table shows it."""
    return "–" if word.found is None else f"{word.found} / {len(word.drawings)}"
