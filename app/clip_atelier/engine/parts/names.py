"""What parts are called, what each does, and how they are measured, in words.

No arrays here, so that the window can show them at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from clip_atelier.engine.core import N_, _

TITLES: Final[Mapping[str, str]] = {
    "mean_removal": N_("mean removal"),
    "hub_correction": N_("hub correction"),
    "several_views": N_("several views"),
    "learned_words": N_("learned words"),
    "picture_head": N_("picture head"),
    "lora": N_("LoRA"),
}

EXPLANATIONS: Final[Mapping[str, str]] = {
    "mean_removal": N_(
        "What all captions and all drawings have in common is taken away before they are compared."
    ),
    "hub_correction": N_(
        "A caption that suits everything, or a drawing that every caption finds, is lowered."
    ),
    "several_views": N_("A drawing is also seen mirrored, a little smaller and a little larger."),
    "learned_words": N_(
        "Each word and each caption gets a direction that is learned from the drawings that carry it."
    ),
    "picture_head": N_("What sketches and artworks differ in counts less when one finds the other."),
    "lora": N_("The model itself is trained a little further, at half strength."),
}


def measured_by_folds(folds: int) -> str:
    """How a comparison by folds was made, in a sentence of the current language."""
    return _(
        "Measured by {folds} folds: each drawing was a question once, put to a model that had not learned from it. What is "
        "handed over has then learned from all of them."
    ).format(folds=folds)
