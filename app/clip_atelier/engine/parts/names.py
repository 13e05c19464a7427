"""What parts are called, and what each does, in words; no arrays here, so that the window can show them at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from clip_atelier.engine.core import N_

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
