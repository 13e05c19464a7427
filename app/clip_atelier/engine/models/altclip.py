"""The family `altclip`: AltCLIP, CLIP's image tower beside an XLM-R of nine or more languages."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from transformers import AltCLIPModel

from clip_atelier.engine.models.bert_text import BertText
from clip_atelier.engine.models.families import FAMILIES


class AltClip(BertText):
    """Texts are read by an XLM-R, whose class token passes a norm and a matrix before the projection."""

    family = "altclip"
    layout = FAMILIES["altclip"].layout
    net_class = AltCLIPModel
    surplus = r"position_ids$|^text_model\.roberta\.pooler\."
    ends = ("post_layernorm", "pre_LN", "text_model.transformation")

    @property
    def _bert(self) -> Any:
        return self.net.text_model.roberta

    @property
    def _layers(self) -> Any:
        return self._bert.encoder.layers

    def _context(self) -> int:
        # Positions are counted from behind the padding's id.
        longest = int(self.net.config.text_config.max_position_embeddings) - self.pad - 1
        return min(longest, int(self.tokenizer.model_max_length))

    def _pooled(self, x: Tensor) -> Tensor:
        tower = self.net.text_model
        found: Tensor = tower.transformation(tower.pre_LN(x))
        return found
