"""The family `metaclip_2`: MetaCLIP 2, CLIP learned from the texts of the whole world, Korean included."""

from __future__ import annotations

from transformers import MetaClip2Model

from clip_atelier.engine.models.clip import Clip
from clip_atelier.engine.models.families import FAMILIES


class MetaClip2(Clip):
    """As CLIP, with another vocabulary; a text ends at the first EOS token, whatever its id."""

    family = "metaclip_2"
    layout = FAMILIES["metaclip_2"].layout
    net_class = MetaClip2Model

    @property
    def eos(self) -> int:
        """Id of the token that ends a text."""
        return int(self.net.config.text_config.eos_token_id)
