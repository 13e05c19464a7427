"""Layers by their numbers, as people write them: "0, 3, 7-9"."""

from __future__ import annotations

import re
from collections.abc import Iterable

from clip_atelier.engine.core import _

_PART = re.compile(r"(\d{1,3})(?:\s*-\s*(\d{1,3}))?")


def layers_of(text: str) -> frozenset[int]:
    """The numbers, from 0; none where the text is empty.

    Raises:
        ValueError: a part of it is no number and no range.
    """
    found: set[int] = set()
    for part in re.split(r"[,\s+]+(?![-\s])", re.sub(r"\s*-\s*", "-", text.strip())):
        if not part:
            continue
        match = _PART.fullmatch(part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if first > last:
            raise ValueError(
                _("“{part}” is no layer: write numbers and ranges such as 0,3,7-9").format(part=part)
            )
        found |= set(range(first, last + 1))
    return frozenset(found)


def layers_written(numbers: Iterable[int]) -> str:
    """The shortest text that `layers_of` reads as these numbers."""
    spans: list[list[int]] = []
    for number in sorted(set(numbers)):
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in spans)
