"""What leaves the program: adapters, merged models, ONNX, and the Python code of a configuration.

Nothing heavy is imported before a model is exported, so that the window can show the code at any time.
"""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from clip_atelier.engine.core import Control, Phase, UserError, Work, WorkError, _
from clip_atelier.engine.models import Models, weights
from clip_atelier.engine.reports.written import WrittenFiles
from clip_atelier.engine.settings import DECLARED, TAKEN_AWAY, Settings

if TYPE_CHECKING:
    from transformers import CLIPModel

    from clip_atelier.engine.runs import RunFolder

Target = Literal["adapter", "merged", "onnx", "code"]
TARGETS: Final[tuple[str, ...]] = get_args(Target)

# What belongs to a Hugging Face CLIP folder besides config.json and the weights.
_BESIDE_WEIGHTS: Final = (
    "tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt", "special_tokens_map.json",
    "added_tokens.json", "preprocessor_config.json", "processor_config.json",
)  # fmt: skip


def export(run: RunFolder, to: Target, out: Path, models: Models, control: Control) -> Work[WrittenFiles]:
    """Writes a run in a form that other programs take.

    Args:
        run: A run that has an adapter.
        to: "adapter" (PEFT folder), "merged" (Hugging Face CLIP folder), "onnx" (folder with two encoders) or
            "code" (one Python file).
        out: The folder or file to write; must not exist yet, or be an empty folder.
        models: Where the base model is found.
        control: Read between the pieces of work.

    Returns:
        The paths written.

    Raises:
        UserError: `out` is taken, or the run has no adapter yet.
        WorkError: ONNX is wanted and its packages are missing.
    """
    yield Phase(name="export", title=_("Exporting run {run}").format(run=run.id))
    control.boundary()
    adapter = run.path / "adapter"
    if to != "code" and not (adapter / "adapter_model.safetensors").is_file():
        raise UserError(
            _("Run “{run}” has no adapter yet.").format(run=run.id),
            _("Let it train until its first checkpoint: clip-atelier resume {run}").format(run=run.id),
        )
    _must_be_free(out)
    base = models.resolve(run.settings.model.name)
    if to == "code":
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(python_code(run.settings, str(base)), encoding="utf-8", newline="\n")
        return WrittenFiles(files=(str(out),))
    if to == "adapter":
        shutil.copytree(adapter, out, dirs_exist_ok=True)
    elif to == "merged":
        _write_merged(base, adapter, out)
    else:
        _require_onnx()
        _write_onnx(base, adapter, out, control)
    _copy_parts(run.path, out)
    return WrittenFiles(files=tuple(str(file) for file in sorted(out.rglob("*")) if file.is_file()))


def _copy_parts(run: Path, out: Path) -> None:
    """What the run keeps beside its adapter, and the card that says so; other programs apply the adapter alone."""
    from clip_atelier.engine.parts import ARRAYS, CARD, DESCRIPTION

    found = (run / DESCRIPTION, run / ARRAYS, run / "adapter" / CARD)
    for path in found:
        if path.is_file():
            shutil.copyfile(path, out / path.name)


def _must_be_free(out: Path) -> None:
    if out.is_dir() and not any(out.iterdir()):
        return
    if out.exists() or out.is_symlink():
        raise UserError(
            _("“{path}” exists already.").format(path=out), _("Choose another name; nothing is overwritten.")
        )


def merged_model(base: Path, adapter: Path) -> CLIPModel:
    """The base with the adapter's update added to its weights: a plain `CLIPModel` in fp32 on the processor.

    The strength chosen for the run is part of the stored adapter, so it is part of this too.
    """
    import torch
    from peft import PeftModel
    from transformers import CLIPModel

    weights.weight_files(base)
    weights.check_whole(adapter / "adapter_model.safetensors")
    model = CLIPModel.from_pretrained(base, dtype=torch.float32, local_files_only=True, use_safetensors=True)
    merged = PeftModel.from_pretrained(model, str(adapter), local_files_only=True).merge_and_unload()
    temperature = adapter / "logit_scale.json"
    if temperature.is_file():
        merged.logit_scale.data.fill_(float(weights.read_json(temperature)["logit_scale"]))
    return merged.eval()


def _write_merged(base: Path, adapter: Path, out: Path) -> None:
    merged_model(base, adapter).save_pretrained(out)
    _copy_beside_weights(base, out)


def _copy_beside_weights(base: Path, out: Path) -> None:
    for name in _BESIDE_WEIGHTS:
        if (base / name).is_file():
            shutil.copyfile(base / name, out / name)


def _require_onnx() -> None:
    from importlib.util import find_spec

    missing = [name for name in ("onnx", "onnxscript") if find_spec(name) is None]
    if missing:
        raise WorkError(
            _("Exporting to ONNX needs packages that are not installed: {names}.").format(
                names=", ".join(missing)
            ),
            _("Install them with “pip install {names}”, or export a merged model instead.").format(
                names=" ".join(missing)
            ),
        )


def _write_onnx(base: Path, adapter: Path, out: Path, control: Control) -> None:
    """Two files: image_encoder.onnx (pixel_values -> image_embeds), text_encoder.onnx (input_ids, attention_mask -> text_embeds).

    Embeddings are L2-normalised; sizes of the batch and of the text are free.
    """
    import torch
    from torch import Tensor, nn

    model = merged_model(base, adapter)
    model.set_attn_implementation("eager")

    class Images(nn.Module):
        def forward(self, pixel_values: Tensor) -> Tensor:
            return nn.functional.normalize(model.get_image_features(pixel_values).pooler_output, dim=-1)

    class Texts(nn.Module):
        def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
            found = model.get_text_features(input_ids=input_ids, attention_mask=attention_mask)
            return nn.functional.normalize(found.pooler_output, dim=-1)

    out.mkdir(parents=True, exist_ok=True)
    side = model.config.vision_config.image_size
    end = model.config.text_config.eos_token_id
    ids = torch.full((2, min(8, model.config.text_config.max_position_embeddings)), end)
    batch, length = torch.export.Dim("batch"), torch.export.Dim("length")
    encoders = (
        ("image_encoder.onnx", Images(), (torch.zeros(2, 3, side, side),), ("pixel_values",), "image_embeds", ({0: batch},)),
        (
            "text_encoder.onnx", Texts(), (ids, torch.ones_like(ids)), ("input_ids", "attention_mask"), "text_embeds",
            ({0: batch, 1: length}, {0: batch, 1: length}),
        ),
    )  # fmt: skip
    for name, encoder, example, inputs, output, free in encoders:
        control.boundary()
        # The exporter warns about its own internals, which nobody here can change.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                encoder.eval(), example, str(out / name), input_names=list(inputs), output_names=[output],
                dynamic_shapes=free, dynamo=True, external_data=False, verbose=False,
            )  # fmt: skip
    _copy_beside_weights(base, out)


# Code


def python_code(settings: Settings, model_path: str = "path/to/a/CLIP/folder") -> str:
    """The Python program of this configuration, with nothing but transformers and PEFT; it runs as it is.

    It leaves `model` (the adapted CLIP, before training) and `update_size` behind.
    """
    lines = list(_code(settings, model_path))
    return "\n".join(lines) + "\n"


def _code(settings: Settings, model_path: str) -> Iterator[str]:
    lora = settings.train.method == "lora"
    fixed = settings.train.temperature == "fixed"
    if fixed:
        yield "import math"
        yield ""
    yield "import torch"
    yield f"from peft import {'LoraConfig' if lora else 'LNTuningConfig'}, get_peft_model"
    if lora:
        yield "from peft.tuners.lora import LoraLayer"
    yield "from transformers import AutoTokenizer, CLIPModel"
    yield ""
    yield f"model = CLIPModel.from_pretrained({model_path!r}, dtype=torch.float32)"
    yield f"tokenizer = AutoTokenizer.from_pretrained({model_path!r})"
    if fixed:
        yield "model.logit_scale.data.fill_(math.log(100))  # the temperature stays at 1 / 100"
    yield ""
    yield from _lora_config(settings) if lora else _layernorm_config(settings)
    yield f"torch.manual_seed({settings.train.seed})"
    yield "model = get_peft_model(model, config)"
    if settings.train.temperature == "trained":
        yield "model.base_model.model.logit_scale.requires_grad_(True)  # keep it at most ln 100 while training"
    yield "model.print_trainable_parameters()"
    yield ""
    yield ""
    if lora and settings.starts_from_pairs:
        yield from _start_from_pairs()
        yield ""
        yield ""
    yield from _update_size() if lora else _layernorm_size()
    yield ""
    yield ""
    yield "optimizer = torch.optim.AdamW("
    yield "    [parameter for parameter in model.parameters() if parameter.requires_grad],"
    yield f"    lr={settings.train.learning_rate!r}, weight_decay={settings.train.weight_decay!r},"
    yield ")"


def _lora_config(settings: Settings) -> Iterator[str]:
    values = settings.lora.peft_arguments
    towers = settings.train.towers
    if towers != "both":
        first = {
            "vision": ("vision_model.", "visual_projection"),
            "text": ("text_model.", "text_projection"),
        }[towers]
        yield f"# Bare names match the image side and the text side: list those of the {towers} tower."
        yield "targets = ["
        yield "    name for name, _module in model.named_modules()"
        yield f"    if name.startswith({first!r}) and name.rpartition('.')[2] in {_python(values['target_modules'])}"
        yield "]"
    yield "config = LoraConfig("
    for name, value in values.items():
        declared = DECLARED[f"lora.{name}"]
        if declared.advanced and value == declared.default:
            continue
        narrowed = name == "target_modules" and towers != "both"
        yield f"    {name}={'targets' if narrowed else _python(value)},"
    yield ")"
    scale = "lora_alpha / sqrt(r)" if settings.lora.use_rslora else "lora_alpha / r"
    yield f"# PEFT adds {scale} = {settings.lora.scaling:g} times B·A to each of these weights."


def _layernorm_config(settings: Settings) -> Iterator[str]:
    towers = settings.train.towers
    where = "" if towers == "both" else f" and name.startswith('{towers}_model.')"
    yield "config = LNTuningConfig("
    yield "    target_modules=["
    yield "        name for name, module in model.named_modules()"
    yield f"        if isinstance(module, torch.nn.LayerNorm){where}"
    yield "    ],"
    yield ")"


def _start_from_pairs() -> Iterator[str]:
    yield "def start_from_pairs(sketches, artworks):"
    yield '    """Halves what the drawings of pairs differ in most: call it before the first step.'
    yield ""
    yield "    Both are pixel_values [pairs, 3, size, size]; the same row is the same thing."
    yield '    """'
    yield "    clip = model.base_model.model"
    yield "    layer = clip.visual_projection"
    yield "    with torch.no_grad(), model.disable_adapter():"
    yield "        apart = clip.get_image_features(sketches).pooler_output - clip.get_image_features(artworks).pooler_output"
    yield "        across = torch.linalg.svd(apart, full_matrices=False).Vh[: config.r]"
    yield "        layer.lora_A['default'].weight[: len(across)] = across @ layer.weight"
    yield f"        layer.lora_B['default'].weight[:, : len(across)] = across.T * -{TAKEN_AWAY} / layer.scaling['default']"


def _update_size() -> Iterator[str]:
    yield "def update_size(model):"
    yield '    """Squared size of the whole update, ‖ΔW‖²: 0 before training."""'
    yield "    layers = [module for module in model.modules() if isinstance(module, LoraLayer)]"
    yield "    return sum(layer.get_delta_weight('default').square().sum() for layer in layers)"


def _layernorm_size() -> Iterator[str]:
    yield "before = {name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}"
    yield ""
    yield ""
    yield "def update_size(model):"
    yield '    """Squared size of the whole update, ‖ΔW‖²: 0 before training."""'
    yield "    now = dict(model.named_parameters())"
    yield "    return sum((now[name] - first).square().sum() for name, first in before.items())"


def _python(value: Any) -> str:
    if isinstance(value, tuple):
        value = list(value)
    text = repr(value)
    return text if "'" not in text or '"' in text else text.replace("'", '"')
