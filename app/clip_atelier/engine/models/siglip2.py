"""The family `siglip2`: SigLIP 2 whose pictures keep their shape and are cut into any number of patches (NaFlex).

Behind its own patches a picture's row is filled up to the length of all; nobody looks there. In hidden states those
positions are zeros at every cut, which real ones never are: that is how a stored value tells where its picture ends.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import Siglip2Model

from clip_atelier.engine.data import Patches
from clip_atelier.engine.models.device import Device
from clip_atelier.engine.models.families import FAMILIES
from clip_atelier.engine.models.siglip import Siglip


class Siglip2(Siglip):
    """A loaded SigLIP 2 with patches in a row.

    At cut 0 a picture is [1 + most, side · side · 3]: the first row begins with its numbers of rows and columns.
    """

    family = "siglip2"
    layout = FAMILIES["siglip2"].layout
    net_class = Siglip2Model
    exports_onnx = False  # it reads the numbers of patches as Python integers
    frame: Patches

    def __init__(self, folder: Path, device: Device, name: str = "") -> None:
        super().__init__(folder, device, name)
        each = self.frame.side**2
        self._means, self._stds = (one.view(3).repeat(each) for one in (self._mean, self._std))

    @property
    def _patches(self) -> int:
        return self.frame.most

    def pixels(self, pictures: Tensor) -> Tensor:
        """uint8 [B, 1 + most, side · side · 3] with its patches normalised, on the device."""
        given = pictures.to(self.device.place, non_blocking=True)
        x = given.float().sub_(self._means).div_(self._stds)
        counts = given[:, 0, :4].long()
        x[:, 0, 0] = (counts[:, 0] + 256 * counts[:, 1]).float()
        x[:, 0, 1] = (counts[:, 2] + 256 * counts[:, 3]).float()
        return x

    def image(self, x: Tensor, start: int = 0, stop: int | None = None) -> Tensor:
        """Runs the vision tower's stages start to stop - 1; see `Clip.image`."""
        tower, last = self.net.vision_model, self.layers["vision"]
        stop = self.last_cut("vision") if stop is None else stop
        seen: Tensor | None = None  # bool [B, most]
        if 0 < start <= last + 1:
            seen = (x != 0).any(dim=2)
        for stage in range(start, stop):
            if stage == 0:
                shapes = x[:, 0, :2].long()  # rows and columns
                x = self._placed(x[:, 1:], shapes)
                seen = torch.arange(x.shape[1], device=x.device) < shapes.prod(dim=1)[:, None]
                x = x * seen[..., None]
            elif stage <= last:
                assert seen is not None
                allowed = seen[:, None, None]  # [B, 1, 1, most]
                layer = tower.encoder.layers[stage - 1]
                if tower.training or torch.is_autocast_enabled(x.device.type):
                    x = self._trained(layer, x, allowed, None)
                else:
                    lowest = torch.finfo(x.dtype).min
                    x = layer(x, torch.zeros_like(allowed, dtype=x.dtype).masked_fill_(~allowed, lowest))
                x = x * seen[..., None]
            elif stage == last + 1:
                assert seen is not None
                x = tower.head(tower.post_layernorm(x), seen.int())
            else:
                x = self.projection("vision")(x)
        return x

    def _placed(self, x: Tensor, shapes: Tensor) -> Tensor:
        """Stage 0: patches [B, most, side · side · 3] as hidden states [B, most, D]; each shape's places made once."""
        embeddings = self.net.vision_model.embeddings
        table = embeddings.position_embedding.weight
        side = embeddings.position_embedding_size
        each, which = torch.unique(shapes, dim=0, return_inverse=True)
        places = embeddings.resize_positional_embeddings(table.view(side, side, -1), each, x.shape[1])
        found: Tensor = embeddings.patch_embedding(x.to(table.dtype)) + places[which]
        return found

    @classmethod
    def image_embeddings(cls, net: Any, pixel_values: Tensor) -> Tensor:
        """Embeddings [B, dim] by transformers' own forward, of what `pixels` gives."""
        shapes, patches = pixel_values[:, 0, :2].long(), pixel_values[:, 1:]
        seen = torch.arange(patches.shape[1]) < shapes.prod(dim=1)[:, None]
        found: Tensor = net.visual_projection(
            net.get_image_features(patches, seen.int(), shapes).pooler_output
        )
        return found
