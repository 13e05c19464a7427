"""Results of a search as people read them on a terminal."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING, Final

from clip_atelier.cli.text import table
from clip_atelier.engine.core import _, measured

if TYPE_CHECKING:
    from clip_atelier.engine.search import ComparedResult, SearchHit, SearchResult

LEARNED: Final = "•"
"""Stands behind a drawing that the run learned from."""
DOUBTED: Final = "?"
"""Stands behind a drawing that is among the closest, but probably not what was asked for."""


def listing(found: SearchResult) -> str:
    """The results as people read them: with a run, base and adapted beside each other and what moved.

    Adapted results that do not fit the words stand apart below the others, each with its place in the ranking.
    """
    base, adapted = found.base, found.adapted
    if adapted is None:
        rows = [(place, hit.path, measured(hit.score)) for place, hit in enumerate(base, 1)]
        return table(("", _("image"), _("score")), rows, right=(0, 2))
    before = [(place, hit.path, measured(hit.score)) for place, hit in enumerate(base, 1)]
    fitting: list[tuple[object, ...]] = []
    apart: list[tuple[object, ...]] = []
    for place, hit in enumerate(adapted, 1):
        path = f"{hit.path} {LEARNED}" if hit.learned else hit.path
        line = (place, path, measured(hit.score), _moved(hit.base_rank, place))
        (apart if hit.fits is False else fitting).append(line)
    if apart:
        after = [*fitting, ("", _("closest, but probably not it:"), "", ""), *apart]
        both = zip_longest(before, after, fillvalue=())
        lines = [(*(left or ("",) * 3), *(right or ("",) * 4)) for left, right in both]
        header = ["", _("base"), _("score"), "", _("adapted"), _("score"), _("moved")]
        text = table(header, lines, right=(0, 2, 3, 5))
    else:
        lines = [(*left, *right[1:]) for left, right in zip(before, fitting, strict=True)]
        header = ["", _("base"), _("score"), _("adapted"), _("score"), _("moved")]
        text = table(header, lines, right=(0, 2, 4))
    if any(hit.learned for hit in adapted):
        text += "\n\n" + _("{mark} the training learned from this drawing").format(mark=LEARNED)
    return text


def _moved(before: int | None, place: int) -> str:
    if before is None or before == place:
        return "="
    return f"↑{before - place}" if before > place else f"↓{place - before}"


def compared(found: ComparedResult) -> str:
    """What several trainings found, side by side."""
    columns = [answer.found.adapted or () for answer in found.runs]
    lines = [
        (place, *(cell for hit in hits for cell in _side(hit)))
        for place, hits in enumerate(zip_longest(*columns), 1)
    ]
    header = ["", *(cell for answer in found.runs for cell in (answer.run, _("score")))]
    text = table(header, lines, right=(0, *range(2, len(header), 2)))
    hits = [hit for column in columns for hit in column]
    told = []
    if any(hit.learned for hit in hits):
        told.append(_("{mark} the training learned from this drawing").format(mark=LEARNED))
    if any(hit.fits is False for hit in hits):
        told.append(_("{mark} closest, but probably not it").format(mark=DOUBTED))
    return "\n".join([text, *([""] if told else []), *told])


def _side(hit: SearchHit | None) -> tuple[str, str]:
    if hit is None:
        return "", ""
    marks = [mark for mark, meant in ((LEARNED, hit.learned), (DOUBTED, hit.fits is False)) if meant]
    return " ".join([hit.path, *marks]), measured(hit.score)
