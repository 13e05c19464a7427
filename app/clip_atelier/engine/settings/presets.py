"""Presets: named starting points, each a few settings over the defaults. A new preset is one entry here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from clip_atelier.engine.core import N_


@dataclass(frozen=True)
class Preset:
    """A starting point. `values` are dotted names over the defaults."""

    name: str
    title: str
    summary: str
    source: str
    values: Mapping[str, Any]


_ALL = (
    Preset(
        "attention",
        N_("Attention"),
        N_("For relations in a sequence: words in a sentence, patches in an image. A good first choice."),
        "",
        {
            "lora.r": 8,
            "lora.lora_alpha": 16,
            "lora.target_modules": ("q_proj", "v_proj"),
            "lora.lora_dropout": 0.1,
            "lora.bias": "none",
        },
    ),
    Preset(
        "projection",
        N_("Projection"),
        N_(
            "Moves the image features themselves towards a visual domain such as sketches or paintings. Trains in seconds."
        ),
        "",
        {
            "lora.r": 8,
            "lora.lora_alpha": 32,
            "lora.target_modules": ("visual_projection",),
            "lora.lora_dropout": 0.1,
            # Epochs cost next to nothing here. Folders without pairs start at zero and need them all; with pairs the best
            # state comes early, so there are checks enough to find it.
            "train.epochs": 100,
            "train.batch_size": 32,
            "train.learning_rate": 3e-4,
            "train.checks": 20,
            "train.patience": 8,
        },
    ),
    Preset(
        "clip-lora",
        N_("CLIP-LoRA"),
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
        N_(
            "A baseline: trains only the normalisation layers. Known to be strong for sketch retrieval where full tuning collapses."
        ),
        "Sain et al. 2023, arXiv:2303.13440",
        {"train.method": "layernorm", "train.learning_rate": 1e-3},
    ),
)

PRESETS: Mapping[str, Preset] = {preset.name: preset for preset in _ALL}
