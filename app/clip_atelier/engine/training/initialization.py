"""Where an update starts: at nothing, as PEFT does it, from what the two drawings of a pair differ in, or from captions.

What sketch and artwork of one thing differ in is the technique, not the thing. Halving those directions of the
embedding before the first step takes out of every later comparison what says nothing about who belongs to whom. The
idea is nuisance attribute projection (Solomonoff, Campbell & Boardman 2005, ICASSP), here as an update of rank r from
which training goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from peft.tuners.lora import LoraLayer

from clip_atelier.engine.core import Control, Notice, Work, _
from clip_atelier.engine.models import Adapter, features
from clip_atelier.engine.parts import Embedded, distinct_captions, fitted_projection
from clip_atelier.engine.settings import TAKEN_AWAY
from clip_atelier.engine.training.inputs import TrainingInputs

PAIRS: Final = 1000
"""From so many pairs on, more would not change the directions."""


def from_pairs(adapter: Adapter, inputs: TrainingInputs, train: Sequence[int], control: Control) -> Work[int]:
    """Puts the start that the settings ask for into a fresh update.

    Args:
        adapter: The update, as `adapters.attach` made it.
        inputs: The training items, prepared.
        train: Which items are learned from.
        control: Stop and pause.

    Returns:
        How many directions of the update start from pairs; 0 where it starts at nothing: because that was chosen, no pair
        is learned from, or visual_projection is not adapted, the only matrix whose outputs are the embeddings.
    """
    layer = adapter.clip.projection("vision")
    if not (adapter.settings.starts_from_pairs and isinstance(layer, LoraLayer)):
        return 0
    pairs = _pairs(inputs, train)
    if not pairs:
        return 0
    wanted = [index for sides in pairs for side in sides for index in side]
    pooled = yield from inputs.pooled(wanted, control)  # [N, width]
    row = {index: n for n, index in enumerate(wanted)}

    def middle(side: list[int]) -> NDArray[np.float32]:
        return np.asarray(pooled[[row[index] for index in side]].mean(axis=0), np.float32)

    apart = np.stack([middle(sketches) - middle(artworks) for sketches, artworks in pairs])  # [pairs, width]
    weight = layer.get_base_layer().weight  # [dim, width]
    directions = principal(apart @ weight.detach().float().cpu().numpy().T, adapter.settings.lora.r)
    across = torch.from_numpy(directions).to(weight)  # [k, dim]
    with torch.no_grad():
        # W + s·B·A = (1 - t·QᵀQ)·W for A = Q·W and B = -t/s·Qᵀ.
        layer.lora_A["default"].weight[: len(across)] = across @ weight
        layer.lora_B["default"].weight[:, : len(across)] = -TAKEN_AWAY / layer.scaling["default"] * across.T
    adapter.settle()
    yield Notice(
        text=_("The update starts from what the drawings of {pairs} pairs differ in.").format(
            pairs=len(pairs)
        )
    )
    return len(across)


def from_captions(
    adapter: Adapter, inputs: TrainingInputs, train: Sequence[int], control: Control
) -> Work[int]:
    """Puts the closed formula that fits drawings to their captions into a fresh update; arguments as `from_pairs`.

    Returns:
        The rank of what it starts from; 0 where it starts at nothing: because that was chosen, visual_projection is not
        adapted, or no such map helped on drawings that it was not fitted to.
    """
    layer = adapter.clip.projection("vision")
    if not (adapter.settings.starts_from_captions and isinstance(layer, LoraLayer)):
        return 0
    items = [inputs.items[index] for index in train]
    strings = distinct_captions(items)
    pooled = yield from inputs.pooled(train, control)  # [N, width]
    weight = layer.get_base_layer().weight.detach().double().cpu().numpy()  # [dim, width]
    with adapter.at(0.0):
        texts = features.texts(adapter.clip, strings)
    embedded = Embedded.of(items, strings, pooled @ weight.T, texts)
    groups = np.array([inputs.groups[index] for index in train], np.int64)
    everything = np.arange(len(train), dtype=np.int64)
    update = fitted_projection(embedded, groups, everything, adapter.settings.lora.r)
    if update is None:
        return 0
    a, b = update.lora_factors(weight, adapter.settings.lora.r, layer.scaling["default"])
    own = update.left.shape[1]
    with torch.no_grad():
        # Rows of A that the map leaves empty keep their random values: B is zero there, and training may use them.
        layer.lora_A["default"].weight[:own] = torch.from_numpy(a[:own]).to(layer.lora_A["default"].weight)
        layer.lora_B["default"].weight.copy_(torch.from_numpy(b))
    adapter.settle()
    yield Notice(text=_("The update starts from a formula that fits the drawings to their captions."))
    return int(own)


def principal(differences: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """The orthonormal directions [k, dim], k ≤ count, in which differences [N, dim] are largest, largest first.

    Not about their mean: what all pairs differ in alike is taken out too. Directions without any difference are left out.
    """
    energy, vectors = np.linalg.eigh(differences.T.astype(np.float64) @ differences)  # smallest first
    energy, vectors = energy[::-1][:count], vectors[:, ::-1][:, :count]
    return vectors[:, energy > 1e-9 * energy[0]].T.astype(np.float32)


def _pairs(inputs: TrainingInputs, train: Sequence[int]) -> list[tuple[list[int], list[int]]]:
    """Sketches and artworks of each pair that is learned from; evenly chosen ones where there are very many."""
    sides: dict[str, dict[str, list[int]]] = {}
    for index in train:
        item = inputs.items[index]
        if item.pair and item.role:
            sides.setdefault(item.pair, {}).setdefault(item.role, []).append(index)
    found = [(one["sketch"], one["artwork"]) for one in sides.values() if len(one) == 2]
    chosen = np.linspace(0, len(found) - 1, min(PAIRS, len(found))).astype(int)
    return [found[n] for n in chosen]
