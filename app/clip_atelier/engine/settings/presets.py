"""Presets: named starting points, each a few settings over the defaults. A new preset is one entry here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from clip_atelier.engine.core import N_


@dataclass(frozen=True)
class Preset:
    """A starting point: the situation it is for, and `values`, dotted names over the defaults."""

    name: str
    title: str
    situation: str
    summary: str
    source: str
    values: Mapping[str, Any]


_BY_FOLDS = {"evaluation.folds": 5}
_HELD = {
    "train.learning_rate": 5e-4,
    "train.preservation": 10.0,
    "train.smoothing": 0.2,
    "train.pair_scale": 20.0,
    "train.patience": 0,
}
"""Long enough, and held to what the model knew: chosen by `tests/benchmarks/adaptation.py`, see `docs/decisions/`."""

_ALL = (
    Preset(
        "auto",
        N_("Find what helps"),
        N_("For any collection: let your own drawings decide"),
        N_(
            "Tries everything that is worth it, from a formula to LoRA, on your own drawings, and keeps for each question what "
            "helps on drawings it has not learned from. The best first choice."
        ),
        "",
        {
            "lora.r": 8,
            "lora.lora_alpha": 16,
            "lora.target_modules": ("q_proj", "v_proj", "visual_projection"),
            "lora.lora_dropout": 0.1,
            "lora.bias": "none",
            "train.initialization": "captions",
            "train.steps": 200,
            "evaluation.parts": True,
            **_HELD,
            **_BY_FOLDS,
        },
    ),
    Preset(
        "attention",
        N_("Attention"),
        N_("100 drawings or more: learn how I draw"),
        N_("For relations in a sequence: words in a sentence, patches in an image."),
        "",
        {
            "lora.r": 8,
            "lora.lora_alpha": 16,
            "lora.target_modules": ("q_proj", "v_proj"),
            "lora.lora_dropout": 0.1,
            "lora.bias": "none",
            "train.steps": 200,
            **_HELD,
            **_BY_FOLDS,
        },
    ),
    Preset(
        "projection",
        N_("Projection"),
        N_("For sketches and their artworks, or when time is short"),
        N_(
            "Moves the image features themselves towards a visual domain such as sketches or paintings. Trains in seconds."
        ),
        "",
        {
            "lora.r": 8,
            "lora.lora_alpha": 32,
            "lora.target_modules": ("visual_projection",),
            "lora.lora_dropout": 0.1,
            "train.initialization": "captions",
            # Behind stored features steps cost next to nothing.
            "train.steps": 300,
            **_HELD,
            "train.learning_rate": 1e-3,
            **_BY_FOLDS,
        },
    ),
    Preset(
        "clip-lora",
        N_("CLIP-LoRA"),
        N_("A few drawings of each kind, as in the paper"),
        N_(
            "The published few-shot recipe: rank 2 on queries, keys and values of both towers, strong dropout, temperature fixed."
        ),
        "Zanella & Ben Ayed, CVPRW 2024, arXiv:2405.18541",
        {
            "lora.r": 2,
            "lora.lora_alpha": 1,
            "lora.use_rslora": True,
            "lora.target_modules": ("q_proj", "k_proj", "v_proj"),
            "lora.lora_dropout": 0.25,
            "train.learning_rate": 2e-4,
            "train.weight_decay": 0.01,
            "train.batch_size": 32,
            "train.temperature": "fixed",
        },
    ),
    Preset(
        "careful",
        N_("Careful"),
        N_("For under 100 drawings"),
        N_(
            "For a few images: small rank, strong dropout, a penalty on the update's size, and an early stop."
        ),
        "Fahes et al. 2024, arXiv:2410.05270",
        {
            "lora.r": 4,
            "lora.lora_alpha": 8,
            "lora.target_modules": ("q_proj", "k_proj", "v_proj", "out_proj"),
            "lora.lora_dropout": 0.25,
            "train.batch_size": 32,
            "train.learning_rate": 1e-4,
            "train.size_penalty": 0.01,
            "train.patience": 3,
            "data.views": 4,
        },
    ),
    Preset(
        "layernorm",
        N_("LayerNorm only"),
        N_("A simple way to compare the others with"),
        N_(
            "A baseline: trains only the normalisation layers. Known to be strong for sketch retrieval where full tuning collapses."
        ),
        "Sain et al. 2023, arXiv:2303.13440",
        {"train.method": "layernorm", "train.learning_rate": 1e-3},
    ),
)

PRESETS: Mapping[str, Preset] = {preset.name: preset for preset in _ALL}


@dataclass(frozen=True)
class Recommendation:
    """What to start from with a folder.

    Attributes:
        preset: Name of the preset.
        by_hand: Of the presets that train in one way only, the one whose situation the folder's is.
        because: What of the folder makes it so (marked with `N_`); may hold `{pairs}` and `{count}`.
    """

    preset: str
    by_hand: str
    because: str


def recommended(drawings: int, pairs: int) -> Recommendation:
    """What to start from, by what a folder holds.

    Args:
        drawings: How many.
        pairs: How many pairs of a sketch and its artwork they make.
    """
    if 2 * pairs > drawings / 2:
        return Recommendation(
            "auto", "projection", N_("most drawings are sketches and artworks in pairs ({pairs})")
        )
    if drawings < 100:
        return Recommendation("auto", "careful", N_("there are fewer than 100 drawings ({count})"))
    return Recommendation("auto", "attention", N_("there are 100 drawings or more ({count})"))
