"""The matrix behind a tower that ends in none of its own, outside of the program.

SigLIP's image tower ends in a pooling head. The matrix that is put behind it (see `models.siglip`) is nothing that
transformers or PEFT know, and no weight of theirs can take it up: it goes into a file of its own, with a note.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import safetensors.torch
from torch import Tensor

from clip_atelier.engine.models import weights

NOTE: Final = "output_matrix.md"

_ADAPTER_NOTE: Final = """# The matrix behind the image tower

This family's image tower ends in no matrix, so CLIP Atelier puts one there that starts at the identity. `output_matrix.safetensors`
holds what was learned of it: an image embedding x becomes x + B·(A·x). PEFT applies `adapter_model.safetensors` and does not know
this matrix; CLIP Atelier, and models it exports merged, apply both.

    from safetensors.torch import load_file
    matrix = load_file("output_matrix.safetensors")
    image_embeds = image_embeds + image_embeds @ matrix["A"].T @ matrix["B"].T
"""

_MODEL_NOTE: Final = """# The matrix behind the image tower

This family's image tower ends in no matrix, so CLIP Atelier puts one there. `output_matrix.safetensors` holds it: an image
embedding x becomes W·x. transformers does not know it; CLIP Atelier, and models it exports to ONNX, apply it.

    from safetensors.torch import load_file
    weight = load_file("output_matrix.safetensors")["visual_projection.weight"]
    image_embeds = model.get_image_features(**inputs).pooler_output @ weight.T
"""


def apart(
    folder: Path, state: Mapping[str, Tensor], module: str, update: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Takes the matrix's update out of a PEFT adapter and writes it into a file of its own.

    Args:
        folder: The adapter's folder, with its adapter_config.json.
        state: Tensors by PEFT's names, B at the strength that is saved.
        module: Dotted name of the matrix.
        update: What is added to the matrix: "A" [r, dim] and "B" [dim, r] whose product it is.

    Returns:
        What PEFT can apply; everything where that would be nothing, so that PEFT says that it cannot.
    """
    own = {name: tensor for name, tensor in state.items() if f".{module}." in name}
    if not own:
        return dict(state)
    safetensors.torch.save_file(dict(update), folder / weights.OUTPUT_MATRIX, {"format": "pt"})
    (folder / NOTE).write_text(_ADAPTER_NOTE, encoding="utf-8")
    rest = {name: tensor for name, tensor in state.items() if name not in own}
    if not rest:
        return dict(state)
    file = folder / "adapter_config.json"
    config = weights.read_json(file)
    config["target_modules"] = [name for name in config["target_modules"] if name != module]
    file.write_text(json.dumps(config, indent=2, sort_keys=True), encoding="utf-8")
    return rest


def update(folder: Path, module: str) -> Tensor | None:
    """What is to be added to the matrix [dim, dim] beside what PEFT applies of an adapter; None for nothing."""
    file = folder / weights.OUTPUT_MATRIX
    if not file.is_file():
        return None
    adapter = safetensors.torch.load((folder / "adapter_model.safetensors").read_bytes())
    if any(f".{module}." in name for name in adapter):
        return None
    found = safetensors.torch.load(file.read_bytes())
    return found["B"] @ found["A"]


def write(folder: Path, weight: Tensor, module: str) -> None:
    """Puts the whole matrix [dim, dim] beside a model."""
    whole = {f"{module}.weight": weight.contiguous()}
    safetensors.torch.save_file(whole, folder / weights.OUTPUT_MATRIX, {"format": "pt"})
    (folder / NOTE).write_text(_MODEL_NOTE, encoding="utf-8")
