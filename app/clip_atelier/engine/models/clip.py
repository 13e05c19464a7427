"""The family `clip`: OpenAI's, LAION's and others' models that transformers opens as `CLIPModel`.

Same arithmetic as transformers', run stage by stage (see `family`); a test checks it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import CLIPModel

from clip_atelier.engine.core import UserError, _
from clip_atelier.engine.models import layers, opening, text_reading, weights
from clip_atelier.engine.models.device import Device
from clip_atelier.engine.models.families import FAMILIES
from clip_atelier.engine.models.family import Attached, Layout, Tower
from clip_atelier.engine.models.text_reading import TextReading

_LAYER: Final = re.compile(r"\.encoder\.layers?\.(\d+)\.")


class Clip:
    """A loaded CLIP. Its weights are never changed; adapters are attached by `engine.adapters`.

    Families that differ from it in their text tower, their ends or their pictures are classes of their own made from it.

    Attributes:
        net: transformers' model (modules inside may be wrapped by PEFT while an adapter is attached).
        frame: What it is shown: the side of a square in pixels, or patches.
        image_size: Side of that square, or of the largest one it could be shown.
        dim: Length of an embedding.
        recompute: Whether optimiser steps keep only what enters each layer (see `models.layers.recomputed`).
    """

    family: str = "clip"
    layout: Layout = FAMILIES["clip"].layout
    loss: Literal["softmax", "sigmoid"] = "softmax"
    highest_scale: float = 100.0
    net_class: ClassVar[Any] = CLIPModel
    statistics: ClassVar[tuple[tuple[float, ...], tuple[float, ...]]] = (
        # CLIP's own, for folders that came without a preprocessor_config.json.
        (0.48145466, 0.4578275, 0.40821073),
        (0.26862954, 0.26130258, 0.27577711),
    )
    # Whether texts are computed at the length of the longest of a batch, which is exact.
    trims: ClassVar[bool] = True
    exports_onnx: ClassVar[bool] = True
    # Parts of the names of tensors behind a tower's layers.
    ends: ClassVar[tuple[str, ...]] = ("post_layernorm", "final_layer_norm")
    # Ends of the names of stored tensors that transformers does not use.
    surplus: ClassVar[str] = r"position_ids$"

    def __init__(self, folder: Path, device: Device, name: str = "") -> None:
        config = weights.config_of(folder)
        if config.get("model_type") != self.family:
            raise UserError(
                _("“{folder}” is not a CLIP model (its type is “{kind}”).").format(
                    folder=folder, kind=config.get("model_type")
                ),
                _("Choose a Hugging Face CLIP folder."),
                "model.name",
            )
        self.files = weights.file_digests(folder)
        self.fingerprint = weights.fingerprint_of(self.files)
        self.folder = folder
        self.name = name or folder.name
        self.device = device
        self.adapter: Attached | None = None
        self.recompute = False
        # The base's embeddings of lists of captions asked for lately; `engine.features` fills it.
        self.known_texts: dict[tuple[str, ...], NDArray[np.float32]] = {}
        self.net: Any = self.load(folder, device.attention)
        self.net.to(device.place).eval().requires_grad_(False)
        self.tokenizer: Any = opening.tokenizer(folder, self.net.config.text_config.vocab_size)
        vision, text = self.net.config.vision_config, self.net.config.text_config
        facts = FAMILIES[self.family].facts_of(folder)
        self.frame, self.image_size = facts.frame, facts.image_size
        ends: Any = self.projection("vision")
        self.dim = int(ends.weight.shape[0])
        self.context = self._context()
        self._must_agree()
        self.layers: dict[Tower, int] = {"vision": vision.num_hidden_layers, "text": text.num_hidden_layers}
        mean, std = opening.statistics(folder, *self.statistics)
        self._mean = torch.tensor(mean, device=device.place) * 255
        self._std = torch.tensor(std, device=device.place) * 255
        self._row = self._mean, self._std

    @classmethod
    def load(cls, folder: Path, attention: str = "eager") -> Any:
        """Transformers' model of a folder, in fp32 on the processor.

        Raises:
            UserError: its files are not whole or do not fit each other.
        """
        weights.weight_files(folder)
        return opening.network(cls.net_class, folder, attention, surplus=cls.surplus)

    @classmethod
    def save(cls, net: Any, folder: Path) -> None:
        """Writes such a model as a Hugging Face folder, without tokenizer and preprocessing."""
        with opening.quiet():
            net.save_pretrained(folder)

    @classmethod
    def image_embeddings(cls, net: Any, pixel_values: Tensor) -> Tensor:
        """Embeddings [B, dim] by transformers' own forward, as an exported model computes them."""
        found: Tensor = net.get_image_features(pixel_values).pooler_output
        return found

    @classmethod
    def text_embeddings(cls, net: Any, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Embeddings [B, dim] of token ids [B, T], likewise."""
        found: Tensor = net.get_text_features(
            input_ids=input_ids, attention_mask=attention_mask
        ).pooler_output
        return found

    def _must_agree(self) -> None:
        """Configuration and tokenizer must mean the same by the token at which texts are pooled."""
        if (eos := self.eos) is not None:
            opening.must_agree(self.folder, "eos_token_id", eos, opening.last_id(self.tokenizer))

    def _context(self) -> int:
        return int(self.net.config.text_config.max_position_embeddings)

    @property
    def parameters(self) -> int:
        """Number of parameters of the base model."""
        return sum(p.numel() for n, p in self.net.named_parameters() if "lora_" not in n)

    @property
    def logit_scale(self) -> float:
        """The model's own factor on similarities: 1 / temperature, at most `highest_scale`."""
        return min(float(self.net.logit_scale.detach().exp()), self.highest_scale)

    @property
    def temperature(self) -> nn.Parameter:
        """The logarithm of `logit_scale`, which may be trained."""
        found: nn.Parameter = self.net.logit_scale
        return found

    @property
    def logit_bias(self) -> nn.Parameter | None:
        """What is added to scaled similarities; None where the family knows no such thing."""
        return None

    def last_cut(self, tower: Tower) -> int:
        """The cut that is the finished embedding."""
        return self.layers[tower] + 3

    def stage_of(self, tensor: str, tower: Tower) -> int | None:
        """The stage that a tensor belongs to; None if it lies outside the tower."""
        last = self.layers[tower]
        if tensor.startswith(self.layout.projections[tower]):
            return last + 2
        if not tensor.startswith(f"{tower}_model."):
            return None
        if found := _LAYER.search(tensor):
            return int(found[1]) + 1
        return last + 1 if any(end in tensor for end in self.ends) else 0

    def cut_shape(self, cut: int) -> tuple[int, ...]:
        """Shape of one image's value at a cut of the vision tower."""
        if cut == self.last_cut("vision"):
            return (self.dim,)
        config = self.net.config.vision_config
        width = int(config.hidden_size)
        if cut == self.layers["vision"] + 2:
            return (width,)
        return ((config.image_size // config.patch_size) ** 2 + 1, width)

    def tower(self, tower: Tower) -> nn.Module:
        """The module that holds a tower's embedding and layers."""
        found: nn.Module = self.net.vision_model if tower == "vision" else self.net.text_model
        return found

    def stage(self, tower: Tower, number: int) -> nn.Module:
        """The module of stage 0 or of a layer."""
        module: Any = self.tower(tower)
        found: nn.Module = module.encoder.layers[number - 1] if number else module.embeddings
        return found

    def projection(self, tower: Tower) -> nn.Module:
        """The last matrix of a tower, whose outputs are the embeddings."""
        found: nn.Module = self.net.get_submodule(self.layout.projections[tower])
        return found

    # Images

    def pixels(self, pictures: Tensor) -> Tensor:
        """uint8 pictures [B, H, W, 3] as normalised floats [B, 3, H, W] on the device."""
        x = pictures.to(self.device.place, non_blocking=True).float().contiguous()
        # Whole rows at once: three numbers at a time, as colours lie, take a processor five times as long.
        mean, deviation = self._of_a_row(x.shape[2])
        x.flatten(2).sub_(mean).div_(deviation)  # a copy already: in its own memory
        return x.permute(0, 3, 1, 2)

    def _of_a_row(self, width: int) -> tuple[Tensor, Tensor]:
        """Mean and deviation of the colours of a row of pixels, [3 · width] each."""
        row = self._row
        if row[0].numel() != 3 * width:
            row = self._row = self._mean.repeat(width), self._std.repeat(width)
        return row

    def image(self, x: Tensor, start: int = 0, stop: int | None = None) -> Tensor:
        """Runs the vision tower's stages start to stop - 1.

        Args:
            x: Pixels [B, 3, H, W] for start 0, hidden states [B, T, D] up to cut L + 1, pooled [B, D] at L + 2.
            start: First stage.
            stop: Cut to stop at; the whole tower where left out.

        Returns:
            The value at the cut; at the last one embeddings [B, dim], not normalised.
        """
        tower, last = self.net.vision_model, self.layers["vision"]
        stop = self.last_cut("vision") if stop is None else stop
        for stage in range(start, stop):
            if stage == 0:
                x = tower.pre_layrnorm(tower.embeddings(x))
            elif stage <= last and (tower.training or torch.is_autocast_enabled(x.device.type)):
                # Only the first position, the class token, is pooled.
                first = x.new_zeros(len(x), dtype=torch.long) if stage == last and stop > last + 1 else None
                x = self._trained(tower.encoder.layers[stage - 1], x, None, first)
            elif stage <= last:
                x = tower.encoder.layers[stage - 1](x, None)
            elif stage == last + 1:
                x = tower.post_layernorm(x[:, 0])
            else:
                x = self.projection("vision")(x)
        return x

    # Texts

    def _written(self, text: str) -> str:
        """A text as the model's training wrote it."""
        return text

    def readings(self, texts: Sequence[str]) -> list[TextReading]:
        """How much of each text the model reads, and which of its words it does not know.

        Where the tokenizer cannot tell, everything counts as read and known.
        """
        written = [self._written(text) for text in texts]
        if self._whole is None:
            return [TextReading(text) for text in written]
        return text_reading.read(self._whole, self.context, written)

    @cached_property
    def _whole(self) -> Tokenizer | None:
        backend = getattr(self.tokenizer, "backend_tokenizer", None)
        return text_reading.whole_tokenizer(backend.to_str()) if isinstance(backend, Tokenizer) else None

    def tokens(self, texts: Sequence[str]) -> Tensor:
        """Token ids [B, T], T the longest of the batch; texts that are too long end early, always with the EOS token.

        Trimming to the longest is exact: the text tower is causal and pools at EOS.
        """
        ids: Tensor = self.tokenizer(
            list(texts), padding="longest", truncation=True, max_length=self.context, return_tensors="pt"
        )["input_ids"]
        eos = self.eos
        if eos is not None:
            without = ~(ids == eos).any(dim=1)
            ids[without, -1] = eos
        return ids.to(self.device.place)

    @property
    def eos(self) -> int | None:
        """Id of the token that ends a text; None where that is simply the highest id in use.

        An id of 2 marks the old configurations of which this is so.
        """
        found = int(self.net.config.text_config.eos_token_id)
        return None if found == 2 else found

    def _eos_positions(self, ids: Tensor) -> Tensor:
        eos = self.eos
        return ids.argmax(dim=-1) if eos is None else (ids == eos).int().argmax(dim=-1)

    @property
    def pad(self) -> int:
        """Id that fills short rows; never attended to, as it stands behind EOS in a causal tower."""
        return int(self.tokenizer.pad_token_id or 0)

    def text(self, ids: Tensor, stop: int | None = None) -> Tensor:
        """Runs the text tower from token ids [B, T] to a cut; at the last one embeddings [B, dim], not normalised."""
        tower, last = self.net.text_model, self.layers["text"]
        stop = self.last_cut("text") if stop is None else stop
        x: Tensor = tower.embeddings(input_ids=ids)  # [B, T, D]
        length = ids.shape[1]
        if (tower.training or torch.is_autocast_enabled(x.device.type)) and stop > last + 1:
            return self.text_from(self._trained_text(ids, x), last + 1, stop)
        mask = torch.full((length, length), torch.finfo(x.dtype).min, device=x.device).triu(1)[None, None]
        for stage in range(1, min(stop, last + 1)):
            x = tower.encoder.layers[stage - 1](x, mask)
        if stop <= last + 1:
            return x
        # The last norm acts on each position by itself: pooling first is exact and T times cheaper.
        x = x[torch.arange(len(ids), device=x.device), self._eos_positions(ids)]  # [B, D]
        return self.text_from(x, last + 1, stop)

    def _trained_text(self, ids: Tensor, x: Tensor) -> Tensor:
        """Pooled values [B, D] before the last norm, from embedded tokens [B, T, D]."""
        encoder, ends = self.net.text_model.encoder, self._eos_positions(ids)
        places = torch.arange(ids.shape[1], device=x.device)
        causal = (places <= places[:, None])[None, None]  # [1, 1, T, T]
        for layer in encoder.layers[:-1]:
            x = self._trained(layer, x, causal, None)
        return self._trained(encoder.layers[-1], x, (places <= ends[:, None])[:, None, None], ends)[:, 0]

    def _trained(self, layer: nn.Module, x: Tensor, allowed: Tensor | None, rows: Tensor | None) -> Tensor:
        """A layer inside an optimiser step, or where only speed counts (see `models.layers`)."""
        run = layers.recomputed if self.recompute and torch.is_grad_enabled() else layers.forward
        return run(layer, x, allowed, rows, self.device.attention == "sdpa")

    def text_from(self, x: Tensor, start: int, stop: int | None = None) -> Tensor:
        """The end of the text tower from pooled values [B, D]: start L + 1 before the last norm, L + 2 after it."""
        last = self.layers["text"]
        for stage in range(start, self.last_cut("text") if stop is None else stop):
            module: nn.Module = (
                self.net.text_model.final_layer_norm if stage == last + 1 else self.projection("text")
            )
            x = module(x)
        return x
