"""The family `siglip`: SigLIP and the checkpoints of SigLIP 2 that see a square of a fixed size.

Both towers look both ways and no matrix ends the image tower: a pooling head does. Behind it stands a matrix of our own
that starts at the identity, so that the whole space of pictures can be moved as CLIP's image projection moves it.
"""

from __future__ import annotations

import re
import string
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import safetensors.torch
import torch
from torch import Tensor, nn
from transformers import SiglipModel

from clip_atelier.engine.models import opening, output_matrix, weights
from clip_atelier.engine.models.clip import Clip
from clip_atelier.engine.models.device import Device
from clip_atelier.engine.models.families import FAMILIES

_MATRIX: Final = "visual_projection"
_NO_PUNCTUATION: Final = str.maketrans("", "", string.punctuation)


class Siglip(Clip):
    """A loaded SigLIP."""

    family = "siglip"
    layout = FAMILIES["siglip"].layout
    loss = "sigmoid"
    trims = False
    highest_scale = float("inf")
    net_class = SiglipModel
    statistics = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    ends = ("post_layernorm", "final_layer_norm", ".head.")

    def __init__(self, folder: Path, device: Device, name: str = "") -> None:
        super().__init__(folder, device, name)
        if self.tokenizer.pad_token_id is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token

    def _must_agree(self) -> None:
        """Every position is looked at, and the last one pooled, whatever stands there."""

    @classmethod
    def load(cls, folder: Path, attention: str = "eager") -> Any:
        """Transformers' model with the matrix behind its image tower: the identity, or what the folder keeps."""
        net = super().load(folder, attention)
        width = int(net.config.vision_config.hidden_size)
        matrix = nn.Linear(width, width, bias=False)
        nn.init.eye_(matrix.weight)
        kept = folder / weights.OUTPUT_MATRIX
        if kept.is_file():
            weights.check_whole(kept)
            found = safetensors.torch.load(kept.read_bytes())
            opening.must_be(folder, kept.name, found, {f"{_MATRIX}.weight": (width, width)})
            matrix.weight.data.copy_(found[f"{_MATRIX}.weight"])
        net.add_module(_MATRIX, matrix)
        return net

    @classmethod
    def save(cls, net: Any, folder: Path) -> None:
        """A plain SigLIP folder; the matrix, where it is not the identity any more, in a file of its own."""
        weight = getattr(net, _MATRIX).weight.detach()
        delattr(net, _MATRIX)
        try:
            super().save(net, folder)
        finally:
            matrix = nn.Linear(len(weight), len(weight), bias=False)
            matrix.weight.data.copy_(weight)
            net.add_module(_MATRIX, matrix)
        if not torch.equal(weight, torch.eye(len(weight))):
            output_matrix.write(folder, weight, _MATRIX)

    @classmethod
    def image_embeddings(cls, net: Any, pixel_values: Tensor) -> Tensor:
        """Embeddings [B, dim] by transformers' own forward and the matrix behind it."""
        found: Tensor = getattr(net, _MATRIX)(net.get_image_features(pixel_values).pooler_output)
        return found

    @classmethod
    def text_embeddings(cls, net: Any, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Embeddings [B, dim] of padded token ids [B, T]: padding is looked at, as it was in the model's training."""
        found: Tensor = net.get_text_features(input_ids=input_ids).pooler_output
        return found

    @property
    def logit_bias(self) -> nn.Parameter:
        """What is added to scaled similarities."""
        found: nn.Parameter = self.net.logit_bias
        return found

    def cut_shape(self, cut: int) -> tuple[int, ...]:
        """Shape of one image's value at a cut of the vision tower."""
        if cut >= self.layers["vision"] + 2:
            return (self.dim,)
        return (self._patches, self.dim)

    @property
    def _patches(self) -> int:
        config = self.net.config.vision_config
        return int((config.image_size // config.patch_size) ** 2)

    def image(self, x: Tensor, start: int = 0, stop: int | None = None) -> Tensor:
        """Runs the vision tower's stages start to stop - 1; see `Clip.image`."""
        tower, last = self.net.vision_model, self.layers["vision"]
        for stage in range(start, self.last_cut("vision") if stop is None else stop):
            if stage == 0:
                x = tower.embeddings(x)
            elif stage <= last and (tower.training or torch.is_autocast_enabled(x.device.type)):
                # The head looks at every position.
                x = self._trained(tower.encoder.layers[stage - 1], x, None, None)
            elif stage <= last:
                x = tower.encoder.layers[stage - 1](x, None)
            elif stage == last + 1:
                x = tower.head(tower.post_layernorm(x))
            else:
                x = self.projection("vision")(x)
        return x

    # Texts

    @property
    def pad(self) -> int:
        """Id that fills short rows; every row is of full length here."""
        return int(self.tokenizer.pad_token_id)

    @cached_property
    def _tokenizer_settings(self) -> Mapping[str, Any]:
        return opening.tokenizer_settings(self.folder)

    def _written(self, text: str) -> str:
        """A text as the model's training wrote it: SigLIP's own tokenizer takes punctuation out, both write small."""
        kind = str(self._tokenizer_settings.get("tokenizer_class", "SiglipTokenizer"))
        if kind.startswith("SiglipTokenizer"):
            text = re.sub(r"\s+", " ", text.translate(_NO_PUNCTUATION)).strip()
        return text.lower() if self._tokenizer_settings.get("do_lower_case", True) else text

    def tokens(self, texts: Sequence[str]) -> Tensor:
        """Token ids [B, context], padded at the end: the last position is pooled, and padding is looked at."""
        found = self.tokenizer(
            [self._written(text) for text in texts], padding="max_length", truncation=True,
            max_length=self.context, padding_side="right", return_tensors="pt",
        )  # fmt: skip
        ids: Tensor = found["input_ids"]
        return ids.to(self.device.place)

    def text(self, ids: Tensor, stop: int | None = None) -> Tensor:
        """Runs the text tower from token ids [B, T] to a cut; at the last one embeddings [B, dim], not normalised."""
        tower, last = self.net.text_model, self.layers["text"]
        stop = self.last_cut("text") if stop is None else stop
        x: Tensor = tower.embeddings(input_ids=ids)  # [B, T, D]
        ends = torch.full((len(x),), x.shape[1] - 1, device=x.device)
        for stage in range(1, min(stop, last + 1)):
            layer = tower.encoder.layers[stage - 1]
            if tower.training:
                x = self._trained(layer, x, None, ends if stage == last and stop > last + 1 else None)
            else:
                x = layer(x, None)
        return x if stop <= last + 1 else self.text_from(x[:, -1], last + 1, stop)
