"""The families that can be opened: a line each. Names only, so that listing models and reading their files is quick."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from clip_atelier.engine.models.family import Layout, Role


@dataclass(frozen=True)
class Family:
    """Where a family lives.

    Attributes:
        module: The file, as an import path.
        cls: The class in it that fulfils `family.Model`; called with folder, device and name.
        layout: Where it keeps its matrices.
    """

    module: str
    cls: str
    layout: Layout


_CLIP: Final[Mapping[str, Role]] = {
    "q_proj": "query", "k_proj": "key", "v_proj": "value", "out_proj": "output", "fc1": "expand", "fc2": "reduce",
}  # fmt: skip

FAMILIES: Final[dict[str, Family]] = {
    "clip": Family(
        "clip_atelier.engine.models.clip",
        "Clip",
        Layout(
            layer=re.compile(
                r"^(?P<tower>vision|text)_model\.encoder\.layers\.(?P<number>\d+)\.(?:self_attn|mlp)\.(?P<leaf>\w+)\.weight$"
            ),
            norm=re.compile(r"^(?P<tower>vision|text)_model\..*(?:norm\d?|layrnorm)\.(?:weight|bias)$"),
            roles={"vision": _CLIP, "text": _CLIP},
            projections={"vision": "visual_projection", "text": "text_projection"},
        ),
    ),
}
"""`model_type` of config.json -> family."""
