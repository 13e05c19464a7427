"""The card beside an adapter: what the run keeps, and which of it plain PEFT does not apply."""

from __future__ import annotations

from typing import Final

from clip_atelier.engine.parts import names
from clip_atelier.engine.parts.answers import switched_on
from clip_atelier.engine.parts.fitted import ARRAYS, DESCRIPTION, FittedParts

CARD: Final = "README.md"


def card_text(parts: FittedParts) -> str:
    """The card in Markdown, in English, as files for other programs are."""
    return "# A CLIP adapter made by CLIP Atelier\n\n" + parts_text(parts)


def parts_text(parts: FittedParts) -> str:
    """The card without its title, as it stands in the card of an exported model."""
    lines = [
        "`adapter_config.json` and `adapter_model.safetensors` are a plain PEFT adapter, stored at the strength that was kept"
        f" ({parts.strength:g}). `PeftModel.from_pretrained` applies it, and nothing else of what this run keeps:",
        "",
        "| question | parts |",
        "|---|---|",
    ]
    for question, setting in parts.settings.items():
        used = [names.TITLES[part] for part in names.TITLES if part in switched_on(setting)]
        lines.append(f"| {question} | {', '.join(used) or 'the untouched model'} |")
    lines += [
        "",
        f"The parts beside LoRA are in `{DESCRIPTION}` and `{ARRAYS}`; CLIP Atelier applies them.",
        "",
    ]
    return "\n".join(lines)
