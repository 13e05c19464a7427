"""One paired difference, as every document writes it."""

from __future__ import annotations

from clip_atelier.engine.core import Record, Score


class Difference(Record):
    """Adapted minus base, with its paired 95 % interval; missing numbers were not measured."""

    value: Score = None
    low: Score = None
    high: Score = None
