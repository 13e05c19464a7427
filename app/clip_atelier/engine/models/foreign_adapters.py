"""Adapters that were made elsewhere: plain PEFT LoRA of a model family, opened for searching and measuring.

What PEFT can apply without changing the base is opened as it is, by PEFT's own forward where the quick one does not fit:
DoRA, rsLoRA, patterns of ranks and scales, targets as names or as a regular expression, whole projections. Nothing
else: no pickle, no code, and no way of starting that rewrites the base.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import safetensors.torch
import torch
from peft import LoraConfig, get_peft_model
from peft.tuners.lora import LoraLayer
from peft.utils import set_peft_model_state_dict
from torch import Tensor

from clip_atelier.engine.core import UserError, _
from clip_atelier.engine.models import adapters, weights
from clip_atelier.engine.models.adapters import Adapter
from clip_atelier.engine.models.family import ROLE_OF_TARGET, Layout, Model
from clip_atelier.engine.settings import LoraSettings, Settings

FILES: Final = ("adapter_config.json", "adapter_model.safetensors")
_LONGEST: Final = 4000  # letters of a regular expression
_MOST_REPEATS: Final = 5  # parts of any length in one alternative; more of them take minutes on long names
# These keep the base as it is; others take the update out of its weights first.
_STARTS: Final = (True, False, "gaussian", "orthogonal", "true", "false")
# What would change the model beyond adding to its matrices.
_BEYOND: Final = (
    "layer_replication", "trainable_token_indices", "target_parameters", "alora_invocation_tokens", "arrow_config",
    "use_bdlora", "kappa_tuner_config", "velora_config",
)  # fmt: skip


def _refused(folder: Path, reason: object, remedy: str = "") -> UserError:
    return UserError(
        _("The adapter in “{folder}” cannot be opened: {reason}").format(folder=folder, reason=reason),
        remedy or _("Only plain LoRA of PEFT with safetensors weights is opened."),
    )


def _repeats(parsed: Any) -> int:
    """How many parts of any length a regular expression has, the most of its alternatives; nested ones count as many."""
    found = 0
    for operation, argument in parsed:
        name = str(operation)
        if name.endswith("_REPEAT"):
            inner = _repeats(argument[2])
            found += inner if argument[1] < 20 else 100 * inner + 1
        elif name == "BRANCH":
            found += max(_repeats(one) for one in argument[1])
        elif name in ("SUBPATTERN", "ASSERT", "ASSERT_NOT", "ATOMIC_GROUP"):
            found += _repeats(argument if name == "ATOMIC_GROUP" else argument[-1])
    return found


def described(folder: Path) -> dict[str, Any]:
    """adapter_config.json of a PEFT LoRA that adds to a model's matrices and does nothing else.

    Raises:
        UserError: it is something else, or its weights are missing, pickled or cut short.
    """
    config = weights.read_json(folder / FILES[0])
    if not (folder / FILES[1]).is_file():
        raise UserError(
            _("“{folder}” holds no {file}.").format(folder=folder, file=FILES[1]),
            _("Adapters stored as pickle files (.bin) are not opened, as they can run any code."),
        )
    weights.check_whole(folder / FILES[1])
    if config.get("peft_type") != "LORA":
        raise _refused(folder, _("its type is “{kind}”.").format(kind=config.get("peft_type")))
    targets = config.get("target_modules")
    names = isinstance(targets, list) and bool(targets) and all(isinstance(t, str) for t in targets)
    if not names and not (isinstance(targets, str) and 0 < len(targets) <= _LONGEST):
        raise _refused(folder, _("its target_modules are neither names nor a regular expression."))
    if isinstance(targets, str) and targets != "all-linear":
        try:
            parsed = re._parser.parse(targets)  # type: ignore[attr-defined]
        except (re.error, OverflowError, RecursionError) as error:
            raise _refused(folder, error) from error
        if _repeats(parsed) > _MOST_REPEATS:
            raise _refused(folder, _("matching its target_modules could take for ever."))
    start = config.get("init_lora_weights", True)
    if start not in _STARTS:
        raise _refused(
            folder,
            _("it starts by rewriting the model ({start}).").format(start=f"init_lora_weights = {start!r}"),
            _(
                "Convert it to a plain LoRA where it was made (PEFT: path_initial_model_for_weight_conversion)."
            ),
        )
    for key in _BEYOND:
        if config.get(key):
            raise _refused(folder, _("it needs “{setting}”, which is not supported.").format(setting=key))
    if (folder / weights.OUTPUT_MATRIX).is_file():
        raise _refused(
            folder,
            _("“{file}” beside it is not applied here.").format(file=weights.OUTPUT_MATRIX),
            _("Take the training's pack instead, which holds all of it."),
        )
    return config


def attach(clip: Model, folder: Path, settings: Settings) -> Adapter:
    """Attaches an adapter that was made elsewhere, at strength 1.

    Args:
        clip: The model it was made for.
        folder: Where its PEFT files are.
        settings: The settings of the run that it is opened as.

    Raises:
        UserError: it cannot be opened, or is not one of this model.
    """
    config = described(folder)
    tensors = _tensors(folder)
    for name in config.get("modules_to_save") or ():
        if name not in clip.layout.projections.values():
            raise _refused(folder, _("it replaces “{module}”, which is no projection.").format(module=name))
    made_for = weights.metadata(folder / FILES[1])
    recorded = made_for.get(adapters.BASE_FINGERPRINT)
    if recorded and not weights.is_same(recorded, clip.fingerprint, clip.folder):
        raise _refused(
            folder,
            _("it was made for “{model}”, not for “{other}”.").format(
                model=made_for.get("base_model", ""), other=clip.name
            ),
            _("Choose the model that it was made for."),
        )
    adapters.detach(clip)
    fresh = {key: value for key, value in config.items() if key in LoraConfig.__dataclass_fields__}
    fresh |= {
        "init_lora_weights": True,
        "inference_mode": False,
        "base_model_name_or_path": None,
        "task_type": None,
    }
    try:
        model = get_peft_model(clip.net, LoraConfig(**fresh))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise _refused(folder, error, _("Choose the model that it was made for.")) from error
    model.to(clip.device.place).eval()
    trainable = {n: p for n, p in clip.net.named_parameters() if p.requires_grad}
    initial = {n: p.detach().clone() for n, p in trainable.items() if adapters.is_interpolated(n)}
    adapter = Adapter(clip, model, settings, trainable, initial)
    clip.adapter = adapter
    try:
        said = set_peft_model_state_dict(model, dict(tensors))
        missing = [name for name in said.missing_keys if _is_update(name)]
        wrong = [*said.unexpected_keys, *missing]
        reason: object = _("“{tensor}” fits nothing.").format(tensor=wrong[0]) if wrong else ""
    except (RuntimeError, KeyError, ValueError) as error:
        wrong, reason = [str(error)], str(error).strip().splitlines()[-1].strip()
    if wrong:
        adapters.detach(clip)
        raise _refused(folder, reason, _("Choose the model that it was made for."))
    return adapter


def _is_update(name: str) -> bool:
    return "lora_" in name or ".modules_to_save." in name


def _tensors(folder: Path) -> Mapping[str, Tensor]:
    found = safetensors.torch.load((folder / FILES[1]).read_bytes())
    for name, tensor in found.items():
        if not torch.isfinite(tensor).all():
            raise _refused(folder, _("“{tensor}” holds no numbers.").format(tensor=name))
    return found


def about(config: Mapping[str, Any], adapter: Adapter, layout: Layout) -> dict[str, object]:
    """The settings, by dotted name, that come closest to an adapter: for lists and tables, not for making it anew."""
    usual = LoraSettings()
    roles = set()
    adapted = [name for name, module in adapter.clip.net.named_modules() if isinstance(module, LoraLayer)]
    for name in (*adapted, *(config.get("modules_to_save") or ())):
        if found := layout.matrix(f"{name}.weight"):
            roles.add(found[1])
    towers = [tower for tower in ("vision", "text") if adapter.touches(tower)]
    bias = config.get("bias", usual.bias)
    return {
        "lora.r": min(256, max(1, int(config.get("r", usual.r)))),
        "lora.lora_alpha": min(1024.0, max(1e-3, float(config.get("lora_alpha", usual.lora_alpha)))),
        "lora.lora_dropout": min(0.9, max(0.0, float(config.get("lora_dropout", 0.0)))),
        "lora.bias": bias if bias in ("none", "all", "lora_only") else "none",
        "lora.use_rslora": bool(config.get("use_rslora", False)),
        "lora.use_dora": bool(config.get("use_dora", False)),
        "lora.target_modules": tuple(name for name, role in ROLE_OF_TARGET.items() if role in roles)
        or usual.target_modules,
        "train.towers": towers[0] if len(towers) == 1 else "both",
    }
