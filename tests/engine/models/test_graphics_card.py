"""What only a graphics card shows. Everywhere else these tests are skipped, and say so."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from clip_atelier.engine import settings
from clip_atelier.engine.core import Control, Step, WorkError, drive
from clip_atelier.engine.models import Models, device
from clip_atelier.engine.settings import HardwareSettings
from clip_atelier.engine.training import Plan, train
from resumed import trained_and_resumed

Quick = Callable[..., dict[str, Any]]


@pytest.fixture(autouse=True)
def _card() -> None:
    # Looked at by the test, not when it is collected: that would take seconds of every run.
    if not torch.cuda.is_available():
        pytest.skip("needs a graphics card; tests/benchmarks/device.py measures the same and more")


def losses(home: Path, folder: Path, values: dict[str, Any]) -> list[float]:
    seen: list[float] = []
    drive(
        train(Plan(folder, settings.build(values), home), Models(home), Control()),
        lambda event: seen.append(event.loss) if isinstance(event, Step) else None,
    )
    return seen


@pytest.mark.parametrize(("precision", "apart"), [("bf16", 0.05), ("fp16", 0.02)])
def test_half_precision_follows_the_losses_of_fp32(
    precision: str, apart: float, home: Path, tiny_pairs: Path, quick: Quick
) -> None:
    card = {"hardware__device": "cuda", "lora__lora_dropout": 0.0, "lora__target_modules": "q_proj+v_proj"}
    whole = losses(home, tiny_pairs, quick(hardware__precision="fp32", **card))
    half = losses(home, tiny_pairs, quick(hardware__precision=precision, **card))
    assert len(half) == len(whole)
    assert all(math.isclose(a, b, rel_tol=apart) for a, b in zip(half, whole, strict=True))


def test_a_stopped_run_goes_on_to_the_same_update(home: Path, tiny_pairs: Path, quick: Quick) -> None:
    values = quick(hardware__device="cuda", lora__target_modules="q_proj+v_proj", train__epochs=4)
    trained_and_resumed(tiny_pairs, settings.build(values), home, Models(home))


def test_recorded_steps_end_in_the_bits_of_plain_ones(home: Path, tiny_pairs: Path, quick: Quick) -> None:
    """Whether a recording is used or not: with dropout, and with preservation's part of a step."""
    values = quick(
        hardware__device="cuda",
        lora__target_modules="q_proj+v_proj",
        train__steps=120,
        train__preservation=0.5,
    )
    plain, recorded = (losses(home, tiny_pairs, values | {"hardware.graphs": how}) for how in ("off", "auto"))
    assert recorded == plain


def test_a_batch_that_does_not_fit_proposes_a_chunk_that_does(
    home: Path, tiny_pairs: Path, quick: Quick
) -> None:
    """All but a little of the card's memory is taken away, so that the batch does not fit at once."""
    values = quick(hardware__device="cuda", train__batch_size=48, lora__target_modules="q_proj+v_proj")
    losses(home, tiny_pairs, values)  # what the kernels keep for themselves is there from now on
    torch.cuda.empty_cache()
    held = torch.empty(max(torch.cuda.mem_get_info()[0] - (64 << 20), 0), dtype=torch.uint8, device="cuda")
    try:
        with pytest.raises(WorkError, match="memory of the device") as caught:
            losses(home, tiny_pairs, values)
        proposed = re.search(r"train\.chunk_size\) to (\d+)", caught.value.hint)
        if proposed:  # else not even the smallest chunk fits, which it says
            losses(home, tiny_pairs, values | {"train.chunk_size": int(proposed[1])})
    finally:
        del held
        torch.cuda.empty_cache()


def test_automatic_settings_take_the_card_and_say_why() -> None:
    chosen = device.choose(HardwareSettings())
    assert chosen.kind == "cuda"
    assert "bf16" in device.reason(chosen)
