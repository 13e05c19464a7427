"""What the sections of a report have in common: what a template is given, and how runs and verdicts are called."""

from __future__ import annotations

from typing import Any, Final

from clip_atelier.engine.core import _
from clip_atelier.engine.evaluation import Row

View = dict[str, Any]
"""What a part of the template is given."""

SHOWN: Final = ("R@1", "mAP")
"""In the table of several runs and of a run's questions."""


def name_of(row: Row) -> str:
    """The name that its user gave to a run, else its id."""
    return row.name or row.run


def tone_of(word: str) -> str:
    """The colour of a verdict, by its class in the page."""
    return word if word in ("gain", "loss") else ""


def verdict_word(word: str) -> str:
    """A verdict in a word or two."""
    words = {
        "gain": _("helped"),
        "loss": _("made it worse"),
        "no measurable difference": _("no difference found"),
    }
    return words.get(word, "–")
