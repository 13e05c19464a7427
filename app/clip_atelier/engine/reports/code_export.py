"""The Python code of a configuration. Nothing heavy is imported, so that the window can show it at any time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from clip_atelier.engine.models import ROLE_OF_TARGET, families, weights
from clip_atelier.engine.settings import DECLARED, TAKEN_AWAY, Settings

if TYPE_CHECKING:
    from clip_atelier.engine.models import Layout


@dataclass(frozen=True)
class Kind:
    """What the code needs to know of a model's family.

    Attributes:
        family: The model_type of its config.json.
        layout: Where its matrices are.
    """

    family: str
    layout: Layout

    @classmethod
    def of(cls, folder: Path) -> Kind:
        """The family of a folder; CLIP where there is none."""
        found = "clip"
        if (folder / "config.json").is_file():
            found = str(weights.read_json(folder / "config.json").get("model_type"))
        found = found if found in families.FAMILIES else "clip"
        return cls(found, families.FAMILIES[found].layout)

    @property
    def added(self) -> str:
        """The matrix that is none of the library's own; "" for none."""
        return self.layout.added

    def pattern(self, settings: Settings) -> str:
        """A regular expression of the names of the modules that the settings adapt, as PEFT takes one."""
        wanted = {ROLE_OF_TARGET[name] for name in settings.lora.target_modules}
        parts = []
        for tower, roles in self.layout.roles.items():
            if settings.train.towers not in ("both", tower):
                continue
            leaves = "|".join(leaf.replace(".", r"\.") for leaf, role in roles.items() if role in wanted)
            if leaves:
                parts.append(rf"{tower}_model\..*\.layers?\.\d+\.(?:self_attn\.|mlp\.)?(?:{leaves})")
            if f"{'image' if tower == 'vision' else tower}_projection" in wanted:
                parts.append(self.layout.projections[tower].replace(".", r"\."))
        return "|".join(parts)


_BESIDE_LORA: Final = (
    "# LoRA alone. What “Find what helps” keeps beside it (learned words, hub correction, several views, a head for",
    "# pictures) is no part of PEFT: a run has it in parts.json and parts.safetensors, and CLIP Atelier applies it.",
)


def python_code(settings: Settings, model_path: str = "path/to/a/CLIP/folder") -> str:
    """The Python program of this configuration, with nothing but transformers and PEFT; it runs as it is.

    It leaves `model` (the adapted CLIP, before training) and `update_size` behind.
    """
    lines = list(_code(settings, model_path, Kind.of(Path(model_path).expanduser())))
    if settings.evaluation.parts:
        lines = [*_BESIDE_LORA, *lines]
    return "\n".join(lines) + "\n"


def _code(settings: Settings, model_path: str, kind: Kind) -> Iterator[str]:
    lora = settings.train.method == "lora"
    yield from imports(settings, kind)
    yield ""
    yield from adapted(settings, model_path, kind)
    yield "model.print_trainable_parameters()"
    yield ""
    yield ""
    if lora and settings.starts_from_pairs:
        yield from _start_from_pairs()
        if settings.lora.use_dora:
            yield "        rows = layer.weight + layer.get_delta_weight('default')"
            yield "        layer.lora_magnitude_vector['default'].weight.copy_(rows.norm(dim=1))"
        yield ""
        yield ""
    yield from update_size(settings)
    yield ""
    yield ""
    yield from optimizer(settings)


def imports(
    settings: Settings, kind: Kind, more: Iterable[str] = (), packages: Iterable[str] = ()
) -> Iterator[str]:
    """What the lines of `adapted`, `update_size` and `optimizer` need.

    Args:
        settings: The configuration.
        kind: Of the model.
        more: Import lines of Python's own library.
        packages: Import lines of other packages.
    """
    lora = settings.train.method == "lora"
    own = set(more)
    if settings.train.temperature == "fixed" and not kind.added:
        own.add("import math")
    if _chosen_layers(settings):
        own.add("import re")
    if own:
        yield from sorted(own, key=lambda line: (line.startswith("from"), line))
        yield ""
    net_class = "CLIPModel" if kind.family == "clip" else "AutoModel"
    others = {
        "import torch",
        f"from peft import {'LoraConfig' if lora else 'LNTuningConfig'}, get_peft_model",
        f"from transformers import {', '.join(sorted(('AutoTokenizer', net_class)))}",
        *packages,
    }
    if lora:
        others.add("from peft.tuners.lora import LoraLayer")
    yield from sorted(others, key=lambda line: (line.startswith("from"), line.casefold()))


def adapted(settings: Settings, model_path: str, kind: Kind, more: str = "") -> Iterator[str]:
    """Opens the base as `model` and `tokenizer`, and puts the fresh update of `config` on it; `more` goes to the opening."""
    lora = settings.train.method == "lora"
    net_class = "CLIPModel" if kind.family == "clip" else "AutoModel"
    yield f"model = {net_class}.from_pretrained({model_path!r}, dtype=torch.float32{', ' if more else ''}{more})"
    yield f"tokenizer = AutoTokenizer.from_pretrained({model_path!r})"
    # The scale of a sigmoid belongs to its bias: it is not put to another value.
    if settings.train.temperature == "fixed" and not kind.added:
        yield "model.logit_scale.data.fill_(math.log(100))  # the temperature stays at 1 / 100"
    if kind.added and lora and "visual_projection" in settings.lora.target_modules:
        yield "# Nothing ends this family's image tower in a matrix: image embeddings pass through this one, which changes nothing yet."
        yield "width = model.config.vision_config.hidden_size"
        yield f"model.{kind.added} = torch.nn.Linear(width, width, bias=False)"
        yield f"torch.nn.init.eye_(model.{kind.added}.weight)"
    yield ""
    yield from _lora_config(settings, kind) if lora else _layernorm_config(settings)
    yield f"torch.manual_seed({settings.train.seed})"
    yield "model = get_peft_model(model, config)"
    if settings.train.temperature == "trained":
        limit = "" if kind.added else "  # keep it at most ln 100 while training"
        yield f"model.base_model.model.logit_scale.requires_grad_(True){limit}"
        if kind.added:
            yield "model.base_model.model.logit_bias.requires_grad_(True)"


def update_size(settings: Settings) -> Iterator[str]:
    """The function `update_size(model)`."""
    if settings.train.method != "lora":
        return _layernorm_size()
    return _dora_size() if settings.lora.use_dora else _update_size()


def optimizer(settings: Settings, left_out: str = "") -> Iterator[str]:
    """`trained` and `optimizer`, whose groups are those of training: what has one dimension is not pulled to zero.

    Args:
        settings: The configuration.
        left_out: A condition on a parameter's name under which it is not trained.
    """
    unless = f" and not ({left_out})" if left_out else ""
    yield (
        "trained = [parameter for name, parameter in model.named_parameters() if parameter.requires_grad"
        + unless
        + "]"
    )
    yield "matrices = [parameter for parameter in trained if parameter.dim() > 1]"
    yield "others = [parameter for parameter in trained if parameter.dim() <= 1]  # norms, biases, the temperature"
    yield "optimizer = torch.optim.AdamW("
    decay = settings.train.weight_decay
    yield f'    [{{"params": matrices, "weight_decay": {decay!r}}}, {{"params": others, "weight_decay": 0.0}}],'
    yield f"    lr={settings.train.learning_rate!r},"
    yield ")"


def _chosen_layers(settings: Settings) -> tuple[str, str] | None:
    """Where not all layers are adapted: the line that names those that are, and the test of a layer's number."""
    train = settings.train
    if train.last_layers:
        line = f"last = {train.last_layers}  # layers of each tower, counted from its end"
        return line, "int(layer[1]) >= tower.num_hidden_layers - last"
    if train.layer_numbers:
        numbers = ", ".join(str(number) for number in sorted(train.layer_numbers))
        return f"layers = {{{numbers}}}  # of each tower, counted from 0", "int(layer[1]) in layers"
    return None


_TOWER = "tower = model.config.vision_config if name.startswith('vision') else model.config.text_config"


def _lora_config(settings: Settings, kind: Kind) -> Iterator[str]:
    values = settings.lora.peft_arguments
    towers = settings.train.towers
    pattern = kind.pattern(settings)
    chosen = _python(values["target_modules"])
    if layers := _chosen_layers(settings):
        yield layers[0]
        yield "targets = []"
        yield "for name, _module in model.named_modules():"
        yield "    layer = re.search(r'\\.layers?\\.(\\d+)\\.', name)"
        if "tower" in layers[1]:
            yield f"    {_TOWER}"
        yield f'    if re.fullmatch(r"{pattern}", name):'
        yield f"        if layer is None or {layers[1]}:"
        yield "            targets.append(name)"
        chosen = "targets"
    elif kind.family != "clip":
        chosen = f'r"{pattern}"'
    elif towers != "both":
        first = {
            "vision": ("vision_model.", "visual_projection"),
            "text": ("text_model.", "text_projection"),
        }[towers]
        yield f"# Bare names match the image side and the text side: list those of the {towers} tower."
        yield "targets = ["
        yield "    name for name, _module in model.named_modules()"
        yield f"    if name.startswith({first!r}) and name.rpartition('.')[2] in {chosen}"
        yield "]"
        chosen = "targets"
    yield "config = LoraConfig("
    for name, value in values.items():
        declared = DECLARED[f"lora.{name}"]
        if declared.advanced and value == declared.default:
            continue
        yield f"    {name}={chosen if name == 'target_modules' else _python(value)},"
    yield ")"
    scale = "lora_alpha / sqrt(r)" if settings.lora.use_rslora else "lora_alpha / r"
    yield f"# PEFT adds {scale} = {settings.lora.scaling:g} times B·A to each of these weights."
    if settings.lora.use_dora:
        yield "# With DoRA it then gives every row a trained length."


def _layernorm_config(settings: Settings) -> Iterator[str]:
    towers = settings.train.towers
    where = "" if towers == "both" else f" and name.startswith('{towers}_model.')"
    if layers := _chosen_layers(settings):
        yield layers[0]
        yield ""
        yield ""
        yield "def is_adapted(name):"
        yield "    layer = re.search(r'\\.layers?\\.(\\d+)\\.', name)"
        if "tower" in layers[1]:
            yield f"    {_TOWER}"
        yield f"    return layer is None or {layers[1]}"
        yield ""
        yield ""
        where += " and is_adapted(name)"
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


def _dora_size() -> Iterator[str]:
    yield "def update_size(model):"
    yield '    """Squared size of the whole update, ‖ΔW‖²: 0 before training, but for rounding."""'
    yield "    total = 0"
    yield "    for layer in (module for module in model.modules() if isinstance(module, LoraLayer)):"
    yield "        rows = layer.weight + layer.get_delta_weight('default')"
    yield "        lengths = layer.lora_magnitude_vector['default'].weight / rows.norm(dim=1)"
    yield "        total = total + (lengths[:, None] * rows - layer.weight).square().sum()"
    yield "    return total"


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
