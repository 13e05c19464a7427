"""How what was learned is measured, and what is tried."""

from __future__ import annotations

from clip_atelier.engine.core import N_
from clip_atelier.engine.settings.declare import Block, setting


class EvaluationSettings(Block):
    """How what was learned is measured, and what is tried."""

    folds: int = setting(
        0,
        affects=(
            "learning",
            "split",
        ),
        title=N_("Folds"),
        summary=N_(
            "Everything is learned this many times, each time without another part of the drawings, which are then the "
            "questions; in the end once from all. 0: one part is kept aside."
        ),
        detail=N_(
            "With five folds every drawing is a question once, several times as many as one part that is kept aside has, so "
            "that smaller gains can be seen; and what is handed over has learned from every drawing. It takes about six times "
            "as long. From 1,000 drawings on, one part that is kept aside is enough and is used."
        ),
        ge=0,
        le=20,
    )
    parts: bool = setting(
        False,
        affects=("learning",),
        title=N_("Find what helps"),
        summary=N_(
            "Tries, beside the update, what needs no training, and keeps for each question what helps on drawings that were "
            "not learned from."
        ),
        detail=N_(
            "Learned words, a correction of captions that suit everything, several views of a drawing, a head for sketches and "
            "artworks. Each is a part with a gain of its own; the strength dial scales them all."
        ),
    )
    minutes: float = setting(
        8.0,
        affects=("learning",),
        title=N_("Time budget"),
        summary=N_(
            "Longest time for measuring by folds. Where it is not enough, training is shortened, and the result says so."
        ),
        unit=N_("minutes"),
        gt=0,
        le=10_000,
    )
