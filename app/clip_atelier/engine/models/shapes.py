"""What a model's files tell without loading it: parameters, and the sizes of the matrices LoRA can adapt."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from clip_atelier.engine.core import UserError, _
from clip_atelier.engine.models.families import FAMILIES
from clip_atelier.engine.models.family import ROLE_OF_TARGET, Layout, Role, Tower
from clip_atelier.engine.models.weights import read_json, shapes_of, weight_files
from clip_atelier.engine.settings import Settings


def tensors(folder: Path) -> dict[str, tuple[int, ...]]:
    """Name and shape of every stored tensor, from the safetensors headers alone.

    Raises:
        UserError: a file is missing or cut short.
    """
    found: dict[str, tuple[int, ...]] = {}
    for file in weight_files(folder):
        found |= shapes_of(file)
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
    layers = _chosen_layers(shapes, settings, layout)
    chosen = []
    for name, shape in shapes.items():
        found = layout.matrix(name)
        if found is None or len(shape) != 2:
            continue
        tower, role = found
        number = layout.number(name)
        if role in wanted and tower in layers and (number is None or number in layers[tower]):
            chosen.append(Target(name.removesuffix(".weight"), tower, role, shape[0], shape[1]))
    return chosen


def _chosen_layers(
    shapes: dict[str, tuple[int, ...]], settings: Settings, layout: Layout
) -> dict[Tower, frozenset[int]]:
    """Numbers of the layers that are adapted, of each tower that is.

    Raises:
        UserError: a layer is chosen by number that neither of these towers has.
    """
    train = settings.train
    counts = {t: n for t, n in _layer_counts(shapes, layout).items() if train.towers in ("both", t)}
    single = train.layer_numbers
    most = max(counts.values(), default=0)
    if gone := sorted(number for number in single if number >= most):
        raise UserError(
            _(
                "train.layers_to_transform: there is no layer {number}; this model has {count}, counted from 0."
            ).format(number=gone[0], count=most),
            _("Choose layers from 0 to {last}.").format(last=most - 1),
            "train.layers_to_transform",
        )
    last = train.last_layers
    return {
        tower: frozenset(range(max(0, count - last) if last else 0, count))
        & (single or frozenset(range(count)))
        for tower, count in counts.items()
    }


def _layer_counts(shapes: dict[str, tuple[int, ...]], layout: Layout) -> dict[Tower, int]:
    counts: dict[Tower, int] = {"vision": 0, "text": 0}
    for name in shapes:
        found, number = layout.matrix(name), layout.number(name)
        if found is not None and number is not None:
            counts[found[0]] = max(counts[found[0]], number + 1)
    return counts


@dataclass(frozen=True)
class Anatomy:
    """What of a model settings adapt, for a picture of it.

    Attributes:
        layers: How many each tower has.
        adapted: Numbers of those that learn, from 0.
        ends: Whether the matrix behind a tower's layers learns.
        targets: The matrices that get an update; none where LoRA is not used.
    """

    layers: dict[Tower, int]
    adapted: dict[Tower, frozenset[int]]
    ends: dict[Tower, bool]
    targets: tuple[Target, ...] = ()


def anatomy(folder: Path, settings: Settings) -> Anatomy:
    """Layers and matrices of a model and which of them learn, from its files alone (milliseconds).

    Raises:
        UserError: a file is missing or cannot be understood.
    """
    shapes = tensors(folder)
    family = FAMILIES[str(read_json(folder / "config.json").get("model_type"))]
    layout = family.layout
    shapes |= family.facts_of(folder).added
    layers = _layer_counts(shapes, layout)
    learning: dict[Tower, set[int]] = {"vision": set(), "text": set()}
    ends: dict[Tower, bool] = {"vision": False, "text": False}
    chosen: list[Target] = []
    if settings.train.method == "layernorm":
        found = [(layout.norm_of(name), layout.number(name)) for name in norms(shapes, settings, layout)]
    else:
        chosen = targets(shapes, settings, layout)
        found = [(one.tower, layout.number(f"{one.module}.weight")) for one in chosen]
    for tower, number in found:
        if tower is not None and number is not None:
            learning[tower].add(number)
        elif tower is not None and chosen:
            ends[tower] = True
    return Anatomy(
        layers, {tower: frozenset(found) for tower, found in learning.items()}, ends, tuple(chosen)
    )


def norms(shapes: dict[str, tuple[int, ...]], settings: Settings, layout: Layout) -> dict[str, int]:
    """Sizes of the normalisation tensors that LayerNorm tuning trains; those outside of all layers always are."""
    layers = _chosen_layers(shapes, settings, layout)
    return {
        name: math.prod(shape)
        for name, shape in shapes.items()
        if (tower := layout.norm_of(name)) in layers
        and ((number := layout.number(name)) is None or number in layers[tower])
    }


@dataclass(frozen=True)
class Readout:
    """What the settings mean for a model, before any training.

    Attributes:
        trainable: Trainable parameters.
        share: Share of the base model's parameters.
        adapter_bytes: Size of the saved adapter.
        scaling: Factor before B·A; 0 where LoRA is not used.
        modules: How many layers are adapted.
        narrowest: The smaller side of the narrowest adapted matrix: no rank above it adds anything; 0 where LoRA is not used.
    """

    trainable: int
    share: float
    adapter_bytes: int
    scaling: float
    modules: int
    narrowest: int = 0


def readout(folder: Path, settings: Settings) -> Readout:
    """Trainable parameters and their like, from the files alone (no torch, milliseconds)."""
    shapes = tensors(folder)
    config = read_json(folder / "config.json")
    family = FAMILIES[str(config.get("model_type"))]
    layout = family.layout
    total = sum(math.prod(s) for n, s in shapes.items() if not n.endswith("position_ids"))
    shapes |= family.facts_of(folder).added
    narrowest = 0
    if settings.train.method == "layernorm":
        found = norms(shapes, settings, layout)
        trainable, modules, scaling = sum(found.values()), len(found) // 2, 0.0
    else:
        chosen = targets(shapes, settings, layout)
        narrowest = min((min(t.inputs, t.outputs) for t in chosen), default=0)
        trainable = sum(settings.lora.r * (t.inputs + t.outputs) for t in chosen)
        if settings.lora.use_dora:
            trainable += sum(t.outputs for t in chosen)
        modules, scaling = len(chosen), settings.lora.scaling
        if settings.lora.bias == "all":
            trainable += sum(math.prod(s) for n, s in shapes.items() if n.endswith(".bias"))
        elif settings.lora.bias == "lora_only":
            trainable += sum(math.prod(shapes.get(f"{t.module}.bias", (0,))) for t in chosen)
    if settings.train.temperature == "trained":
        trainable += sum(name in shapes for name in ("logit_scale", "logit_bias"))
    return Readout(trainable, trainable / max(total, 1), trainable * 4, scaling, modules, narrowest)
