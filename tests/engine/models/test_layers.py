"""Layers as they are trained compute what transformers' and PEFT's own modules compute, gradients included."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import IA3Config, LoHaConfig, LoraConfig, PeftConfig, PeftModel, get_peft_model
from transformers.activations import QuickGELUActivation

from clip_atelier.engine import settings
from clip_atelier.engine.models import Adapter, Halves, Model, Models, adapters, layers

TEXTS = [
    "a red circle",
    "ring",
    "a drawing of a very long caption that does not fit into sixteen tokens at all",
]
EVERYWHERE = "q_proj,k_proj,v_proj,out_proj,fc1,fc2"


def _adapted(
    tiny_clip: Path, home: Path, values: dict[str, object], precision: str = "fp32"
) -> tuple[Model, Adapter]:
    hardware = {"hardware.device": "cpu", "hardware.precision": precision, "hardware.threads": 1}
    clip = Models(home).open(str(tiny_clip), settings.build(hardware).hardware)
    adapter = adapters.attach(clip, settings.build({"lora.lora_dropout": 0.0, **values}))
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for parameter in adapter.trainable.values():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.05)
    return clip, adapter


def _pictures(clip: Model) -> torch.Tensor:
    shape = (4, clip.image_size, clip.image_size, 3)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def _pass(clip: Model, adapter: Adapter) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    images, texts = clip.image(clip.pixels(_pictures(clip))), clip.text(clip.tokens(TEXTS))
    adapter.model.zero_grad()
    (images.square().sum() + (texts**3).sum() + (images[:3] * texts).sum()).backward()
    found = {n: p.grad.clone() for n, p in adapter.trainable.items() if p.grad is not None}
    return torch.cat([images, texts]).detach(), found


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"lora.target_modules": EVERYWHERE, "lora.use_rslora": True},
        {"lora.bias": "all"},
        {"train.method": "layernorm"},
        {"train.towers": "text"},
    ],
)
@pytest.mark.parametrize("fused", [False, True])
def test_trained_layers_equal_the_modules_themselves(
    tiny_clip: Path, home: Path, values: dict[str, object], fused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip, adapter = _adapted(tiny_clip, home, values)
    plain, expected = _pass(clip, adapter)
    layer = layers.forward
    monkeypatch.setattr(layers, "forward", lambda *given: layer(*given[:-1], fused))
    adapter.model.train()
    ours, found = _pass(clip, adapter)
    adapter.model.eval()
    torch.testing.assert_close(ours, plain, rtol=1e-5, atol=1e-5)
    assert found.keys() == expected.keys()
    # A key's bias has no gradient at all but rounding: measure against the largest one.
    largest = max(float(gradient.abs().max()) for gradient in expected.values())
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=1e-6 * largest)


def _step(
    clip: Model, adapter: Adapter, recompute: bool
) -> tuple[torch.Tensor, dict[str, torch.Tensor], int]:
    """Embeddings and gradients of a pass with dropout, and the bytes that were kept for its way back."""
    kept = 0

    def keep(x: torch.Tensor) -> torch.Tensor:
        nonlocal kept
        kept += x.numel() * x.element_size()
        return x

    torch.manual_seed(7)
    adapter.model.train()
    clip.recompute = recompute
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x), clip.device.autocast():
        images, texts = clip.image(clip.pixels(_pictures(clip))), clip.text(clip.tokens(TEXTS))
    adapter.model.zero_grad()
    # Outside autocast, as optimiser steps do it.
    (images.square().sum() + (texts**3).sum() + (images[:3] * texts).sum()).backward()
    adapter.model.eval()
    found = {n: p.grad.clone() for n, p in adapter.trainable.items() if p.grad is not None}
    return torch.cat([images, texts]).detach(), found, kept


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_computing_layers_again_changes_nothing_but_the_memory(
    tiny_clip: Path, home: Path, precision: str
) -> None:
    clip, adapter = _adapted(
        tiny_clip, home, {"lora.target_modules": EVERYWHERE, "lora.lora_dropout": 0.3}, precision
    )
    plain, expected, whole = _step(clip, adapter, recompute=False)
    after = torch.get_rng_state()
    ours, found, rest = _step(clip, adapter, recompute=True)
    assert torch.equal(torch.get_rng_state(), after)  # the next step's dropout is the same, too
    assert torch.equal(ours, plain)
    assert found.keys() == expected.keys() == adapter.trainable.keys()
    assert all(torch.equal(found[name], gradient) for name, gradient in expected.items())
    assert rest < whole / 4


def test_quick_gelu_and_its_gradient() -> None:
    x = torch.linspace(-8, 8, 401, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(layers.quick_gelu, (x,))
    torch.testing.assert_close(layers.quick_gelu(x), QuickGELUActivation()(x))


@pytest.mark.parametrize("p", [0.1, 0.25, 1e-4])
def test_dropout_drops_the_share_asked_for_and_keeps_the_mean(p: float) -> None:
    torch.manual_seed(0)
    kept, factor = layers.dropout(torch.ones(1000, 1001, dtype=torch.bfloat16), p)
    dropped = float((kept == 0).float().mean())
    assert set(kept.unique().tolist()) == {0.0, 1.0}
    # Five standard deviations of the share of a million draws.
    assert dropped == pytest.approx(p, abs=5 * (p * (1 - p) / kept.numel()) ** 0.5 + 2**-17)
    assert factor * (1 - p) == pytest.approx(1, abs=1e-4)
    torch.manual_seed(0)
    assert torch.equal(layers.dropout(torch.ones(1000, 1001, dtype=torch.bfloat16), p)[0], kept)


def test_half_copies_leave_the_weights_alone(tiny_clip: Path, home: Path) -> None:
    clip, adapter = _adapted(tiny_clip, home, {"lora.bias": "lora_only"})
    before = {name: p.data_ptr() for name, p in clip.net.named_parameters()}
    values = {name: p.detach().clone() for name, p in clip.net.named_parameters()}
    halves = Halves([clip.net.vision_model], torch.bfloat16)
    with halves.in_place():
        types = {name: p.dtype for name, p in clip.net.named_parameters()}
    assert types["vision_model.encoder.layers.0.mlp.fc1.weight"] == torch.bfloat16
    assert types["text_model.encoder.layers.0.mlp.fc1.weight"] == torch.float32
    assert all(types[name] == torch.float32 for name in adapter.trainable)
    with pytest.raises(ZeroDivisionError), halves.in_place():
        raise ZeroDivisionError
    assert before == {name: p.data_ptr() for name, p in clip.net.named_parameters()}
    assert all(torch.equal(values[name], p) for name, p in clip.net.named_parameters())


VARIANTS: dict[str, PeftConfig] = {
    "plain": LoraConfig(r=4, lora_alpha=8),
    "rslora": LoraConfig(r=4, lora_alpha=8, use_rslora=True),
    "dora": LoraConfig(r=4, lora_alpha=8, use_dora=True),
    "bias of B": LoraConfig(r=4, lora_alpha=8, lora_bias=True),
    "loha": LoHaConfig(r=4, alpha=8),
    "ia3": IA3Config(feedforward_modules=[]),
}
PLAIN = ("plain", "rslora")


def _wrapped(net: torch.nn.Module, config: PeftConfig, targets: list[str]) -> PeftModel:
    """The module with an update of this kind, its numbers away from where they start."""
    chosen: Any = copy.deepcopy(config)
    chosen.target_modules = set(targets)
    model = get_peft_model(net, chosen)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return model.eval()


@pytest.mark.parametrize("variant", VARIANTS)
def test_what_is_not_plain_lora_computes_itself(variant: str) -> None:
    """The fast product knows plain LoRA; anything else that PEFT wraps around a matrix goes PEFT's own way."""
    torch.manual_seed(0)
    model = _wrapped(torch.nn.Sequential(torch.nn.Linear(12, 8)), VARIANTS[variant], ["0"])
    module, x = model.base_model.model[0], torch.randn(5, 12)
    assert layers.is_plain(module) == (variant in PLAIN)
    torch.testing.assert_close(layers.linear(module, x), module(x))
    halved = layers.linear(module, x.bfloat16())
    assert halved.dtype == torch.bfloat16
    torch.testing.assert_close(halved.float(), module(x), atol=0.05, rtol=0.05)
    module.enable_adapters(False)
    torch.testing.assert_close(
        layers.linear(module, x),
        torch.nn.functional.linear(x, module.base_layer.weight, module.base_layer.bias),
    )


def test_more_than_one_adapter_or_a_merged_one_is_not_plain() -> None:
    torch.manual_seed(0)
    model = _wrapped(torch.nn.Sequential(torch.nn.Linear(12, 8)), VARIANTS["plain"], ["0"])
    module, x = model.base_model.model[0], torch.randn(5, 12)
    expected = module(x)
    module.merge()
    assert not layers.is_plain(module)
    torch.testing.assert_close(layers.linear(module, x), expected)
    module.unmerge()
    model.add_adapter("second", LoraConfig(r=2, lora_alpha=8, target_modules=["0"], init_lora_weights=False))
    model.set_adapter("second")
    assert not layers.is_plain(module)
    torch.testing.assert_close(layers.linear(module, x), module(x))
    assert (module(x) - expected).abs().max() > 1e-3


def test_a_matrix_of_another_kind_computes_itself() -> None:
    class Doubled(torch.nn.Linear):
        def forward(self, input: torch.Tensor) -> torch.Tensor:
            return 2 * super().forward(input)

    torch.manual_seed(0)
    module, x = Doubled(12, 8), torch.randn(5, 12)
    torch.testing.assert_close(layers.linear(module, x), module(x))
    model = _wrapped(torch.nn.Sequential(module), VARIANTS["plain"], ["0"])
    wrapped = model.base_model.model[0]
    assert not layers.is_plain(wrapped)
    torch.testing.assert_close(layers.linear(wrapped, x), wrapped(x))


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_whole_layer_of_any_variant_equals_the_librarys(variant: str, tiny_clip: Path, home: Path) -> None:
    hardware = {"hardware.device": "cpu", "hardware.precision": "fp32", "hardware.threads": 1}
    clip = Models(home).open(str(tiny_clip), settings.build(hardware).hardware)
    model = _wrapped(clip.net, VARIANTS[variant], EVERYWHERE.split(","))
    images, texts = clip.pixels(_pictures(clip)), clip.tokens(TEXTS)

    def both() -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        model.zero_grad()
        found = torch.cat([clip.image(images), clip.text(texts)])
        found.square().sum().backward()
        return found.detach(), {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}

    expected, gradients = both()
    for tower in ("vision", "text"):
        clip.tower(tower).train()  # the fast layers are those of training
    ours, found = both()
    torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-5)
    assert found.keys() == gradients.keys() != set()
    largest = max(float(gradient.abs().max()) for gradient in gradients.values())
    for name, gradient in gradients.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=1e-6 * largest)
