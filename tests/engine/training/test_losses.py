"""The loss against a plain reading of its definition, and exact gradients whichever way they are computed."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from prepared import prepared

from clip_atelier.engine.training.batches import Batches
from clip_atelier.engine.training.losses import Relations, contrast, objective
from clip_atelier.engine.training.steps import TrainingInputs, TrainStep


def test_one_positive_each_is_clips_own_loss() -> None:
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(6, 8, generator=generator), torch.randn(6, 8, generator=generator)
    logits = 20 * F.normalize(a, dim=1) @ F.normalize(b, dim=1).T
    target = torch.arange(6)
    clip = (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2
    torch.testing.assert_close(contrast(a, b, torch.eye(6, dtype=torch.bool), 20.0), clip)


@given(st.integers(2, 6), st.integers(2, 6), st.integers(0, 2**32 - 1))
def test_several_positives_share_the_target(n: int, m: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    a, b = torch.randn(n, 5, generator=generator).double(), torch.randn(m, 5, generator=generator).double()
    right = torch.rand(n, m, generator=generator) < 0.4

    def one_way(x: torch.Tensor, y: torch.Tensor, positive: torch.Tensor) -> float:
        rows = []
        for i in range(len(x)):
            mine = [j for j in range(len(y)) if positive[i, j]]
            if not mine:
                continue
            scores = [7 * float(F.cosine_similarity(x[i], y[j], dim=0)) for j in range(len(y))]
            total = math.log(sum(math.exp(s) for s in scores))
            rows.append(-sum(scores[j] - total for j in mine) / len(mine))
        return sum(rows) / len(rows) if rows else 0.0

    expected = (one_way(a, b, right) + one_way(b, a, right.T)) / 2
    assert float(contrast(a, b, right, 7.0)) == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_without_any_positive_the_loss_is_zero_with_a_gradient() -> None:
    a = torch.randn(3, 4, requires_grad=True)
    loss = contrast(a, torch.randn(2, 4), torch.zeros(3, 2, dtype=torch.bool), 1.0)
    loss.backward()
    assert float(loss.detach()) == 0
    assert a.grad is not None
    assert not a.grad.any()


def test_equal_captions_are_not_each_others_wrong_answers() -> None:
    images = F.normalize(torch.eye(2, 4), dim=1)
    text = F.normalize(torch.ones(1, 4), dim=1)
    both = torch.ones(2, 1, dtype=torch.bool)
    # Two images share the only caption: it is right for both, and image -> text has nothing to learn.
    loss = objective(images, text, Relations(both, *_no_pairs()), 10.0, 1.0, 1.0)
    assert float(loss) == pytest.approx(math.log(2) / 2)


def _no_pairs() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    none = torch.zeros(0, dtype=torch.long)
    return none, none, torch.zeros(0, 0, dtype=torch.bool)


Quick = Callable[..., dict[str, Any]]


def _stepper(home: Path, folder: Path, values: dict[str, Any]) -> tuple[TrainStep, Batches, TrainingInputs]:
    ready = prepared(home, folder, values)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in ready.adapter.trainable.values():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.02)
    train, parts = ready.chosen.train, ready.parts
    batches = Batches(
        ready.collection.items, parts.train, parts.groups, train.batch_size, ready.chosen.data.views, 0
    )
    return TrainStep(ready.clip, ready.adapter, ready.inputs, train, 100), batches, ready.inputs


def _gradients(train_step: TrainStep, batches: Batches) -> tuple[float, dict[str, torch.Tensor]]:
    before = train_step.adapter.state()
    loss = train_step.step(0, batches.at(0))
    found = {n: p.grad.clone() for n, p in train_step.adapter.trainable.items() if p.grad is not None}
    train_step.adapter.load_state(before)  # so that the next one starts where this one did
    return float(loss), found


EXACT = {"hardware__precision": "fp32", "train__max_grad_norm": 0, "lora__lora_dropout": 0.0}


@pytest.mark.parametrize(
    "changes",
    [
        {"lora__target_modules": "visual_projection"},
        {"lora__target_modules": "visual_projection,text_projection", "data__views": 2},
        {"train__towers": "vision"},
        {"train__towers": "text"},
        {},
    ],
)
def test_what_is_computed_once_changes_neither_loss_nor_gradients(
    home: Path, tiny_pairs: Path, quick: Quick, changes: dict[str, Any]
) -> None:
    train_step, batches, material = _stepper(home, tiny_pairs, quick(**EXACT, **changes))
    stored = _gradients(train_step, batches)
    # The plain computation: both towers whole, from pixels and token ids.
    material.image_cut = material.text_cut = 0
    captions = list(material._text_rows)
    material._ids = [material.clip.tokens([caption])[0] for caption in captions]
    plain = _gradients(train_step, batches)
    assert stored[0] == pytest.approx(plain[0], rel=1e-5)
    for name, gradient in plain[1].items():
        torch.testing.assert_close(stored[1][name], gradient, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("size", [2, 5])
def test_chunks_give_the_exact_gradients_of_the_whole_batch(
    home: Path, tiny_pairs: Path, quick: Quick, size: int
) -> None:
    whole, batches, _ = _stepper(home, tiny_pairs, quick(**EXACT, train__batch_size=16))
    expected = _gradients(whole, batches)
    chunked, batches, _ = _stepper(
        home, tiny_pairs, quick(**EXACT, train__batch_size=16, train__chunk_size=size)
    )
    found = _gradients(chunked, batches)
    assert found[0] == pytest.approx(expected[0], rel=1e-5)
    for name, gradient in expected[1].items():
        torch.testing.assert_close(found[1][name], gradient, rtol=1e-3, atol=1e-6)


def test_the_temperature_never_exceeds_its_limit(home: Path, tiny_pairs: Path, quick: Quick) -> None:
    train_step, _batches, _material = _stepper(home, tiny_pairs, quick(train__temperature="trained"))
    with torch.no_grad():
        train_step.adapter.trainable["logit_scale"].fill_(9.0)
    assert float(torch.as_tensor(train_step.scale()).detach()) == pytest.approx(100.0)


def test_the_schedule_warms_up_and_falls(home: Path, tiny_pairs: Path, quick: Quick) -> None:
    train_step, _batches, _material = _stepper(home, tiny_pairs, quick(train__warmup=0.1))
    rates = [train_step.learning_rate(step) for step in range(100)]
    assert rates[0] < rates[9] < rates[10] == max(rates)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert 0 < rates[-1] < 0.01 * rates[10]
