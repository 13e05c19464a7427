"""The text tower that answers searches by words gives what transformers and PEFT give, or is not used."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch

import family_folders
from clip_atelier.engine import settings
from clip_atelier.engine.models import (
    Models,
    TextRecipe,
    TextTower,
    TextUpdate,
    adapters,
    features,
    recipe_of,
)
from clip_atelier.engine.settings.lora import Target

CPU = settings.HardwareSettings(device="cpu", precision="fp32", threads=1)
WORDS = ["a red circle", "Two  BLUE squares?", "빨간 동그라미", "", "one very long caption " * 40]


def difference(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one - other).max())


@pytest.mark.parametrize("family", ["clip", "metaclip_2"])
def test_the_base_embeds_as_the_library_does(family: str, tmp_path: Path, home: Path) -> None:
    models, name = Models(home), str(family_folders.make(family, tmp_path / family))
    clip = models.open(name, CPU)
    recipe = recipe_of(clip)
    assert recipe is not None
    tower = TextTower(models.closed(name, CPU), recipe)
    assert torch.equal(tower.tokens(WORDS), clip.tokens(WORDS))
    assert difference(tower.embeddings(WORDS), features.texts(clip, WORDS)) <= 1e-6
    assert tower.dim == clip.dim
    assert tower.agrees(clip, 0.0)
    assert tower.embeddings([]).shape == (0, clip.dim)


@pytest.mark.parametrize("family", ["siglip", "siglip2", "chinese_clip", "altclip"])
def test_other_text_towers_are_left_to_the_library(family: str, tmp_path: Path, home: Path) -> None:
    assert recipe_of(Models(home).open(str(family_folders.make(family, tmp_path / family)), CPU)) is None


@pytest.mark.parametrize(
    "changes",
    [*({"lora__target_modules": target} for target in get_args(Target)),
     {"lora__target_modules": "q_proj+k_proj+v_proj+out_proj+fc1+fc2+text_projection"},
     {"lora__use_rslora": True}, {"train__temperature": "trained"}, {"train__towers": "text"}],
    ids=str,
)  # fmt: skip
def test_an_update_gives_what_peft_gives_at_any_strength(
    changes: dict[str, Any], tiny_clip: Path, home: Path, quick: Callable[..., dict[str, Any]]
) -> None:
    chosen = settings.build(quick(**changes))
    models = Models(home)
    clip = models.open(str(tiny_clip), CPU)
    adapter = adapters.attach(clip, chosen)
    random = torch.Generator().manual_seed(5)
    state = {name: t + 0.3 * torch.randn(t.shape, generator=random) for name, t in adapter.state().items()}
    adapter.load_state(state)
    update = TextUpdate.of(state, chosen.lora.scaling)
    recipe = recipe_of(clip)
    assert update is not None
    assert recipe is not None
    for side in ("vision", "text"):
        assert update.touches(side, "clip") == adapter.touches(side)
    tower = TextTower(models.closed(str(tiny_clip), CPU), recipe, update)
    for strength in (0.0, 0.3, 1.0, 1.5):
        with adapter.at(strength):
            assert difference(tower.embeddings(WORDS, strength), features.texts(clip, WORDS)) <= 1e-6
            assert tower.agrees(clip, strength)
    moved = difference(tower.embeddings(WORDS, 1.0), tower.embeddings(WORDS, 0.0))
    assert (moved > 1e-3) == update.touches("text", "clip")


@pytest.mark.parametrize(
    "changes",
    [{"lora__bias": "lora_only"}, {"lora__use_dora": True}, {"train__method": "layernorm"}],
    ids=str,
)
def test_an_update_of_another_kind_is_left_to_peft(
    changes: dict[str, Any], tiny_clip: Path, home: Path, quick: Callable[..., dict[str, Any]]
) -> None:
    chosen = settings.build(quick(**changes))
    state = adapters.attach(Models(home).open(str(tiny_clip), CPU), chosen).state()
    assert TextUpdate.of(state, chosen.lora.scaling) is None


@pytest.mark.parametrize("changes", [{"heads": 4}, {"epsilon": 0.1}, {"activation": "gelu"}, {"context": 8}])
def test_a_tower_that_computes_something_else_does_not_agree(
    changes: dict[str, Any], tiny_clip: Path, home: Path
) -> None:
    models = Models(home)
    clip, closed = models.open(str(tiny_clip), CPU), models.closed(str(tiny_clip), CPU)
    recipe = recipe_of(clip)
    assert recipe is not None
    wrong: TextRecipe = recipe.model_copy(update=changes)
    assert not TextTower(closed, wrong).agrees(clip, 0.0)
    assert TextTower(replace(closed, name="renamed"), recipe).agrees(clip, 0.0)
