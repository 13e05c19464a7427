"""Settings that are allowed but seldom meant, each with the reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from clip_atelier.engine.core import _

if TYPE_CHECKING:
    from clip_atelier.engine.settings import Settings

_STRONG: Final = 4.0
"""The largest scale of a preset of ours; beyond it is beyond what is published, where 1 and 2 are common."""
_FEW: Final = 8
"""A contrastive step tells the drawings of its batch apart: of fewer there is next to nothing to tell."""


def cautions(chosen: Settings, narrowest: int) -> list[str]:
    """What about a draft is probably a slip, in sentences.

    Args:
        chosen: The draft.
        narrowest: The smaller side of the narrowest adapted matrix; 0 where unknown.
    """
    said = []
    if chosen.train.method == "lora":
        lora = chosen.lora
        if lora.scaling > _STRONG:
            said.append(
                _(
                    "The update counts {scale} times (lora_alpha / r): training easily becomes unstable. Common are 1 and 2."
                ).format(scale=f"{lora.scaling:.3g}")
            )
        if narrowest and lora.r > narrowest:
            said.append(
                _(
                    "r = {r} is more than the narrowest adapted layer is wide ({width}): what is above it costs memory and adds nothing."
                ).format(r=f"{lora.r:,}", width=f"{narrowest:,}")
            )
    if chosen.train.batch_size < _FEW:
        said.append(
            _(
                "With {count} drawings in a step there is almost nothing to tell apart, so little is learned. 16 or more are better."
            ).format(count=chosen.train.batch_size)
        )
    return said
