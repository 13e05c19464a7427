"""Which languages a model's words can be in, and captions or queries in another one.

What is written with letters of its own (Korean, Japanese, Chinese, Russian, …) is told by those; everything in Latin letters
counts as English, since a few words do not tell English from French.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from clip_atelier.engine.core import N_, Control, Work, _
from clip_atelier.engine.models import shelf
from clip_atelier.engine.storage import BlobCache

if TYPE_CHECKING:
    from clip_atelier.engine.models.family import Model

NAMES: Final = {
    "en": N_("English"), "ko": N_("Korean"), "ja": N_("Japanese"), "zh": N_("Chinese"), "ru": N_("Russian"),
    "ar": N_("Arabic"), "he": N_("Hebrew"), "el": N_("Greek"), "hi": N_("Hindi"), "th": N_("Thai"),
    "es": N_("Spanish"), "fr": N_("French"), "it": N_("Italian"), "*": N_("a hundred and more"),
}  # fmt: skip
"""Codes that the shelf and `language_of` use, in words (marked with `N_`)."""

_LETTERS: Final = (
    ("ko", re.compile("[\u1100-\u11ff\u3130-\u318f\uac00-\ud7af]")),
    ("ja", re.compile("[\u3040-\u30ff]")),
    ("zh", re.compile("[\u4e00-\u9fff]")),
    ("ru", re.compile("[\u0400-\u04ff]")),
    ("ar", re.compile("[\u0600-\u06ff]")),
    ("he", re.compile("[\u0590-\u05ff]")),
    ("el", re.compile("[\u0370-\u03ff]")),
    ("hi", re.compile("[\u0900-\u097f]")),
    ("th", re.compile("[\u0e00-\u0e7f]")),
    ("en", re.compile("[A-Za-z]")),
)
_FEW: Final = 0.02
"""A smaller share of captions in a language is a name here and there."""


def language_of(text: str) -> str:
    """The language that a text's letters tell; "" where it has none that are known. Kana make Chinese signs Japanese."""
    return next((code for code, letters in _LETTERS if letters.search(text)), "")


def named(codes: Iterable[str]) -> str:
    """Languages in the user's language, with commas between; "–" for none."""
    return ", ".join(_(NAMES[code]) if code in NAMES else code for code in codes) or "–"


def told(name: str) -> tuple[str, ...] | None:
    """The languages that the shelf tells of a model; None for one it does not know."""
    found = shelf.known(name)
    return None if found is None else found.languages


def languages(clip: Model, home: Path, control: Control) -> Work[tuple[str, ...]]:
    """The languages a model's words can be in: as the shelf tells, else measured once with English and Korean words.

    Returns:
        Codes; empty where bundled drawings find their words in neither, so that nothing can be said.
    """
    known = told(clip.name)
    if known is not None:
        return known
    key = f"lg:{clip.fingerprint[:32]}"
    store = BlobCache.of_texts(home)
    try:
        kept = store.get([key]).get(key)
        if kept is not None:
            return tuple(json.loads(kept))
        from clip_atelier.engine.models import known_drawings  # needs the learning libraries

        checks = yield from known_drawings.drawing_checks(clip, control)
        found = tuple(code for code, check in checks.items() if check.knows)
        store.put({key: json.dumps(found).encode()})
        return found
    finally:
        store.close()


def warning(texts: Iterable[str], known: tuple[str, ...], model: str) -> str:
    """A sentence in the user's language where texts are in a language that a model does not know; else "".

    Args:
        texts: Captions, or one query.
        known: What `languages` gave; where it is empty nothing is said.
        model: The model's name.
    """
    if not known or shelf.EVERY in known:
        return ""
    counts = Counter(language_of(text) for text in texts)
    total = sum(counts.values())
    strange = {
        code: count
        for code, count in counts.most_common()
        if code and code not in known and count > _FEW * total
    }
    if not strange:
        return ""
    if total == 1:
        said = _(
            "“{model}” does not know {languages}: what it finds for these words is little better than chance."
        )
    else:
        said = _(
            "{count} of {total} captions are in {languages}, which “{model}” does not know: it can learn little from them."
        )
    text = said.format(
        model=model, languages=named(strange), count=f"{sum(strange.values()):,}", total=f"{total:,}"
    )
    return f"{text} {_advice(next(iter(strange)))}".rstrip()


def _advice(language: str) -> str:
    """The first models of the shelf that know a language: one that is bundled, one that can be fetched."""
    knowing = [model for model in shelf.shelf() if model.knows(language)]
    bundled = [m.name for m in knowing if m.name == "starter"]
    offered = [m.name for m in knowing if m.suggested][:1]
    names = ", ".join(f"“{name}”" for name in (*bundled, *offered))
    return _("These do: {models}.").format(models=names) if names else ""
