"""CLIP's text tower without the library around it: all that a search by words needs.

Importing transformers' CLIP and PEFT takes seconds, most of them for generating text and for several machines. Here the
same operations run in the same order on the weights of a model's files, an update of ours included. What the files do not
say by themselves, the tokenizer above all, is a `TextRecipe` that is taken from the loaded model once. A tower is relied
on only where it `agrees` with the loaded model; where it does not, the library answers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import safetensors
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from torch import Tensor

from clip_atelier.engine.core import Record
from clip_atelier.engine.models import text_reading, weights
from clip_atelier.engine.models.embeddings import Features, normalised
from clip_atelier.engine.models.families import FAMILIES
from clip_atelier.engine.models.registry import ClosedModel
from clip_atelier.engine.models.text_reading import TextReading

if TYPE_CHECKING:
    from clip_atelier.engine.models.family import Model, Tower

TOLERANCE: Final = 1e-6
"""The most that a number of a unit embedding may differ from the library's."""

_BATCH: Final = 256
_PROBES: Final = (
    "a drawing of a red circle", "Two  BLUE squares, it's 3 o'clock!", "빨간 동그라미", "一只猫 🐈", "", "naïve café\n",
    "many words " * 60,
)  # fmt: skip
_FACTOR: Final = re.compile(r"^(?P<module>.+)\.lora_(?P<side>[AB])\.default\.weight$")
_NO_PART: Final = re.compile(r"^logit_(?:scale|bias)$")
_EXACT_GELU: Final = "gelu"


class TextRecipe(Record):
    """What a text tower is besides its weights.

    Attributes:
        context: The most tokens of a text.
        eos: Id of the token that ends a text; None where that is the highest id in use.
        pad: Id that fills short rows; it stands behind the end and is never looked at.
        heads: Attention heads of a layer.
        layers: Number of layers.
        epsilon: Of the layer norms.
        activation: Between the two matrices of a layer's feed-forward network.
        tokenizer: The library's own tokenizer, as `tokenizers` writes it.
    """

    context: int
    eos: int | None
    pad: int
    heads: int
    layers: int
    epsilon: float
    activation: Literal["quick_gelu", "gelu"]
    tokenizer: str


def recipe_of(clip: Model) -> TextRecipe | None:
    """The recipe of a loaded model's text tower; None where it is not CLIP's or has something of its own."""
    if clip.family not in FAMILIES or not FAMILIES[clip.family].clip_text:
        return None
    known: Any = clip
    config = known.net.config.text_config
    backend = getattr(known.tokenizer, "backend_tokenizer", None)
    if config.hidden_act not in ("quick_gelu", _EXACT_GELU) or not isinstance(backend, Tokenizer):
        return None
    return TextRecipe(
        context=clip.context,
        eos=known.eos,
        pad=clip.pad,
        heads=int(config.num_attention_heads),
        layers=clip.layers["text"],
        epsilon=float(config.layer_norm_eps),
        activation=config.hidden_act,
        tokenizer=backend.to_str(),
    )


@dataclass(frozen=True)
class TextUpdate:
    """A LoRA update of ours, as its tensors are stored.

    Attributes:
        factors: Dotted name of a matrix -> A [r, in] and B [out, r].
        scaling: The factor before B·A.
    """

    factors: Mapping[str, tuple[Tensor, Tensor]]
    scaling: float

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor], scaling: float) -> TextUpdate | None:
        """The update whose trained tensors these are; None where it trains more than factors of matrices."""
        sides: dict[str, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            if found := _FACTOR.match(name):
                sides.setdefault(found["module"], {})[found["side"]] = tensor
            elif not _NO_PART.match(name):
                return None
        if not sides or any(len(both) != 2 for both in sides.values()):
            return None
        return cls({module: (both["A"], both["B"]) for module, both in sides.items()}, scaling)

    def touches(self, tower: Tower, family: str) -> bool:
        """Whether it changes anything in this tower."""
        ends = FAMILIES[family].layout.projections[tower]
        return any(name == ends or name.startswith(f"{tower}_model.") for name in self.factors)


class TextTower:
    """A text tower, read from a model's files.

    Args:
        model: Which model.
        recipe: What its files do not tell.
        update: An update to it; the tower itself stays the base's.

    Raises:
        UserError: the files are not whole.
        KeyError: a tensor is missing, so that this is no tower of CLIP.
    """

    def __init__(self, model: ClosedModel, recipe: TextRecipe, update: TextUpdate | None = None) -> None:
        self._recipe = recipe
        self._place = model.device.place
        self._tensors = _text_tensors(model)
        self._scaling = update.scaling if update else 0.0
        self._factors = {
            name: (a.to(self._place), b.to(self._place))
            for name, (a, b) in (update.factors if update else {}).items()
            if f"{name}.weight" in self._tensors
        }
        self._tokenizer: Any = Tokenizer.from_str(recipe.tokenizer)
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_length=recipe.context)

    @property
    def dim(self) -> int:
        """Length of an embedding."""
        return len(self._tensors["text_projection.weight"])

    def readings(self, texts: Sequence[str]) -> list[TextReading]:
        """How much of each text is read, and which of its words are not known."""
        return text_reading.read(self._whole, self._recipe.context, texts)

    @cached_property
    def _whole(self) -> Tokenizer:
        return text_reading.whole_tokenizer(self._recipe.tokenizer)

    def tokens(self, texts: Sequence[str]) -> Tensor:
        """Token ids [B, T], T the longest of the batch; texts that are too long end early, always with the EOS token."""
        rows = [encoded.ids for encoded in self._tokenizer.encode_batch(list(texts))]
        longest = max(map(len, rows))
        ids = torch.tensor([row + [self._recipe.pad] * (longest - len(row)) for row in rows])
        if self._recipe.eos is not None:
            ids[~(ids == self._recipe.eos).any(dim=1), -1] = self._recipe.eos
        return ids.to(self._place)

    def embeddings(self, texts: Sequence[str], scale: float = 0.0) -> Features:
        """Normalised embeddings [N, dim] of texts, with the update multiplied by `scale`; 0 is the base, exactly."""
        with torch.inference_mode():
            parts = [
                self._forward(self.tokens(texts[start : start + _BATCH]), scale).cpu().numpy()
                for start in range(0, len(texts), _BATCH)
            ]
        return normalised(np.concatenate(parts)) if parts else np.zeros((0, self.dim), np.float32)

    def agrees(self, clip: Model, scale: float) -> bool:
        """Whether this is what a loaded model computes, whose update, if it has one, is at `scale`."""
        ids = clip.tokens(_PROBES)
        if not torch.equal(self.tokens(_PROBES), ids):
            return False
        with torch.inference_mode():
            theirs = normalised(clip.text(ids).float().cpu().numpy())
        return bool(abs(self.embeddings(_PROBES, scale) - theirs).max() <= TOLERANCE)

    def _forward(self, ids: Tensor, scale: float) -> Tensor:
        """Embeddings [B, dim] of token ids [B, T], not normalised."""
        length, tower = ids.shape[1], "text_model"
        x = F.embedding(ids, self._tensors[f"{tower}.embeddings.token_embedding.weight"]).float()  # [B, T, D]
        x = x + self._tensors[f"{tower}.embeddings.position_embedding.weight"][:length].float()
        mask = torch.full((length, length), torch.finfo(x.dtype).min, device=x.device).triu(1)[None, None]
        for number in range(self._recipe.layers):
            layer = f"{tower}.encoder.layers.{number}"
            x = x + self._attention(f"{layer}.self_attn", self._norm(f"{layer}.layer_norm1", x), mask, scale)
            h = self._linear(f"{layer}.mlp.fc1", self._norm(f"{layer}.layer_norm2", x), scale)
            h = F.gelu(h) if self._recipe.activation == _EXACT_GELU else h * torch.sigmoid(1.702 * h)
            x = x + self._linear(f"{layer}.mlp.fc2", h, scale)
        eos = self._recipe.eos
        ends = ids.argmax(dim=-1) if eos is None else (ids == eos).int().argmax(dim=-1)
        pooled = x[torch.arange(len(ids), device=x.device), ends]  # [B, D]
        return self._linear("text_projection", self._norm(f"{tower}.final_layer_norm", pooled), scale)

    def _attention(self, name: str, x: Tensor, mask: Tensor, scale: float) -> Tensor:
        q, k, v = (
            self._linear(f"{name}.{leaf}", x, scale).unflatten(-1, (self._recipe.heads, -1)).transpose(1, 2)
            for leaf in ("q_proj", "k_proj", "v_proj")
        )  # [B, heads, T, d]
        scores = (q @ k.transpose(-1, -2)) * q.shape[-1] ** -0.5 + mask  # [B, heads, T, T]
        mixed = (scores.softmax(-1) @ v).transpose(1, 2).flatten(2)  # [B, T, D]
        return self._linear(f"{name}.out_proj", mixed, scale)

    def _norm(self, name: str, x: Tensor) -> Tensor:
        weight, bias = self._tensors[f"{name}.weight"], self._tensors[f"{name}.bias"]
        return F.layer_norm(x, weight.shape, weight, bias, self._recipe.epsilon)

    def _linear(self, name: str, x: Tensor, scale: float) -> Tensor:
        y = F.linear(x, self._tensors[f"{name}.weight"], self._tensors.get(f"{name}.bias"))
        if scale and name in self._factors:
            a, b = self._factors[name]
            y = y + F.linear(F.linear(x, a), b) * (self._scaling * scale)
        return y


def _text_tensors(model: ClosedModel) -> dict[str, Tensor]:
    """The text tower's tensors by name, in fp32; the embeddings of tokens, of which few are read, as they are stored.

    The others are copied out of the file: where they lie in memory decides how their products are summed, and the library
    has copies too.
    """
    found: dict[str, Tensor] = {}
    for file in weights.weight_files(model.folder):
        with safetensors.safe_open(file, "pt") as opened:
            for name in opened.keys():  # noqa: SIM118 - it is no mapping
                if name.startswith(("text_model.", "text_projection.")):
                    tensor = opened.get_tensor(name)
                    whole = ".embeddings." in name
                    found[name] = (tensor if whole else tensor.to(torch.float32, copy=True)).to(
                        model.device.place
                    )
    return found
