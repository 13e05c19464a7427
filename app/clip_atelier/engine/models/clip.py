"""The family `clip`: OpenAI's, LAION's and others' models that transformers opens as `CLIPModel`.

Same arithmetic as transformers', run stage by stage (see `family`); a test checks it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import AutoTokenizer, CLIPModel

from clip_atelier.engine.core import UserError, _
from clip_atelier.engine.models import layers, weights
from clip_atelier.engine.models.device import Device
from clip_atelier.engine.models.families import FAMILIES
from clip_atelier.engine.models.family import Attached, Layout, Tower

# Its bars would be written over the command line's own progress.
transformers.utils.logging.disable_progress_bar()

# CLIP's own statistics, for folders that came without a preprocessor_config.json.
_MEAN = (0.48145466, 0.4578275, 0.40821073)
_STD = (0.26862954, 0.26130258, 0.27577711)


LAYOUT: Final = FAMILIES["clip"].layout


class Clip:
    """A loaded CLIP. Its weights are never changed; adapters are attached by `engine.adapters`.

    Attributes:
        net: transformers' model (modules inside may be wrapped by PEFT while an adapter is attached).
        image_size: Side of the square it sees, in pixels.
        dim: Length of an embedding.
        recompute: Whether optimiser steps keep only what enters each layer (see `models.layers.recomputed`).
    """

    family: str = "clip"
    layout: Layout = LAYOUT
    loss: Literal["softmax", "sigmoid"] = "softmax"

    def __init__(self, folder: Path, device: Device, name: str = "") -> None:
        config = weights.read_json(folder / "config.json")
        if config.get("model_type") != "clip":
            raise UserError(
                _("“{folder}” is not a CLIP model (its type is “{kind}”).").format(
                    folder=folder, kind=config.get("model_type")
                ),
                _("Choose a Hugging Face CLIP folder."),
                "model.name",
            )
        self.fingerprint = weights.fingerprint(folder)
        self.folder = folder
        self.name = name or folder.name
        self.device = device
        self.adapter: Attached | None = None
        self.recompute = False
        # The base's embeddings of lists of captions asked for lately; `engine.features` fills it.
        self.known_texts: dict[tuple[str, ...], NDArray[np.float32]] = {}
        try:
            self.net: Any = CLIPModel.from_pretrained(
                folder, dtype=torch.float32, attn_implementation=device.attention, local_files_only=True,
                use_safetensors=True,
            )  # fmt: skip
            self.tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise UserError(
                _("The model in “{folder}” cannot be opened: {reason}").format(folder=folder, reason=error),
                _("Choose a complete Hugging Face CLIP folder with weights, configuration and tokenizer."),
                "model.name",
            ) from error
        self.net.to(device.place).eval().requires_grad_(False)
        vision, text = self.net.config.vision_config, self.net.config.text_config
        self.image_size = int(vision.image_size)
        self.dim = int(self.net.config.projection_dim)
        self.context = int(text.max_position_embeddings)
        self.layers: dict[Tower, int] = {"vision": vision.num_hidden_layers, "text": text.num_hidden_layers}
        preprocessing = folder / "preprocessor_config.json"
        found = weights.read_json(preprocessing) if preprocessing.is_file() else {}
        shape = (1, 3, 1, 1)
        self._mean = torch.tensor(found.get("image_mean", _MEAN), device=device.place).view(shape) * 255
        self._std = torch.tensor(found.get("image_std", _STD), device=device.place).view(shape) * 255
        self._eos = int(text.eos_token_id)

    @property
    def parameters(self) -> int:
        """Number of parameters of the base model."""
        return sum(p.numel() for n, p in self.net.named_parameters() if "lora_" not in n)

    @property
    def logit_scale(self) -> float:
        """The model's own factor on similarities: 1 / temperature, at most 100."""
        return min(float(self.net.logit_scale.detach().exp()), 100.0)

    @property
    def temperature(self) -> nn.Parameter:
        """The logarithm of `logit_scale`, which may be trained."""
        found: nn.Parameter = self.net.logit_scale
        return found

    def last_cut(self, tower: Tower) -> int:
        """The cut that is the finished embedding."""
        return self.layers[tower] + 3

    def stage_of(self, tensor: str, tower: Tower) -> int | None:
        """The stage that a tensor belongs to; None if it lies outside the tower."""
        last = self.layers[tower]
        if tensor.startswith(LAYOUT.projections[tower]):
            return last + 2
        if not tensor.startswith(f"{tower}_model."):
            return None
        if ".encoder.layers." in tensor:
            return int(tensor.split(".encoder.layers.")[1].split(".", maxsplit=1)[0]) + 1
        return last + 1 if "post_layernorm" in tensor or "final_layer_norm" in tensor else 0

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
        found: nn.Module = self.net.visual_projection if tower == "vision" else self.net.text_projection
        return found

    # Images

    def pixels(self, pictures: Tensor) -> Tensor:
        """uint8 pictures [B, H, W, 3] as normalised floats [B, 3, H, W] on the device."""
        x = pictures.to(self.device.place, non_blocking=True).permute(0, 3, 1, 2).float()
        return (x - self._mean) / self._std

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
                x = self.net.visual_projection(x)
        return x

    # Texts

    def tokens(self, texts: Sequence[str]) -> Tensor:
        """Token ids [B, T], T the longest of the batch; texts that are too long end early, always with the EOS token.

        Trimming to the longest is exact: the text tower is causal and pools at EOS.
        """
        ids: Tensor = self.tokenizer(
            list(texts), padding="longest", truncation=True, max_length=self.context, return_tensors="pt"
        )["input_ids"]
        if self._eos != 2:
            without = ~(ids == self._eos).any(dim=1)
            ids[without, -1] = self._eos
        return ids.to(self.device.place)

    def _eos_positions(self, ids: Tensor) -> Tensor:
        # An id of 2 marks old configurations whose EOS is simply the highest id in use.
        return ids.argmax(dim=-1) if self._eos == 2 else (ids == self._eos).int().argmax(dim=-1)

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
        if tower.training and stop > last + 1:
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
                self.net.text_model.final_layer_norm if stage == last + 1 else self.net.text_projection
            )
            x = module(x)
        return x
