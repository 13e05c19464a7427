"""Settings -> PEFT, and everything an adapter can do: counts, strength, save, load.

The base weights stay untouched; an `Adapter` is the only thing that changes what a `Model` computes, and at strength 0
it computes exactly what the base does.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import safetensors.torch
import torch
from peft import LNTuningConfig, LoraConfig, PeftModel, get_peft_model
from peft.tuners.lora import LoraLayer
from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils import get_peft_model_state_dict
from torch import Tensor

from clip_atelier.engine.core import UserError, WorkError, _
from clip_atelier.engine.models import output_matrix, shapes, weights
from clip_atelier.engine.models.family import ROLE_OF_TARGET, Model, Tower
from clip_atelier.engine.settings import Settings

_ADAPTER_WEIGHTS = "adapter_model.safetensors"
_TEMPERATURE = "logit_scale.json"
_MAGNITUDE = "lora_magnitude_vector"

BASE_FINGERPRINT: Final = "base_fingerprint"
"""Under this name the weights of an adapter say which model they were made for."""


def target_names(clip: Model, settings: Settings) -> list[str]:
    """Dotted names of the adapted modules of the model.

    Raises:
        UserError: nothing in the model matches, or part of the choice matches nothing.
    """
    stored = {name: tuple(p.shape) for name, p in clip.net.named_parameters()}
    if settings.train.method == "layernorm":
        return sorted({name.rpartition(".")[0] for name in shapes.norms(stored, settings, clip.layout)})
    found = shapes.targets(stored, settings, clip.layout)
    roles = {t.role for t in found}
    for leaf in settings.lora.target_modules:
        if ROLE_OF_TARGET[leaf] not in roles:
            raise UserError(
                _("“{target}” matches nothing in this model with towers “{towers}”.").format(
                    target=leaf, towers=settings.train.towers
                ),
                _("Take it out of the target modules, or choose other towers."),
                "lora.target_modules",
            )
    return [t.module for t in found]


def peft_config(
    settings: Settings, names: list[str], modules: Iterable[str] = ()
) -> LoraConfig | LNTuningConfig:
    """The PEFT configuration; the LoRA block passes as it is, towers narrow the targets to full names.

    Args:
        settings: The settings of the update.
        names: Dotted names of the modules to adapt.
        modules: Dotted names of all modules of the model.
    """
    if settings.train.method == "layernorm":
        return LNTuningConfig(target_modules=names)
    lora = settings.lora.peft_arguments
    leaves = list(settings.lora.target_modules)
    # The short names are what everybody writes; they are kept where they mean the very same matrices.
    meant = {name for name in modules if name.rpartition(".")[2] in leaves} or set(names)
    plain = settings.train.towers == "both" and {n.rpartition(".")[2] for n in meant} == set(leaves)
    plain = plain and meant == set(names)
    lora["target_modules"] = leaves if plain else names
    return LoraConfig(**lora)


@dataclass
class Adapter:
    """An update attached to a `Model`.

    Attributes:
        trainable: Names of the trained tensors inside the model, with the tensors themselves.
        initial: Values before training of those that are not LoRA factors (norms, biases, temperature, DoRA's lengths).
    """

    clip: Model
    model: PeftModel
    settings: Settings
    trainable: dict[str, torch.nn.Parameter]
    initial: dict[str, Tensor]

    def __post_init__(self) -> None:
        self._adapter_scale = 1.0
        self._trained: dict[str, Tensor] = {}
        self._scaling: dict[LoraLayer, float] = {
            m: m.scaling["default"] for m in self.model.modules() if isinstance(m, LoraLayer)
        }

    @property
    def parameters(self) -> int:
        """Number of trained parameters."""
        return sum(p.numel() for p in self.trainable.values())

    @property
    def adapter_scale(self) -> float:
        """What the update is multiplied by: 0 the base, 1 as trained."""
        return self._adapter_scale

    def set_adapter_scale(self, value: float) -> None:
        """Scales the whole update: LoRA by its factor, other tensors between their first and trained values.

        Training goes on only at strength 1.
        """
        if value == self._adapter_scale:
            return
        for layer, scaling in self._scaling.items():
            layer.scaling["default"] = scaling * value
        # At 0 the adapter's modules are switched off, not multiplied by zero: bit for bit the base.
        for module in self.model.modules():
            if isinstance(module, BaseTunerLayer):
                module.enable_adapters(value != 0)
        with torch.no_grad():
            for name, first in self.initial.items():
                if self._adapter_scale == 1.0:
                    self._trained[name] = self.trainable[name].detach().clone()
                trained = self._trained[name]
                # Exactly the stored values at both ends; arithmetic only between.
                mixed = {0.0: first, 1.0: trained}.get(value)
                self.trainable[name].copy_(first + value * (trained - first) if mixed is None else mixed)
        self._adapter_scale = value

    @contextlib.contextmanager
    def at(self, value: float) -> Iterator[None]:
        """The block runs at another strength."""
        before = self._adapter_scale
        self.set_adapter_scale(value)
        try:
            yield
        finally:
            self.set_adapter_scale(before)

    def touches(self, tower: Tower) -> bool:
        """Whether any trained tensor lies in this tower."""
        return self.first_stage(tower) is not None

    def first_stage(self, tower: Tower) -> int | None:
        """The first stage of the tower that the update changes (see `models.family`), None if none does."""
        stages = [stage for name in self.trainable if (stage := self.clip.stage_of(name, tower)) is not None]
        return min(stages, default=None)

    def size(self) -> Tensor:
        """‖ΔW‖², the squared size of the whole update; differentiable.

        For LoRA ‖s·B·A‖² = s² · tr((BᵀB)(AAᵀ)), which needs only r × r matrices.
        """
        total = torch.zeros((), device=self.clip.device.place)
        for layer, scaling in self._scaling.items():
            a, b = layer.lora_A["default"].weight, layer.lora_B["default"].weight  # [r, in], [out, r]
            if layer.use_dora["default"]:
                total = total + (self.effective(layer) - layer.get_base_layer().weight).square().sum()
            else:
                total = total + scaling**2 * ((b.T @ b) * (a @ a.T)).sum()
        for name, first in self.initial.items():
            if _MAGNITUDE not in name:
                total = total + (self.trainable[name] - first).square().sum()
        return total

    def effective(self, layer: LoraLayer) -> Tensor:
        """The matrix [out, in] that a layer applies at the present strength; differentiable."""
        a, b = layer.lora_A["default"].weight, layer.lora_B["default"].weight  # [r, in], [out, r]
        scaling = self._scaling[layer] * self._adapter_scale
        weight: Tensor = layer.get_base_layer().weight + scaling * (b @ a)
        if not layer.use_dora["default"]:
            return weight
        lengths = layer.lora_magnitude_vector["default"].weight / weight.norm(dim=1)
        found: Tensor = lengths[:, None] * weight
        return found

    def _update(self, layer: LoraLayer) -> dict[str, Tensor]:
        """The factors A [r, in] and B [out, r], whose product is what a layer adds to its matrix at the present strength."""
        a, b = (side["default"].weight.detach().cpu() for side in (layer.lora_A, layer.lora_B))
        if not layer.use_dora["default"]:
            return {"A": a.contiguous(), "B": (b * self._scaling[layer] * self._adapter_scale).contiguous()}
        # Rows of other lengths are no low-rank change.
        with torch.no_grad():
            whole = (self.effective(layer) - layer.get_base_layer().weight).cpu() * (self._adapter_scale != 0)
        return {"A": whole.contiguous(), "B": torch.eye(len(whole))}

    def settle(self) -> None:
        """After the factors were written to by hand: DoRA's lengths become those of the rows as they are now."""
        with torch.no_grad():
            for layer, scaling in self._scaling.items():
                if layer.use_dora["default"]:
                    a, b = layer.lora_A["default"].weight, layer.lora_B["default"].weight
                    rows = layer.get_base_layer().weight + scaling * (b @ a)
                    layer.lora_magnitude_vector["default"].weight.copy_(rows.norm(dim=1))

    def state(self) -> dict[str, Tensor]:
        """Copies of the trained tensors as they are now, by name."""
        return {name: p.detach().cpu().clone() for name, p in self.trainable.items()}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Puts a `state` back; the strength becomes 1.

        Raises:
            UserError: the names or shapes do not match these settings.
        """
        if {n: tuple(t.shape) for n, t in state.items()} != {
            n: tuple(p.shape) for n, p in self.trainable.items()
        }:
            raise UserError(_("The stored adapter does not fit this training's settings or model."), "")
        self.set_adapter_scale(1.0)
        with torch.no_grad():
            for name, parameter in self.trainable.items():
                parameter.copy_(state[name])

    def save(self, folder: Path) -> None:
        """Writes plain PEFT files of the update at its present strength.

        `PeftModel.from_pretrained(base, folder)` gives the same embeddings. The strength is written into the tensors
        (B of LoRA is scaled), so that the configuration keeps the user's own lora_alpha.
        """
        folder.mkdir(parents=True, exist_ok=True)
        state = get_peft_model_state_dict(self.model, save_embedding_layers=False)
        scaled = {}
        for name, tensor in state.items():
            factor = self._adapter_scale if "lora_B" in name else 1.0
            scaled[name] = (tensor.detach().cpu() * factor).contiguous()
        config = self.model.peft_config["default"]
        # With these PEFT's own AutoPeftModel finds the class of the base.
        base = type(self.clip.net)
        config.auto_mapping = {"base_model_class": base.__name__, "parent_library": base.__module__}
        config.save_pretrained(str(folder), inference_mode=True)
        added = self.clip.layout.added
        layer = self.clip.net.get_submodule(added) if added else None
        if isinstance(layer, LoraLayer):
            scaled = output_matrix.apart(folder, scaled, added, self._update(layer))
        if self.settings.train.temperature == "trained":
            values = {"logit_scale": float(self.clip.temperature.detach())}
            if self.clip.logit_bias is not None:
                values["logit_bias"] = float(self.clip.logit_bias.detach())
            (folder / _TEMPERATURE).write_text(json.dumps(values), encoding="utf-8")
        made_for = {"format": "pt", "base_model": self.clip.name, BASE_FINGERPRINT: self.clip.fingerprint}
        safetensors.torch.save_file(scaled, folder / _ADAPTER_WEIGHTS, metadata=made_for)


def attach(clip: Model, settings: Settings) -> Adapter:
    """Attaches a fresh, untrained update to the model.

    Random numbers for A come from the settings' seed, and torch's own generator is left as it was.

    Raises:
        UserError: the targets match nothing.
    """
    detach(clip)
    names = target_names(clip, settings)
    config = peft_config(settings, names, [name for name, _module in clip.net.named_modules()])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.train.seed)
        model = get_peft_model(clip.net, config)
    model.to(clip.device.place).eval()  # new layers come with dropout on
    if settings.train.temperature == "trained":
        clip.temperature.requires_grad_(True)
        if clip.logit_bias is not None:
            clip.logit_bias.requires_grad_(True)
    trainable = {n: p for n, p in clip.net.named_parameters() if p.requires_grad}
    _assert_targets(trainable, names, settings)
    initial = {n: p.detach().clone() for n, p in trainable.items() if is_interpolated(n)}
    adapter = Adapter(clip, model, settings, trainable, initial)
    clip.adapter = adapter
    return adapter


def is_interpolated(name: str) -> bool:
    """Whether the strength moves a trained tensor between its first and last values; LoRA's factors are scaled."""
    return "lora_" not in name or _MAGNITUDE in name


def attached(clip: Model) -> Adapter | None:
    """The update that is attached to a model."""
    return clip.adapter if isinstance(clip.adapter, Adapter) else None


def _assert_targets(trainable: Mapping[str, Tensor], names: list[str], settings: Settings) -> None:
    """PEFT says nothing about half-wrong target lists: check that exactly the named modules are trained."""
    marker = ".lora_" if settings.train.method == "lora" else ".ln_tuning_layers."
    touched = {name.split(marker)[0] for name in trainable if marker in name}
    if touched != set(names):
        missing = ", ".join(sorted(set(names) ^ touched)[:3])
        raise WorkError(_("PEFT did not adapt what the settings ask for (at {names}).").format(names=missing))


def detach(clip: Model) -> None:
    """Takes any adapter off; the model is the untouched base again."""
    adapter = clip.adapter
    if not isinstance(adapter, Adapter):
        return
    adapter.set_adapter_scale(0.0)  # puts trained biases and the temperature back
    clip.net = adapter.model.unload()
    clip.net.requires_grad_(False).eval()
    clip.adapter = None


def read(folder: Path) -> dict[str, Tensor]:
    """The tensors of a saved PEFT adapter, after checking its JSON against what we write ourselves.

    Raises:
        UserError: pickled weights, a regular expression as target, a file cut short.
    """
    config = weights.read_json(folder / "adapter_config.json")
    file = folder / _ADAPTER_WEIGHTS
    if not file.is_file():
        raise UserError(
            _("“{folder}” holds no {file}.").format(folder=folder, file=_ADAPTER_WEIGHTS),
            _("Adapters stored as pickle files (.bin) are not opened, as they can run any code."),
        )
    targets = config.get("target_modules")
    fits = (
        config.get("peft_type") in ("LORA", "LN_TUNING")
        and isinstance(targets, list)
        and all(isinstance(t, str) for t in targets)
    )
    if not fits:
        raise UserError(
            _("“{folder}” is not an adapter this program can read.").format(folder=folder),
            _("Its target_modules must be a list of names and its type LoRA or LayerNorm tuning."),
        )
    weights.check_whole(file)
    # Read as bytes: a mapped file that shrinks while it is open would end the process.
    return safetensors.torch.load(file.read_bytes())
