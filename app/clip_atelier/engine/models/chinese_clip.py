"""The family `chinese_clip`: Chinese-CLIP, CLIP's image tower beside a Chinese BERT."""

from __future__ import annotations

from transformers import ChineseCLIPModel

from clip_atelier.engine.models.bert_text import BertText
from clip_atelier.engine.models.families import FAMILIES


class ChineseClip(BertText):
    """Texts are read by a BERT whose class token goes straight into the projection."""

    family = "chinese_clip"
    layout = FAMILIES["chinese_clip"].layout
    net_class = ChineseCLIPModel
    surplus = r"position_ids$|^text_model\.pooler\."
