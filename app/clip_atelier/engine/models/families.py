"""The families that can be opened: a line each. Names only, so that listing models and reading their files is quick."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from clip_atelier.engine.core import UserError, _
from clip_atelier.engine.data import Frame, Patches, frames
from clip_atelier.engine.models import weights
from clip_atelier.engine.models.family import Layout, Role

Shape = tuple[int, ...]

_MOST_PATCHES: Final = 4096


@dataclass(frozen=True)
class Facts:
    """What a model's config.json tells.

    Attributes:
        frame: What it is shown: the side of a square in pixels, or patches.
        dim: Length of an embedding.
        added: Name and shape of matrices that a family adds to the ones that are stored, so that they can be adapted.
    """

    frame: Frame
    dim: int
    added: Mapping[str, Shape] = field(default_factory=dict)

    @property
    def image_size(self) -> int:
        """Side of the square it is shown, in pixels; of the largest one that it could be where shapes are free."""
        return frames.square(self.frame)


def _projected(config: Mapping[str, Any], _pictures: Mapping[str, Any]) -> Facts:
    """Of families whose towers end in projections."""
    side = int((config.get("vision_config") or {}).get("image_size", 224))
    return Facts(side, int(config.get("projection_dim", 512)))


def _pooled(config: Mapping[str, Any], _pictures: Mapping[str, Any]) -> Facts:
    """Of SigLIP: its image tower ends in a pooling head, behind which a matrix is put that starts at the identity."""
    vision = config.get("vision_config") or {}
    dim = int(vision.get("hidden_size", 768))
    return Facts(int(vision.get("image_size", 224)), dim, {"visual_projection.weight": (dim, dim)})


def _patches(config: Mapping[str, Any], pictures: Mapping[str, Any]) -> Facts:
    """Of SigLIP 2 with any number of patches: as many as its preprocessing says, else as many as it has places for."""
    vision = config.get("vision_config") or {}
    dim = int(vision.get("hidden_size", 768))
    side, most = (
        int(vision.get("patch_size", 16)),
        pictures.get("max_num_patches", vision.get("num_patches", 256)),
    )
    resample = pictures.get("resample", frames.BILINEAR)
    if side < 2 or type(most) is not int or not 0 < most <= _MOST_PATCHES or resample not in range(6):
        raise ValueError("patches")
    return Facts(Patches(side, most, resample), dim, {"visual_projection.weight": (dim, dim)})


@dataclass(frozen=True)
class Family:
    """Where a family lives.

    Attributes:
        module: The file, as an import path.
        cls: The class in it that fulfils `family.Model`; called with folder, device and name.
        layout: Where it keeps its matrices.
        facts: Reads a config.json and how its pictures are made.
        clip_text: Whether its text tower is CLIP's own, so that `text_tower` can compute it.
    """

    module: str
    cls: str
    layout: Layout
    facts: Callable[[Mapping[str, Any], Mapping[str, Any]], Facts] = _projected
    clip_text: bool = False

    def facts_of(self, folder: Path) -> Facts:
        """What a model's folder tells.

        Raises:
            UserError: its configuration or preprocessing says what no model can have.
        """
        try:
            return self.facts(weights.config_of(folder), weights.preprocessing(folder))
        except (TypeError, ValueError, AttributeError) as error:
            raise UserError(
                _("“{path}” does not hold what it should.").format(path=folder / "config.json"),
                _("Copy the folder again from where it came from."),
                "model.name",
            ) from error


_CLIP: Final[Mapping[str, Role]] = {
    "q_proj": "query", "k_proj": "key", "v_proj": "value", "out_proj": "output", "fc1": "expand", "fc2": "reduce",
}  # fmt: skip

_CLIP_LAYER: Final = re.compile(
    r"^(?P<tower>vision|text)_model\.encoder\.layers\.(?P<number>\d+)\.(?:self_attn|mlp)\.(?P<leaf>\w+)\.weight$"
)

_NORM: Final = re.compile(
    r"^(?P<tower>vision|text)_model\..*(?:norm\d?|layrnorm|LayerNorm|pre_LN)\.(?:weight|bias)$"
)

_LAYOUT: Final = Layout(
    layer=_CLIP_LAYER,
    norm=_NORM,
    roles={"vision": _CLIP, "text": _CLIP},
    projections={"vision": "visual_projection", "text": "text_projection"},
)

_SIGLIP: Final = Layout(
    layer=_CLIP_LAYER,
    norm=_NORM,
    roles={"vision": _CLIP, "text": _CLIP},
    projections={"vision": "visual_projection", "text": "text_model.head"},
    added="visual_projection",
)

_BERT: Final[Mapping[str, Role]] = {
    "attention.self.query": "query", "attention.self.key": "key", "attention.self.value": "value",
    "attention.output.dense": "output", "intermediate.dense": "expand", "output.dense": "reduce",
}  # fmt: skip

_BERT_TEXT: Final = Layout(
    layer=re.compile(
        r"^(?P<tower>vision|text)_model\.(?:roberta\.)?encoder\.layers?\.(?P<number>\d+)\."
        r"(?:self_attn\.|mlp\.)?(?P<leaf>[\w.]+)\.weight$"
    ),
    norm=_NORM,
    roles={"vision": _CLIP, "text": _BERT},
    projections={"vision": "visual_projection", "text": "text_projection"},
)

_HERE: Final = "clip_atelier.engine.models"

FAMILIES: Final[dict[str, Family]] = {
    "clip": Family(f"{_HERE}.clip", "Clip", _LAYOUT, clip_text=True),
    "metaclip_2": Family(f"{_HERE}.metaclip_2", "MetaClip2", _LAYOUT, clip_text=True),
    "siglip": Family(f"{_HERE}.siglip", "Siglip", _SIGLIP, _pooled),
    "siglip2": Family(f"{_HERE}.siglip2", "Siglip2", _SIGLIP, _patches),
    "chinese_clip": Family(f"{_HERE}.chinese_clip", "ChineseClip", _BERT_TEXT),
    "altclip": Family(f"{_HERE}.altclip", "AltClip", _BERT_TEXT),
}
"""`model_type` of config.json -> family."""
