"""What a model's files tell without loading it: parameters, and the sizes of the matrices LoRA can adapt."""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass
from pathlib import Path

from clip_atelier.engine.models.families import FAMILIES
from clip_atelier.engine.models.family import ROLE_OF_TARGET, Layout, Role, Tower
from clip_atelier.engine.models.weights import read_json, weight_files
from clip_atelier.engine.settings import Settings


def tensors(folder: Path) -> dict[str, tuple[int, ...]]:
    """Name and shape of every stored tensor, from the safetensors headers alone.

    Raises:
        UserError: a file is missing or cut short.
    """
    found: dict[str, tuple[int, ...]] = {}
    for file in weight_files(folder):
        with file.open("rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            header = json.loads(stream.read(length))
        found |= {name: tuple(entry["shape"]) for name, entry in header.items() if name != "__metadata__"}
    return found


def parameters(folder: Path) -> int:
    """Number of stored parameters."""
    return sum(
        math.prod(shape) for name, shape in tensors(folder).items() if not name.endswith("position_ids")
    )


@dataclass(frozen=True)
class Target:
    """One matrix that can be adapted; `module` is its dotted name in the model."""

    module: str
    tower: Tower
    role: Role
    outputs: int
    inputs: int


def targets(shapes: dict[str, tuple[int, ...]], settings: Settings, layout: Layout) -> list[Target]:
    """The matrices that these settings adapt (LoRA)."""
    wanted = {ROLE_OF_TARGET[name] for name in settings.lora.target_modules}
    chosen = []
    for name, shape in shapes.items():
        found = layout.matrix(name)
        if found is None or len(shape) != 2:
            continue
        tower, role = found
        if role in wanted and settings.train.towers in ("both", tower):
            chosen.append(Target(name.removesuffix(".weight"), tower, role, shape[0], shape[1]))
    return chosen


def norms(shapes: dict[str, tuple[int, ...]], settings: Settings, layout: Layout) -> dict[str, int]:
    """Sizes of the normalisation tensors that LayerNorm tuning trains."""
    return {
        name: math.prod(shape)
        for name, shape in shapes.items()
        if (tower := layout.norm_of(name)) and settings.train.towers in ("both", tower)
    }


@dataclass(frozen=True)
class Readout:
    """What the settings mean for a model, before any training.

    Attributes:
        trainable: Trainable parameters.
        share: Share of the base model's parameters.
        adapter_bytes: Size of the saved adapter.
        scaling: Factor before B·A; 0 where LoRA is not used.
    """

    trainable: int
    share: float
    adapter_bytes: int
    scaling: float
    modules: int


def readout(folder: Path, settings: Settings) -> Readout:
    """Trainable parameters and their like, from the files alone (no torch, milliseconds)."""
    shapes = tensors(folder)
    layout = FAMILIES[str(read_json(folder / "config.json").get("model_type"))].layout
    total = sum(math.prod(s) for n, s in shapes.items() if not n.endswith("position_ids"))
    if settings.train.method == "layernorm":
        found = norms(shapes, settings, layout)
        trainable, modules, scaling = sum(found.values()), len(found) // 2, 0.0
    else:
        chosen = targets(shapes, settings, layout)
        trainable = sum(settings.lora.r * (t.inputs + t.outputs) for t in chosen)
        modules, scaling = len(chosen), settings.lora.scaling
        if settings.lora.bias == "all":
            trainable += sum(math.prod(s) for n, s in shapes.items() if n.endswith(".bias"))
        elif settings.lora.bias == "lora_only":
            trainable += sum(math.prod(shapes.get(f"{t.module}.bias", (0,))) for t in chosen)
    if settings.train.temperature == "trained":
        trainable += 1
    return Readout(trainable, trainable / max(total, 1), trainable * 4, scaling, modules)
