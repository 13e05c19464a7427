"""The report on the starter model and the credits of its data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from iconify import load_set
from starter.drawings import Drawing
from starter.evaluation import Score


@dataclass(frozen=True)
class TrainingFacts:
    """What a training took.

    Attributes:
        steps: Optimiser steps.
        minutes: Time spent in training.
        images: Drawings shown, counting repetitions.
        drawings: Different drawings in the store.
        captions: Different captions.
        concepts: Different emoji.
        recipe: The recipe's fields.
        note: What the recipe does not say about this training, may be empty.
    """

    steps: int
    minutes: float
    images: int
    drawings: int
    captions: int
    concepts: int
    recipe: dict[str, Any]
    note: str


def write_report(path: Path, facts: TrainingFacts, scores: Sequence[Score], pairs: Score) -> None:
    """Write ``REPORT.md``."""
    recipe = facts.recipe
    lines = [
        "# Starter model: what it is and what it finds",
        "",
        "A small CLIP for drawings in English and Korean, made by `packaging/make_starter_model.py` from icon and emoji sets",
        "alone. It knows everyday things, animals, food, faces, weather, tools and interface signs; it has never seen a photo.",
        "",
        "## What it finds in styles it was never shown",
        "",
        "Text→image: the caption is the query, the gallery has as many drawings of one kept-out style as there are queries.",
        "Emoji captions are emojibase's labels (one drawing per emoji, no skin tones), others the icon's name in words.",
        "Drawings with the same caption are all right answers; ties count in the query's favour. The styles are new to the model,",
        "most emoji are not: it saw other artists' drawings of them under the same labels. `game-icons` and `guidance` show how it",
        "fares with names it was not taught.",
        "",
        "| Kept-out style | Language | R@1 | R@10 | Gallery | Chance (R@1 / R@10) |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| `{score.style}` | {score.language} | {score.first:.3f} | {score.ten:.3f} | {score.gallery:,} "
        f"| {1 / score.gallery:.3f} / {10 / score.gallery:.3f} |"
        for score in scores
    ]
    lines += [
        "",
        "Image→image, without any adaptation: the line drawing (`fluent-emoji-high-contrast`) is the query, the colour",
        f"drawing of the same emoji (`fluent-emoji-flat`) is wanted: R@1 {pairs.first:.3f}, R@10 {pairs.ten:.3f} in a gallery of"
        f" {pairs.gallery:,}.",
        "",
        "## Recipe",
        "",
        "- Vision: ViT, width 256, 6 layers, 96 px, patches of 16. Text: width 256, 3 layers, 32 tokens, byte-level BPE of",
        "  10,000 tokens trained on the captions of both languages. Together 10.0 million parameters, stored as float16.",
        f"- Data: {facts.drawings:,} different drawings, {facts.captions:,} captions, {facts.concepts:,} emoji in up to six"
        " styles (DATA_LICENCES.md).",
        "  `game-icons`, `openmoji`, `guidance`, all `fluent-emoji*` and all `streamline*` sets are kept out, and so is every",
        "  drawing of another set that looks the same as one of theirs.",
        f"- {facts.steps:,} steps of {recipe['batch']} drawings ({facts.images:,} shown) in {facts.minutes:.0f} minutes on two CPU"
        " cores shared with other work;",
        "  45 % of each batch are emoji, always two styles of each; 45 % of the captions are Korean where one is known.",
        "- Contrast with multiple positives (same meaning, or a caption that is true of both), temperature learned and",
        f"  clamped to ln 100, plus {recipe['image_weight']} times the contrast between two styles of the same thing.",
        f"- Muon ({recipe['rate']:g}) for the matrices inside the layers, AdamW ({recipe['adam_rate']:g}) for the rest,",
        f"  {recipe['warmup']} steps of warm-up, constant, then {recipe['decay_minutes']:.0f} minutes of linear decay to zero.",
        f"  Until half of the decay is over only {recipe['kept_patches']} of the 36 patches are looked at, for speed.",
        "- bfloat16, eager attention, compiled layers. Drawings are turned, scaled, shifted, recoloured, inverted,",
        "  thickened and thinned; coloured ones are also shown in grey and as outlines.",
        f"- Seed {recipe['seed']}. Batches depend on seed and step only, so a resumed training sees the same ones.",
        *([f"- {facts.note}"] if facts.note else []),
        "",
    ]
    path.write_text("\n".join(lines), encoding="utf-8")


def write_credits(path: Path, icons: Path, drawings: Sequence[Drawing]) -> None:
    """Write ``DATA_LICENCES.md``, one line for each icon set that was used."""
    counts = Counter(drawing.prefix for drawing in drawings)
    lines = [
        "# Data the starter model learned from",
        "",
        "Icon sets as packaged in `@iconify/json`; authors and licences as stated there. The drawings were rendered to 96",
        "pixels and varied for training. Names became captions; emoji got the English and Korean labels and tags of",
        "`emojibase-data` (Miles Johnson, MIT), which come from Unicode CLDR (Unicode licence).",
        "",
        "| Set | Prefix | Drawings | Author | Licence |",
        "|---|---|---|---|---|",
    ]
    for prefix, count in sorted(counts.items()):
        icon_set = load_set(icons, prefix)
        licence = f"{icon_set.license_title} ({icon_set.license_spdx})"
        lines.append(f"| {icon_set.title} | `{prefix}` | {count:,} | {icon_set.author} | {licence} |")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
