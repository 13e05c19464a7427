"""Folders of open_clip (`open_clip_config.json`, `open_clip_model.safetensors`) become Hugging Face folders on the way in.

Only what is CLIP's own architecture is converted; everything else is refused by name. open_clip itself is not needed.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from clip_atelier.engine.core import UserError, _
from clip_atelier.engine.models import weights
from clip_atelier.engine.models.families import FAMILIES

CONFIG: Final = "open_clip_config.json"
_WEIGHTS: Final = ("open_clip_model.safetensors", "model.safetensors")
_BESIDE: Final = (
    "tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt", "special_tokens_map.json", "README.md",
    "LICENSE", "LICENSE.txt", "LICENSE.md",
)  # fmt: skip

# What CLIP's own architecture knows of; anything else would compute something else.
_VISION: Final = {
    "image_size": 224, "layers": 12, "width": 768, "patch_size": 16, "head_width": 64, "mlp_ratio": 4.0,
}  # fmt: skip
_TEXT: Final = {
    "context_length": 77, "vocab_size": 49408, "width": 512, "heads": 8, "layers": 12, "mlp_ratio": 4.0,
}  # fmt: skip
# What may be said besides, as long as it says what CLIP does anyway.
_HARMLESS: Final[Mapping[str, object]] = {
    "pool_type": "argmax", "patch_dropout": None, "global_average_pool": False, "ls_init_value": None,
    "attentional_pool": False, "no_ln_pre": False, "final_ln_after_pool": False, "embed_cls": False, "no_causal_mask": False,
    "proj_bias": False, "pad_id": None, "output_tokens": False, "input_patchnorm": False, "timm_model_name": None,
    "hf_model_name": None, "hf_tokenizer_name": None, "tokenizer_kwargs": None, "proj_type": "linear", "quick_gelu": None,
}  # fmt: skip

_IN_LAYER: Final = {
    "ln_1": "layer_norm1", "ln_2": "layer_norm2", "attn.out_proj": "self_attn.out_proj", "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}  # fmt: skip
_OUTSIDE: Final = {
    "visual.class_embedding": "vision_model.embeddings.class_embedding",
    "visual.positional_embedding": "vision_model.embeddings.position_embedding.weight",
    "visual.conv1.weight": "vision_model.embeddings.patch_embedding.weight",
    "visual.ln_pre.weight": "vision_model.pre_layrnorm.weight",
    "visual.ln_pre.bias": "vision_model.pre_layrnorm.bias",
    "visual.ln_post.weight": "vision_model.post_layernorm.weight",
    "visual.ln_post.bias": "vision_model.post_layernorm.bias",
    "token_embedding.weight": "text_model.embeddings.token_embedding.weight",
    "positional_embedding": "text_model.embeddings.position_embedding.weight",
    "ln_final.weight": "text_model.final_layer_norm.weight",
    "ln_final.bias": "text_model.final_layer_norm.bias",
    "logit_scale": "logit_scale",
}
_TRANSPOSED: Final = {"visual.proj": "visual_projection.weight", "text_projection": "text_projection.weight"}
_LAYER: Final = re.compile(r"^(visual\.)?transformer\.resblocks\.(\d+)\.(.+)\.(weight|bias)$")
_FUSED: Final = re.compile(r"^(visual\.)?transformer\.resblocks\.(\d+)\.attn\.in_proj_(weight|bias)$")


def is_folder(folder: Path) -> bool:
    """Whether this is an open_clip folder that cannot be opened as a Hugging Face folder as well."""
    if not (folder / CONFIG).is_file():
        return False
    config = folder / "config.json"
    known = config.is_file() and weights.read_json(config).get("model_type") in FAMILIES
    stored = any((folder / name).is_file() for name in ("model.safetensors", "model.safetensors.index.json"))
    return not (known and stored)


def _refused(folder: Path, reason: str, remedy: str = "") -> UserError:
    return UserError(
        _("The open_clip model in “{folder}” cannot be converted: {reason}").format(
            folder=folder, reason=reason
        ),
        remedy or _("Look for the same model with config.json and model.safetensors."),
        "model.name",
    )


def convert(source: Path, target: Path) -> None:
    """Writes an open_clip folder as a Hugging Face CLIP folder.

    Args:
        source: The open_clip folder.
        target: An empty folder.

    Raises:
        UserError: its architecture is not CLIP's own, its weights do not fit it, or a file is missing.
    """
    found = weights.read_json(source / CONFIG)
    config = _config(source, found)
    if not any((source / name).is_file() for name in ("tokenizer.json", "vocab.json")):
        raise _refused(
            source,
            _("it has no tokenizer."),
            _(
                "Copy tokenizer.json and tokenizer_config.json of openai/clip-vit-base-patch32 into the folder."
            ),
        )
    _convert_weights(source, target)
    (target / "config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")
    (target / "preprocessor_config.json").write_text(
        json.dumps(_preprocessing(found, config["vision_config"]["image_size"]), indent=2), encoding="utf-8"
    )
    for name in _BESIDE:
        if (source / name).is_file():
            shutil.copyfile(source / name, target / name)


def _part(source: Path, title: str, part: object, known: Mapping[str, Any]) -> dict[str, Any]:
    """One tower's description over open_clip's own defaults."""
    if not isinstance(part, dict):
        raise _refused(source, _("“{path}” does not hold what it should.").format(path=CONFIG))
    for key, value in part.items():
        if key not in known and not (key in _HARMLESS and value in (_HARMLESS[key], None, False, 0, {})):
            raise _refused(
                source,
                _("{tower} is not CLIP's own ({setting}).").format(tower=title, setting=f"{key} = {value!r}"),
            )
    chosen = {key: part.get(key, usual) for key, usual in known.items()}
    size = chosen.get("image_size")
    if isinstance(size, list) and len(set(size)) == 1:
        chosen["image_size"] = size[0]
    for key, value in chosen.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _refused(
                source,
                _("{tower} is not CLIP's own ({setting}).").format(tower=title, setting=f"{key} = {value!r}"),
            )
    return chosen


def _config(source: Path, found: Mapping[str, Any]) -> dict[str, Any]:
    """config.json of transformers."""
    model = found.get("model_cfg")
    if not isinstance(model, dict):
        raise _refused(source, _("“{path}” does not hold what it should.").format(path=CONFIG))
    strange = set(model) - {"embed_dim", "vision_cfg", "text_cfg", "quick_gelu", "custom_text"}
    if strange or model.get("custom_text"):
        named = ", ".join(sorted(strange)) or "custom_text"
        raise _refused(source, _("its architecture is not CLIP's own ({setting}).").format(setting=named))
    vision = _part(source, "vision_cfg", model.get("vision_cfg"), _VISION)
    text = _part(source, "text_cfg", model.get("text_cfg"), _TEXT)
    activation = "quick_gelu" if model.get("quick_gelu") else "gelu"
    dim = int(model.get("embed_dim", 512))

    def tower(part: Mapping[str, Any], heads: int) -> dict[str, Any]:
        return {
            "hidden_size": int(part["width"]), "intermediate_size": int(part["width"] * part["mlp_ratio"]),
            "num_hidden_layers": int(part["layers"]), "num_attention_heads": heads, "hidden_act": activation,
            "layer_norm_eps": 1e-5, "projection_dim": dim,
        }  # fmt: skip

    end = int(text["vocab_size"]) - 1
    return {
        "architectures": ["CLIPModel"],
        "model_type": "clip",
        "projection_dim": dim,
        "text_config": tower(text, int(text["heads"]))
        | {"model_type": "clip_text_model", "vocab_size": int(text["vocab_size"]), "bos_token_id": end - 1,
           "eos_token_id": end, "pad_token_id": end, "max_position_embeddings": int(text["context_length"])},
        "vision_config": tower(vision, int(vision["width"] // vision["head_width"]))
        | {"model_type": "clip_vision_model", "image_size": int(vision["image_size"]), "patch_size": int(vision["patch_size"])},
    }  # fmt: skip


def _preprocessing(found: Mapping[str, Any], size: int) -> dict[str, Any]:
    """preprocessor_config.json of transformers."""
    given = found.get("preprocess_cfg") or {}
    result: dict[str, Any] = {
        "crop_size": {"height": size, "width": size}, "do_center_crop": True, "do_convert_rgb": True, "do_normalize": True,
        "do_rescale": True, "do_resize": True, "image_processor_type": "CLIPImageProcessor", "resample": 3,
        "size": {"shortest_edge": size},
    }  # fmt: skip
    for ours, theirs in (("image_mean", "mean"), ("image_std", "std")):
        if given.get(theirs):
            result[ours] = given[theirs]
    return result


def _convert_weights(source: Path, target: Path) -> None:
    import safetensors.torch

    file = next((source / name for name in _WEIGHTS if (source / name).is_file()), None)
    if file is None:
        if (source / "open_clip_pytorch_model.bin").is_file():
            weights.weight_files(source)  # says what is wrong with pickle files
        raise _refused(source, _("“{path}” is missing.").format(path=source / _WEIGHTS[0]))
    weights.check_whole(file)
    converted: dict[str, Any] = {}
    for name, tensor in safetensors.torch.load(file.read_bytes()).items():
        if name in _OUTSIDE:
            converted[_OUTSIDE[name]] = tensor
        elif name in _TRANSPOSED:
            converted[_TRANSPOSED[name]] = tensor.T.contiguous()
        elif fused := _FUSED.match(name):
            tower = "vision_model" if fused[1] else "text_model"
            for leaf, part in zip(("q_proj", "k_proj", "v_proj"), tensor.chunk(3), strict=True):
                converted[f"{tower}.encoder.layers.{fused[2]}.self_attn.{leaf}.{fused[3]}"] = (
                    part.contiguous()
                )
        elif (inside := _LAYER.match(name)) and inside[3] in _IN_LAYER:
            tower = "vision_model" if inside[1] else "text_model"
            converted[f"{tower}.encoder.layers.{inside[2]}.{_IN_LAYER[inside[3]]}.{inside[4]}"] = tensor
        elif name != "attn_mask":
            raise _refused(source, _("CLIP has no such weight: “{tensor}”.").format(tensor=name))
    safetensors.torch.save_file(converted, target / "model.safetensors", {"format": "pt"})


def write_open_clip(folder: Path) -> None:
    """Turns a Hugging Face CLIP folder into an open_clip folder, which `open_clip.create_model("local-dir:…")` opens.

    Args:
        folder: Its config.json and model.safetensors are replaced by open_clip's own; the tokenizer stays.

    Raises:
        UserError: open_clip's CLIP would compute something else.
    """
    import safetensors.torch

    found = weights.read_json(folder / "config.json")
    described = _described(folder, found)
    tensors: dict[str, Any] = safetensors.torch.load((folder / "model.safetensors").read_bytes())
    safetensors.torch.save_file(_renamed(tensors), folder / _WEIGHTS[0], {"format": "pt"})
    (folder / "model.safetensors").unlink()
    preprocessing = folder / "preprocessor_config.json"
    told = weights.read_json(preprocessing) if preprocessing.is_file() else {}
    given = {
        theirs: told[ours]
        for ours, theirs in (("image_mean", "mean"), ("image_std", "std"))
        if told.get(ours)
    }
    config = {"model_cfg": described, "preprocess_cfg": given}
    (folder / CONFIG).write_text(json.dumps(config, indent=2), encoding="utf-8", newline="\n")
    (folder / "config.json").unlink()
    preprocessing.unlink(missing_ok=True)


def _described(folder: Path, found: Mapping[str, Any]) -> dict[str, Any]:
    """open_clip's description of a configuration of transformers."""
    from transformers import CLIPConfig

    if found.get("model_type") != "clip":
        raise _unlike(folder, f"model_type = {found.get('model_type')!r}")
    whole = CLIPConfig.from_dict(dict(found))
    vision, text = whole.vision_config, whole.text_config
    # open_clip reads a text at its highest token; transformers at the first end token, or for 2 as open_clip does.
    if text.eos_token_id not in (2, text.vocab_size - 1):
        raise _unlike(folder, f"eos_token_id = {text.eos_token_id}")
    for part in (vision, text):
        if part.hidden_act != vision.hidden_act or part.hidden_act not in ("quick_gelu", "gelu"):
            raise _unlike(folder, f"hidden_act = {part.hidden_act!r}")
        if part.layer_norm_eps != 1e-5:
            raise _unlike(folder, f"layer_norm_eps = {part.layer_norm_eps}")

    def sizes(part: Any) -> dict[str, Any]:
        ratio = part.intermediate_size / part.hidden_size
        return {"layers": part.num_hidden_layers, "width": part.hidden_size, "mlp_ratio": ratio}

    return {
        "embed_dim": whole.projection_dim,
        "quick_gelu": vision.hidden_act == "quick_gelu",
        "vision_cfg": sizes(vision)
        | {"image_size": vision.image_size, "patch_size": vision.patch_size,
           "head_width": vision.hidden_size // vision.num_attention_heads},
        "text_cfg": sizes(text)
        | {"context_length": text.max_position_embeddings, "vocab_size": text.vocab_size, "heads": text.num_attention_heads},
    }  # fmt: skip


def _unlike(folder: Path, setting: str) -> UserError:
    return UserError(
        _("The model in “{folder}” is none that open_clip's CLIP computes ({setting}).").format(
            folder=folder, setting=setting
        ),
        _("Export a merged model instead."),
    )


def _renamed(tensors: Mapping[str, Any]) -> dict[str, Any]:
    """Tensors of transformers by open_clip's names."""
    import torch

    outside = {theirs: ours for ours, theirs in _OUTSIDE.items()}
    transposed = {theirs: ours for ours, theirs in _TRANSPOSED.items()}
    in_layer = {theirs: ours for ours, theirs in _IN_LAYER.items()}
    found: dict[str, Any] = {}
    for name, tensor in tensors.items():
        inside = re.match(r"^(vision|text)_model\.encoder\.layers\.(\d+)\.(.+)\.(weight|bias)$", name)
        if name in outside:
            found[outside[name]] = tensor
        elif name in transposed:
            found[transposed[name]] = tensor.T.contiguous()
        elif inside:
            start = f"{'visual.' if inside[1] == 'vision' else ''}transformer.resblocks.{inside[2]}."
            if inside[3] in in_layer:
                found[f"{start}{in_layer[inside[3]]}.{inside[4]}"] = tensor
            elif inside[3] == "self_attn.q_proj":
                stem = name.partition("q_proj")[0]
                parts = [tensors[f"{stem}{leaf}.{inside[4]}"] for leaf in ("q_proj", "k_proj", "v_proj")]
                found[f"{start}attn.in_proj_{inside[4]}"] = torch.cat(parts).contiguous()
    return found
