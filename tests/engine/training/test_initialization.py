"""Where an update starts: what it does to the embeddings of the real tiny model, and where it does nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from prepared import prepared

from clip_atelier.engine import settings
from clip_atelier.engine.core import Control, Work, drive
from clip_atelier.engine.models import Features
from clip_atelier.engine.reports import python_code
from clip_atelier.engine.training import initialization

Quick = Callable[..., dict[str, Any]]


class Fresh:
    """A fresh update on the tiny model, and everything that its start is made from."""

    def __init__(self, home: Path, folder: Path, values: dict[str, Any]) -> None:
        ready = prepared(home, folder, values)
        self.collection, self.train = ready.collection, ready.parts.train
        self.clip, self.adapter = ready.clip, ready.adapter
        self.pictures, self.inputs = ready.pictures, ready.inputs

    def start(self) -> int:
        return drive(initialization.from_pairs(self.adapter, self.inputs, self.train, Control()))

    def embeddings(self) -> torch.Tensor:
        """Of the training images, not normalised: [N, dim]."""
        with torch.inference_mode():
            return self.clip.image(self.clip.pixels(torch.from_numpy(self.pictures.batch(self.train))))

    def differences(self) -> torch.Tensor:
        """Sketch minus artwork of each pair, by the untouched model: [pairs, dim]."""
        items = self.collection.items
        with self.adapter.at(0.0):
            rows = dict(zip(self.train, self.embeddings(), strict=True))
        sides = {(items[i].pair, items[i].role): row for i, row in rows.items()}
        return torch.stack(
            [row - sides[pair, "artwork"] for (pair, role), row in sides.items() if role == "sketch"]
        )


@pytest.mark.parametrize(
    "changes",
    [
        {"lora__target_modules": "visual_projection", "lora__r": 3, "lora__lora_alpha": 12},
        {"lora__target_modules": "visual_projection", "lora__r": 4, "lora__use_rslora": True},
        # Adapted layers before the projection: the pairs are still seen by the untouched model.
        {"lora__target_modules": "q_proj+visual_projection", "lora__r": 3},
    ],
    ids=["alone", "rank-stabilised", "with attention"],
)
def test_what_pairs_differ_in_most_is_halved_and_the_rest_left(
    home: Path, tiny_pairs: Path, quick: Quick, changes: dict[str, Any]
) -> None:
    fresh = Fresh(home, tiny_pairs, quick(hardware__precision="fp32", **changes))
    before = fresh.embeddings()
    rank = changes["lora__r"]
    assert fresh.start() == rank

    largest = torch.linalg.svd(
        fresh.differences(), full_matrices=True
    ).Vh  # an oracle by another decomposition
    after = fresh.embeddings()
    torch.testing.assert_close(after @ largest[:rank].T, before @ largest[:rank].T / 2, atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(after @ largest[rank:].T, before @ largest[rank:].T, atol=1e-4, rtol=1e-3)
    fresh.adapter.set_adapter_scale(0.0)
    assert fresh.embeddings().equal(before)


def test_a_rank_above_the_number_of_pairs_leaves_the_rest_at_zero(
    home: Path, tiny_pairs: Path, quick: Quick
) -> None:
    for side in ("sketches", "artworks"):
        for picture in sorted((tiny_pairs / side).iterdir())[6:]:
            picture.unlink()
    fresh = Fresh(home, tiny_pairs, quick(lora__target_modules="visual_projection", lora__r=16))
    made = {name: value for name, value in fresh.adapter.state().items() if "lora_A" in name}
    pairs = len(fresh.differences())
    assert fresh.start() == pairs < 16
    state = fresh.adapter.state()
    up = next(value for name, value in state.items() if "lora_B" in name)
    assert not up[:, pairs:].any()
    assert up[:, :pairs].any(dim=0).all()
    for name, value in made.items():
        assert state[name][pairs:].equal(value[pairs:])


@pytest.mark.parametrize(
    ("folder", "changes"),
    [
        ("tiny_collection", {"lora__target_modules": "visual_projection"}),
        ("tiny_pairs", {"lora__target_modules": "visual_projection", "train__initialization": "zero"}),
        ("tiny_pairs", {"lora__target_modules": "q_proj+v_proj"}),
        ("tiny_pairs", {"train__method": "layernorm"}),
    ],
    ids=["no pairs", "not wanted", "other targets", "no LoRA"],
)
def test_without_pairs_or_their_matrix_the_update_starts_at_nothing(
    home: Path, quick: Quick, folder: str, changes: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    fresh = Fresh(home, request.getfixturevalue(folder), quick(**changes))
    made = fresh.adapter.state()
    assert fresh.start() == 0
    after = fresh.adapter.state()
    assert all(after[name].equal(value) for name, value in made.items())


def test_equal_drawings_give_no_direction() -> None:
    assert initialization.principal(np.zeros((5, 4), np.float32), 2).shape == (0, 4)


def test_the_exported_code_starts_from_the_same_pairs(
    home: Path, tiny_pairs: Path, tiny_clip: Path, quick: Quick
) -> None:
    values = quick(lora__target_modules="visual_projection", lora__r=3, hardware__precision="fp32")
    fresh = Fresh(home, tiny_pairs, values)
    left: dict[str, Any] = {}
    exec(python_code(settings.build(values), str(tiny_clip)), left)
    items = fresh.collection.items
    rows = {(items[i].pair, items[i].role): i for i in fresh.train}
    sketches, artworks = (
        fresh.clip.pixels(
            torch.from_numpy(
                fresh.pictures.batch([i for (_pair, side), i in sorted(rows.items()) if side == role])
            )
        )
        for role in ("sketch", "artwork")
    )
    left["start_from_pairs"](sketches, artworks)
    fresh.start()
    layer = left["model"].base_model.model.visual_projection
    torch.testing.assert_close(
        layer.get_delta_weight("default"),
        fresh.clip.net.visual_projection.get_delta_weight("default"),
        atol=1e-5, rtol=1e-3,
    )  # fmt: skip


def test_only_pairs_that_are_learned_from_decide(home: Path, tiny_pairs: Path, quick: Quick) -> None:
    """The start must not have seen what it will be measured on."""
    fresh = Fresh(home, tiny_pairs, quick(lora__target_modules="visual_projection", lora__r=3))
    asked: list[int] = []
    assert len(fresh.train) < len(fresh.collection.items)
    pooled = fresh.inputs.pooled

    def watched(indices: Sequence[int], control: Control) -> Work[Features]:
        asked.extend(indices)
        return (yield from pooled(indices, control))

    fresh.inputs.pooled = watched  # type: ignore[method-assign]
    fresh.start()
    assert set(asked) <= set(fresh.train)
    assert len(asked) == len(set(asked)) == 2 * len(fresh.differences())
