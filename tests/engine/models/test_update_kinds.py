"""DoRA, and updates of a tower's last layers only: correct at every strength, in every precision, and on the way out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from transformers import AutoModel

import family_folders
from clip_atelier.engine import settings
from clip_atelier.engine.core import Control, drive
from clip_atelier.engine.models import Adapter, Model, Models, adapters, shapes
from clip_atelier.engine.reports import export
from clip_atelier.engine.runs import Runs, open_run
from resumed import trained_and_resumed

CPU = settings.HardwareSettings(device="cpu", precision="fp32", threads=1)
TARGETS = "q_proj+v_proj+visual_projection"
KINDS: list[dict[str, Any]] = [
    {"lora.use_dora": True},
    {"lora.use_dora": True, "lora.use_rslora": True, "train.towers": "vision"},
    {"train.last_layers": 1},
    {"train.layers_to_transform": "0"},
    {
        "train.last_layers": 1,
        "lora.use_dora": True,
        "train.towers": "text",
        "lora.target_modules": "q_proj+fc2",
    },
]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    place = tmp_path_factory.mktemp("kinds")
    return {name: family_folders.make(name, place / name) for name in ("clip", "siglip", "chinese_clip")}


def learned(clip: Model, values: dict[str, Any]) -> Adapter:
    """An update as if it had learned much."""
    adapter = adapters.attach(clip, settings.build({"lora.target_modules": TARGETS, **values}))
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in adapter.trainable.items():
            if "lora_B" in name:
                parameter.normal_(std=0.2, generator=generator)
            elif "magnitude" in name:
                parameter.mul_(1 + 0.3 * torch.rand(parameter.shape, generator=generator))
    return adapter


def embeddings(clip: Model) -> torch.Tensor:
    pixels = clip.pixels(torch.arange(3 * 32 * 32 * 3, dtype=torch.uint8).view(3, 32, 32, 3))
    with torch.no_grad():
        return torch.cat([clip.image(pixels), clip.text(clip.tokens(family_folders.TEXTS))])


@pytest.mark.parametrize("values", KINDS, ids=str)
@pytest.mark.parametrize("family", ["clip", "siglip", "chinese_clip"])
def test_every_strength_is_what_its_matrices_say(
    family: str, values: dict[str, Any], folders: dict[str, Path], home: Path
) -> None:
    clip = Models(home).open(str(folders[family]), CPU)
    base = embeddings(clip)
    adapter = learned(clip, values)
    whole = embeddings(clip)
    assert not torch.allclose(whole, base, atol=1e-2)
    adapter.set_adapter_scale(0.0)
    assert torch.equal(embeddings(clip), base), "bit for bit"
    for strength in (0.5, 1.25):
        adapter.set_adapter_scale(strength)
        expected = embeddings(clip)
        matrices = {
            name: adapter.effective(module).detach().clone()
            for name, module in clip.net.named_modules()
            if hasattr(module, "lora_A") and hasattr(module, "get_base_layer")
        }
        adapters.detach(clip)
        kept = {name: clip.net.get_submodule(name).weight.detach().clone() for name in matrices}
        for name, matrix in matrices.items():
            clip.net.get_submodule(name).weight.data.copy_(matrix)
        torch.testing.assert_close(embeddings(clip), expected, rtol=1e-4, atol=1e-5)
        for name, matrix in kept.items():
            clip.net.get_submodule(name).weight.data.copy_(matrix)
        adapter = learned(clip, values)
    adapter.set_adapter_scale(1.0)
    torch.testing.assert_close(embeddings(clip), whole)


@pytest.mark.parametrize("values", KINDS, ids=str)
@pytest.mark.parametrize("family", ["clip", "siglip", "chinese_clip"])
def test_a_step_computes_what_is_measured_and_the_form_counts_it(
    family: str, values: dict[str, Any], folders: dict[str, Path], home: Path
) -> None:
    clip = Models(home).open(str(folders[family]), CPU)
    adapter = learned(clip, values | {"lora.lora_dropout": 0.0})
    expected = embeddings(clip)
    for tower in ("vision", "text"):
        clip.tower(tower).train()
    torch.testing.assert_close(embeddings(clip), expected, rtol=1e-4, atol=1e-5)
    for tower in ("vision", "text"):
        clip.tower(tower).eval()
    assert shapes.readout(clip.folder, adapter.settings).trainable == adapter.parameters
    inside = {name.split(".lora_")[0] for name in adapter.trainable if ".layer" in name}
    single = values.get("train.layers_to_transform")
    if single or values.get("train.last_layers"):
        number = single or "1"
        assert all(f".layers.{number}." in name or f".layer.{number}." in name for name in inside)
        towers = {"text"} if values.get("train.towers") == "text" else {"text", "vision"}
        assert {name.split("_")[0] for name in inside} == towers


@pytest.mark.parametrize("values", KINDS, ids=str)
def test_the_size_is_that_of_the_change(values: dict[str, Any], folders: dict[str, Path], home: Path) -> None:
    clip = Models(home).open(str(folders["clip"]), CPU)
    adapter = learned(clip, values)
    change = sum(
        (adapter.effective(module) - module.get_base_layer().weight).square().sum().item()
        for module in clip.net.modules()
        if hasattr(module, "lora_A") and hasattr(module, "get_base_layer")
    )
    assert adapter.size().item() == pytest.approx(change, rel=1e-4)
    assert change > 0


@pytest.mark.parametrize("family", ["clip", "siglip"])
@pytest.mark.parametrize("values", KINDS[:3], ids=str)
def test_it_trains_resumes_and_leaves_whole(
    family: str, values: dict[str, Any], folders: dict[str, Path], home: Path, tiny_pairs: Path,
    quick: Callable[..., dict[str, Any]], tmp_path: Path,
) -> None:  # fmt: skip
    given = quick(model__name=str(folders[family]), hardware__precision="fp32", train__epochs=3)
    chosen = settings.build(given | {"lora.target_modules": TARGETS} | values)
    models = Models(home)
    straight = trained_and_resumed(tiny_pairs, chosen, home, models)

    run = Runs(home).open(straight.run)
    opened = open_run(run, models, 1.0, CPU)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in opened.adapter.trainable.values():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    opened.adapter.set_adapter_scale(0.75)
    opened.adapter.save(run.path / "adapter")
    expected = embeddings(opened.clip)
    drive(export(run, "merged", tmp_path / "merged", models, Control(), even_the_base=True))
    again = Models(home).open(str(tmp_path / "merged"), CPU)
    torch.testing.assert_close(embeddings(again), expected, rtol=1e-4, atol=1e-5)
    net: Any = PeftModel.from_pretrained(
        AutoModel.from_pretrained(folders[family]), str(run.path / "adapter")
    ).eval()
    ids = again.tokens(family_folders.TEXTS)
    with torch.no_grad():
        texts = net.get_text_features(input_ids=ids).pooler_output
    torch.testing.assert_close(texts, expected[3:], rtol=1e-4, atol=1e-5)


def test_half_precision_comes_close(folders: dict[str, Path], home: Path) -> None:
    half = settings.HardwareSettings(device="cpu", precision="bf16", threads=1)
    clip = Models(home).open(str(folders["clip"]), half)
    learned(clip, {"lora.use_dora": True})
    expected = embeddings(clip)
    with clip.device.autocast():
        found = embeddings(clip).float()
    cosine = torch.nn.functional.cosine_similarity(found, expected)
    assert float(cosine.min()) > 0.99
