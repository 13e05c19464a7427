"""What the rest of the program may ask of a model, whatever its family. A new family is one file that fulfils `Model`.

A tower with L layers has stages 0 (embedding), 1 to L (layers), L + 1 (pooling and last norm) and L + 2 (projection).
A *cut* c means the value after stages 0 to c - 1: cut 0 is the input itself, cut L + 2 the input of the projection,
cut L + 3 the finished embedding. What lies before the first adapted stage is frozen and computed once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor, nn

    from clip_atelier.engine.data import Frame
    from clip_atelier.engine.models.device import Device
    from clip_atelier.engine.models.text_reading import TextReading

Tower = Literal["vision", "text"]

Role = Literal["query", "key", "value", "output", "expand", "reduce", "image_projection", "text_projection"]

ROLE_OF_TARGET: Final[Mapping[str, Role]] = {
    "q_proj": "query",
    "k_proj": "key",
    "v_proj": "value",
    "out_proj": "output",
    "fc1": "expand",
    "fc2": "reduce",
    "visual_projection": "image_projection",
    "text_projection": "text_projection",
}
"""The settings' target modules, which carry CLIP's own names, as roles that every family knows."""

_NUMBER: Final = re.compile(r"\.layers?\.(?P<number>\d+)\.")


@dataclass(frozen=True)
class Layout:
    """Where a family keeps its matrices: names only, so that a model's files can be read without loading it.

    Attributes:
        layer: Pattern of a weight inside a layer, with the groups `tower`, `number` and `leaf`.
        norm: Pattern of a normalisation tensor, with the group `tower`.
        roles: Tower -> leaf of a matrix inside a layer -> its role.
        projections: Module name of each tower's last matrix.
        added: Which of these the family adds to the library's model; "" where both are the library's own.
    """

    layer: re.Pattern[str]
    norm: re.Pattern[str]
    roles: Mapping[Tower, Mapping[str, Role]]
    projections: Mapping[Tower, str]
    added: str = ""

    def matrix(self, tensor: str) -> tuple[Tower, Role] | None:
        """Tower and role of a weight; None for what is no matrix that can be adapted."""
        for tower, module in self.projections.items():
            if tensor == f"{module}.weight":
                return tower, "image_projection" if tower == "vision" else "text_projection"
        found = self.layer.match(tensor)
        if found is None:
            return None
        tower = "vision" if found["tower"].startswith("vision") else "text"
        role = self.roles[tower].get(found["leaf"])
        return None if role is None else (tower, role)

    def number(self, tensor: str) -> int | None:
        """The layer that a weight lies in, from 0; None for one outside of all layers."""
        found = self.layer.match(tensor) or _NUMBER.search(tensor)
        return None if found is None else int(found["number"])

    def norm_of(self, tensor: str) -> Tower | None:
        """The tower of a normalisation tensor; None for everything else."""
        found = self.norm.match(tensor)
        return None if found is None else "vision" if found["tower"].startswith("vision") else "text"


class Attached(Protocol):
    """An update as a model knows it: enough to tell whether it changes anything."""

    @property
    def adapter_scale(self) -> float:
        """What the update is multiplied by; 0 is the base."""


class Model(Protocol):
    """A loaded model of any family. Its weights are never changed; `adapters.attach` puts an update on it.

    Attributes:
        family: The `model_type` of its configuration.
        layout: Where its matrices are.
        name: As the user asked for it.
        folder: Where its files are.
        fingerprint: Changes with its weights and preprocessing.
        files: SHA-256 of each file that the fingerprint is made from.
        device: Where it computes.
        net: The module that PEFT adapts; parts of it are wrapped while an update is attached.
        frame: What it is shown: the side of a square in pixels, or patches.
        image_size: Side of that square, or of the largest one it could be shown.
        dim: Length of an embedding.
        context: The most tokens of a text.
        layers: Number of layers of each tower.
        adapter: The update that is attached; None without one.
        recompute: Whether optimiser steps keep only what enters each layer.
        known_texts: The base's embeddings of lists of captions asked for lately.
        loss: "softmax" for a contrast over the batch, "sigmoid" for independent pairs.
        highest_scale: The most that similarities may be multiplied by.
    """

    family: str
    layout: Layout
    name: str
    folder: Path
    fingerprint: str
    files: dict[str, str]
    device: Device
    net: nn.Module
    frame: Frame
    image_size: int
    dim: int
    context: int
    layers: dict[Tower, int]
    adapter: Attached | None
    recompute: bool
    known_texts: dict[tuple[str, ...], NDArray[np.float32]]
    loss: Literal["softmax", "sigmoid"]
    highest_scale: float

    @property
    def parameters(self) -> int:
        """Number of parameters of the base model."""

    @property
    def logit_scale(self) -> float:
        """The model's own factor on similarities: 1 / temperature, at most `highest_scale`."""

    @property
    def temperature(self) -> nn.Parameter:
        """The logarithm of that factor, which may be trained."""

    @property
    def logit_bias(self) -> nn.Parameter | None:
        """What the sigmoid loss adds to scaled similarities, which may be trained; None for the other loss."""

    @property
    def pad(self) -> int:
        """Id that fills short rows of token ids."""

    def last_cut(self, tower: Tower) -> int:
        """The cut that is the finished embedding."""

    def stage_of(self, tensor: str, tower: Tower) -> int | None:
        """The stage that a tensor belongs to; None if it lies outside the tower."""

    def cut_shape(self, cut: int) -> tuple[int, ...]:
        """Shape of one image's value at a cut of the vision tower."""

    def tower(self, tower: Tower) -> nn.Module:
        """The module that holds a tower's embedding and layers."""

    def stage(self, tower: Tower, number: int) -> nn.Module:
        """The module of stage 0 or of a layer."""

    def projection(self, tower: Tower) -> nn.Module:
        """The last matrix of a tower, whose outputs are the embeddings."""

    def pixels(self, pictures: Tensor) -> Tensor:
        """Pictures as its frame has them, uint8 [B, …], as normalised floats on the device."""

    def image(self, x: Tensor, start: int = 0, stop: int | None = None) -> Tensor:
        """Runs the vision tower's stages start to stop - 1."""

    def readings(self, texts: Sequence[str]) -> list[TextReading]:
        """How much of each text the model reads, and which of its words it does not know."""

    def tokens(self, texts: Sequence[str]) -> Tensor:
        """Token ids [B, T], T the longest of the batch where trimming is exact."""

    def text(self, ids: Tensor, stop: int | None = None) -> Tensor:
        """Runs the text tower from token ids [B, T] to a cut."""

    def text_from(self, x: Tensor, start: int, stop: int | None = None) -> Tensor:
        """The end of the text tower from pooled values [B, D]."""
