"""The loss against a plain reading of its definition, and exact gradients whichever way they are computed."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from prepared import prepared

from clip_atelier.engine.core import Control, drive
from clip_atelier.engine.models.device import Device
from clip_atelier.engine.training.batches import Batches
from clip_atelier.engine.training.inputs import TrainingInputs
from clip_atelier.engine.training.losses import (
    Relations,
    contrast,
    objective,
    objective_and_gradients,
    sigmoid_contrast,
)
from clip_atelier.engine.training.steps import TrainStep
from clip_atelier.engine.training.targets import SIMILARITY_TEMPERATURE, Likeness, Targets

CPU = torch.device("cpu")


def targets(right: torch.Tensor, likeness: Likeness | None = None, smoothing: float = 0.0) -> Targets:
    return Targets.of(right.numpy(), CPU, likeness, smoothing)


def test_one_positive_each_is_clips_own_loss() -> None:
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(6, 8, generator=generator), torch.randn(6, 8, generator=generator)
    logits = 20 * F.normalize(a, dim=1) @ F.normalize(b, dim=1).T
    target = torch.arange(6)
    clip = (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2
    torch.testing.assert_close(contrast(a, b, targets(torch.eye(6, dtype=torch.bool)), 20.0), clip)


def test_one_positive_each_is_siglips_own_loss() -> None:
    from transformers import SiglipConfig, SiglipModel

    tower = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = tower | {"vocab_size": 20, "max_position_embeddings": 4, "projection_size": 16, "bos_token_id": 0, "eos_token_id": 1}  # fmt: skip
    config = SiglipConfig(text_config=text, vision_config=tower | {"image_size": 8, "patch_size": 4})
    net: Any = SiglipModel(config).eval()
    net.logit_scale.data.fill_(2.0)
    net.logit_bias.data.fill_(-3.0)
    with torch.no_grad():
        theirs = net(
            input_ids=torch.randint(20, (5, 4)), pixel_values=torch.randn(5, 3, 8, 8), return_loss=True
        )
    positives = targets(torch.eye(5, dtype=torch.bool))
    ours = sigmoid_contrast(theirs.image_embeds, theirs.text_embeds, positives, math.exp(2.0), -3.0)
    torch.testing.assert_close(ours, theirs.loss)


def test_a_bias_makes_captions_independent_pairs_and_leaves_drawings_to_the_softmax() -> None:
    generator = torch.Generator().manual_seed(0)
    images, texts = torch.randn(4, 8, generator=generator), torch.randn(3, 8, generator=generator)
    right = targets(torch.tensor([[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], dtype=torch.bool))
    sketches, artworks = torch.tensor([0, 2]), torch.tensor([1, 3])
    same = targets(torch.eye(2, dtype=torch.bool))
    relations = Relations(right, sketches, artworks, same)
    words = sigmoid_contrast(images, texts, right, 110.0, -16.0)
    pairs = contrast(images[sketches], images[artworks], same, 100.0)
    found = objective(images, texts, relations, 110.0, 1.0, 1.0, bias=-16.0)
    torch.testing.assert_close(found, (words + pairs) / 2)


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
    assert float(contrast(a, b, targets(right), 7.0)) == pytest.approx(expected, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_the_written_out_derivative_is_what_automatic_differentiation_finds(smoothing: float) -> None:
    generator = torch.Generator().manual_seed(3)
    a, b = torch.randn(7, 5, generator=generator), torch.randn(4, 5, generator=generator)
    right = torch.rand(7, 4, generator=generator) < 0.4
    right[2], right[:, 1] = False, False
    sides = (F.normalize(torch.randn(n, 3, generator=generator), dim=1) for n in (7, 4))
    likeness = Likeness(*(side @ side.T for side in sides))

    def plainly(x: torch.Tensor, y: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
        logits = scale * F.normalize(x, dim=1) @ F.normalize(y, dim=1).T
        sides = []
        for scores, positives, like in (
            (logits, right, likeness.columns),
            (logits.T, right.T, likeness.rows),
        ):
            any_right = positives.any(dim=1)
            even = positives[any_right] / positives[any_right].sum(dim=1, keepdim=True)
            soft = F.softmax(even @ like / SIMILARITY_TEMPERATURE, dim=1)
            targets = (1 - smoothing) * even + smoothing * soft
            sides.append(F.cross_entropy(scores[any_right], targets))
        return (sides[0] + sides[1]) / 2

    values, gradients = [], []
    wanted = targets(right, likeness if smoothing else None, smoothing)
    for loss in (plainly, lambda x, y, scale: contrast(x, y, wanted, scale)):
        inputs = [t.clone().requires_grad_() for t in (a, b, torch.tensor(9.0))]
        value = loss(*inputs)
        (3 * value).backward()
        values.append(value.detach())
        gradients.append([t.grad for t in inputs])
    torch.testing.assert_close(values[1], values[0])
    torch.testing.assert_close(gradients[1], gradients[0])


def test_without_any_positive_the_loss_is_zero_with_a_gradient() -> None:
    a = torch.randn(3, 4, requires_grad=True)
    loss = contrast(a, torch.randn(2, 4), targets(torch.zeros(3, 2, dtype=torch.bool)), 1.0)
    loss.backward()
    assert float(loss.detach()) == 0
    assert a.grad is not None
    assert not a.grad.any()


def test_equal_captions_are_not_each_others_wrong_answers() -> None:
    images = F.normalize(torch.eye(2, 4), dim=1)
    text = F.normalize(torch.ones(1, 4), dim=1)
    both = targets(torch.ones(2, 1, dtype=torch.bool))
    # Two images share the only caption: it is right for both, and image -> text has nothing to learn.
    loss = objective(images, text, Relations(both, *_no_pairs()), 10.0, 1.0, 1.0)
    assert float(loss) == pytest.approx(math.log(2) / 2)


def _no_pairs() -> tuple[torch.Tensor, torch.Tensor, None]:
    none = torch.zeros(0, dtype=torch.long)
    return none, none, None


@pytest.mark.parametrize(("text", "pair"), [(1.0, 0.0), (0.0, 1.0), (1.0, 0.5), (0.0, 0.0)])
def test_gradients_without_a_record_are_those_with_one(text: float, pair: float) -> None:
    generator = torch.Generator().manual_seed(4)
    images, texts = (torch.randn(n, 5, generator=generator) for n in (7, 4))
    right = torch.rand(7, 4, generator=generator) < 0.4
    sketches, artworks = torch.tensor([0, 3, 5]), torch.tensor([1, 2])
    same = torch.tensor([[1, 0], [0, 1], [0, 0]], dtype=torch.bool)
    relations = Relations(targets(right), sketches, artworks, targets(same))
    a, b = images.clone().requires_grad_(), texts.clone().requires_grad_()
    expected = objective(a, b, relations, 9.0, text, pair, 4.0)
    if expected.requires_grad:
        expected.backward()
    found = objective_and_gradients(images, texts, relations, 9.0, text, pair, 4.0)
    torch.testing.assert_close(found, (expected.detach(), a.grad, b.grad))
    loss, *none = objective_and_gradients(images, texts, relations, 9.0, text, pair, 4.0, (False, False))
    torch.testing.assert_close(loss, found[0])
    assert none == [None, None]


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
    material.tokenise(list(material._text_rows))
    plain = _gradients(train_step, batches)
    assert stored[0] == pytest.approx(plain[0], rel=1e-5)
    for name, gradient in plain[1].items():
        torch.testing.assert_close(stored[1][name], gradient, rtol=1e-3, atol=1e-6)


def test_pictures_kept_on_a_card_give_the_same_gradients(
    home: Path, tiny_pairs: Path, quick: Quick, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_step, batches, _ = _stepper(home, tiny_pairs, quick(**EXACT, data__views=2))
    expected = _gradients(train_step, batches)
    # A card with room for all of them; the processor stands in for it.
    monkeypatch.setattr(Device, "free_memory", lambda _device: 1 << 40)
    train_step, batches, kept = _stepper(home, tiny_pairs, quick(**EXACT, data__views=2))
    monkeypatch.setattr(kept.pictures, "batch", None)  # not asked again
    found = _gradients(train_step, batches)
    assert found[0] == expected[0]
    assert all(torch.equal(found[1][name], gradient) for name, gradient in expected[1].items())


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


def test_what_is_ready_ahead_is_the_same_wherever_a_run_goes_on(
    home: Path, tiny_pairs: Path, quick: Quick
) -> None:
    train_step, batches, inputs = _stepper(home, tiny_pairs, quick(train__smoothing=0.2))
    drive(inputs.remember_base([index for unit in batches.units for index in unit], Control()))
    train_step.look_ahead(batches, 0)
    straight = dict(train_step._ahead)
    train_step._ahead.clear()
    train_step.look_ahead(batches, 5)  # as if resumed there
    assert train_step._ahead.keys() == straight.keys()
    for step, (batch, (captions, relations)) in train_step._ahead.items():
        expected = straight[step][1]
        assert (batch, captions) == (straight[step][0], expected[0])
        (alone,) = inputs.relations_of([batch], 0.2)
        for name in ("right", "there", "back", "both", "rows", "columns"):
            found, before, one = (
                getattr(of[1].captions, name) for of in ((captions, relations), expected, alone)
            )
            assert torch.equal(found, before)
            torch.testing.assert_close(found, one)
        assert relations.captions.there.sum() == pytest.approx(0.5, rel=1e-5)
        assert torch.equal(relations.sketches, expected[1].sketches)
    # A batch that is not the one of that step is worked out by itself.
    losses = [float(train_step.step(step, batches.at(6))) for step in (6, 7)]
    assert all(math.isfinite(loss) for loss in losses)
    assert 6 not in train_step._ahead


@pytest.mark.parametrize("temperature", ["model", "trained"])
def test_a_scaled_loss_takes_the_same_steps(
    home: Path, tiny_pairs: Path, quick: Quick, temperature: str
) -> None:
    """As half precision with small exponents needs it; here in fp32, where it must change nothing."""
    values = quick(**EXACT | {"train__max_grad_norm": 0.5}, train__temperature=temperature)
    states = []
    for enabled in (False, True):
        train_step, batches, _inputs = _stepper(home, tiny_pairs, values)
        train_step.scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, enabled=enabled)
        for step in range(3):
            train_step.step(step, batches.at(step))
        states.append(train_step.adapter.state())
    for name, expected in states[0].items():
        torch.testing.assert_close(states[1][name], expected, rtol=1e-5, atol=1e-6)


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


def test_relations_of_a_batch_are_those_of_the_plain_rule(tiny_pairs: Path) -> None:
    from clip_atelier.engine.core import Control, drive
    from clip_atelier.engine.data import scan
    from clip_atelier.engine.evaluation import positives
    from clip_atelier.engine.settings import DataSettings
    from clip_atelier.engine.training.relations import CollectionRelations

    items = drive(scan(tiny_pairs, DataSettings(), Control())).items
    # Halves of a pair in one group, and two strangers in another one.
    number = {pair: n for n, pair in enumerate(sorted({item.pair for item in items}), 1)}
    groups = [0 if n in (1, 4) else number[item.pair] for n, item in enumerate(items)]
    known = CollectionRelations(items, groups)
    rng = np.random.default_rng(0)
    for _ in range(20):
        indices = [int(i) for i in rng.permutation(len(items))[:7]]
        captions = [items[i].captions[-1] for i in indices]
        found = known.of(indices, captions)
        assert found.captions == list(dict.fromkeys(captions))
        np.testing.assert_array_equal(found.image_text, positives(items, indices, groups, found.captions))


def test_flat_optimiser_takes_the_steps_of_plain_adamw() -> None:
    from clip_atelier.engine.settings import TrainSettings
    from clip_atelier.engine.training.optimizer import Optimizer

    train = TrainSettings(weight_decay=0.1, max_grad_norm=1.0, learning_rate=0.01)
    generator = torch.Generator().manual_seed(3)
    shapes = {"a": (4, 6), "b": (6, 4), "norm": (6,), "scale": ()}
    mine = {n: torch.nn.Parameter(torch.randn(s, generator=generator)) for n, s in shapes.items()}
    plain = {n: torch.nn.Parameter(p.detach().clone()) for n, p in mine.items()}
    adamw = torch.optim.AdamW(
        [
            {"params": [plain["a"], plain["b"]], "weight_decay": 0.1},
            {"params": [plain["norm"], plain["scale"]], "weight_decay": 0.0},
        ],
        lr=0.01,
    )
    scaler = torch.amp.GradScaler("cpu", enabled=False)
    flat = Optimizer(mine, train, "cpu")
    for step in range(6):
        if step == 3:  # as if resumed
            state = flat.state()
            assert set(state) >= {"moment/exp_avg/a", "moment/exp_avg_sq/scale", "moment/step/norm"}
            mine = {n: torch.nn.Parameter(p.detach().clone()) for n, p in mine.items()}
            flat = Optimizer(mine, train, "cpu")
            flat.load_state(state)
        flat.begin(0.01 / (step + 1))
        adamw.zero_grad()
        for group in adamw.param_groups:
            group["lr"] = 0.01 / (step + 1)
        for params in (mine, plain):
            loss = (params["a"] @ params["b"]).square().sum() + (params["norm"] * params["scale"]).sum()
            loss.backward()
        torch.nn.utils.clip_grad_norm_(list(plain.values()), 1.0)
        adamw.step()
        flat.step(scaler)
        for name, parameter in mine.items():
            torch.testing.assert_close(parameter, plain[name], rtol=1e-5, atol=1e-7)
