"""Adapters: what is trained, what strength 0 means, and that plain PEFT reads what we save."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from peft import PeftModel
from transformers import CLIPModel

from clip_atelier.engine import settings
from clip_atelier.engine.core import UserError
from clip_atelier.engine.models import Model, Models, adapters, shapes


def opened(folder: Path, home: Path) -> Model:
    return Models(home).open(str(folder), settings.HardwareSettings(device="cpu", threads=1))


def embed(clip: Model) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    pictures = torch.randint(
        0, 256, (5, clip.image_size, clip.image_size, 3), generator=generator, dtype=torch.uint8
    )
    with torch.no_grad():
        return clip.image(clip.pixels(pictures)), clip.text(
            clip.tokens(["a red circle", "a drawing", "빨간 동그라미"])
        )


def disturb(adapter: adapters.Adapter) -> None:
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in adapter.trainable.values():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.05)


CONFIGURATIONS = [
    {},
    {"lora.target_modules": "visual_projection", "lora.lora_alpha": 32},
    {
        "lora.target_modules": "q_proj,k_proj,v_proj,out_proj,fc1,fc2",
        "lora.use_rslora": True,
        "train.towers": "text",
    },
    {"train.method": "layernorm"},
    {"train.method": "layernorm", "train.towers": "vision"},
    {"lora.bias": "all"},
    {"lora.bias": "lora_only", "train.towers": "vision"},
    {"train.temperature": "trained"},
]


@pytest.mark.parametrize("values", CONFIGURATIONS)
def test_strength_zero_is_the_base_bit_for_bit(
    tiny_clip: Path, home: Path, values: dict[str, object]
) -> None:
    clip = opened(tiny_clip, home)
    base = embed(clip)
    adapter = adapters.attach(clip, settings.build(values))
    disturb(adapter)
    adapted = embed(clip)
    assert not (torch.equal(base[0], adapted[0]) and torch.equal(base[1], adapted[1]))
    with adapter.at(0.0):
        assert all(torch.equal(a, b) for a, b in zip(base, embed(clip), strict=True))
    assert all(torch.equal(a, b) for a, b in zip(adapted, embed(clip), strict=True))
    adapters.detach(clip)
    assert all(torch.equal(a, b) for a, b in zip(base, embed(clip), strict=True))


@pytest.mark.parametrize("values", CONFIGURATIONS)
@pytest.mark.parametrize("strength", [1.0, 0.5])
def test_saved_adapter_loads_with_plain_peft(
    tiny_clip: Path, home: Path, tmp_path: Path, values: dict[str, object], strength: float
) -> None:
    clip = opened(tiny_clip, home)
    adapter = adapters.attach(clip, settings.build(values))
    disturb(adapter)
    adapter.set_adapter_scale(strength)
    images, texts = embed(clip)
    adapter.save(tmp_path / "adapter")

    plain = PeftModel.from_pretrained(
        CLIPModel.from_pretrained(tiny_clip, attn_implementation="eager"), tmp_path / "adapter"
    )
    generator = torch.Generator().manual_seed(1)
    pictures = torch.randint(0, 256, (5, 32, 32, 3), generator=generator, dtype=torch.uint8)
    with torch.no_grad():
        theirs = plain.get_image_features(pixel_values=clip.pixels(pictures)).pooler_output
        ids = clip.tokens(["a red circle", "a drawing", "빨간 동그라미"])
        their_texts = plain.get_text_features(input_ids=ids).pooler_output
    torch.testing.assert_close(theirs, images, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(their_texts, texts, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("values", CONFIGURATIONS)
def test_readout_counts_what_is_trained(tiny_clip: Path, home: Path, values: dict[str, object]) -> None:
    chosen = settings.build(values)
    adapter = adapters.attach(opened(tiny_clip, home), chosen)
    assert shapes.readout(tiny_clip, chosen).trainable == adapter.parameters


def test_size_is_the_norm_of_the_update(tiny_clip: Path, home: Path) -> None:
    clip = opened(tiny_clip, home)
    chosen = settings.build({})
    before = {n: p.detach().clone() for n, p in clip.net.named_parameters()}
    adapter = adapters.attach(clip, chosen)
    disturb(adapter)
    size = float(adapter.size().detach())
    merged = adapter.model.merge_and_unload()
    change = sum((p.detach() - before[n]).square().sum() for n, p in merged.named_parameters())
    assert size == pytest.approx(float(change), rel=1e-3)


def test_targets_that_match_nothing_are_named(tiny_clip: Path, home: Path) -> None:
    with pytest.raises(UserError, match="visual_projection") as caught:
        adapters.attach(
            opened(tiny_clip, home),
            settings.build({"lora.target_modules": "q_proj,visual_projection", "train.towers": "text"}),
        )
    assert caught.value.setting == "lora.target_modules"


@pytest.mark.fault(32, 33)
def test_pickles_and_expressions_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "adapter"
    folder.mkdir()
    (folder / "adapter_config.json").write_text('{"peft_type": "LORA", "target_modules": "(a+)+b", "r": 8}')
    (folder / "adapter_model.bin").write_bytes(b"\x80\x04.")
    with pytest.raises(UserError, match="adapter_model.safetensors"):
        adapters.read(folder)
    (folder / "adapter_model.safetensors").write_bytes(b"\0" * 8)
    with pytest.raises(UserError, match="not an adapter"):
        adapters.read(folder)
