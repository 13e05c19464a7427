"""Words for what people draw, in English and Korean: the names that the bundled sample gives its drawings."""

from __future__ import annotations

import csv
import json
from functools import lru_cache
from typing import Final

from clip_atelier.engine.core import paths

LANGUAGES: Final = ("en", "ko")
"""In the order in which the sample's captions give them."""


@lru_cache
def drawing_words(language: str) -> tuple[str, ...]:
    """Each word once, in the sample's order; none in a language that the list is not in."""
    if language not in LANGUAGES:
        return ()
    table = paths.sample_collection() / "metadata.csv"
    with table.open(encoding="utf-8", newline="") as stream:
        named = [json.loads(row["text"]) for row in csv.DictReader(stream)]
    place = LANGUAGES.index(language)
    return tuple(dict.fromkeys(names[place] for names in named if len(names) > place))
