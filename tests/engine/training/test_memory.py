"""Memory runs out at batches above a size: what is proposed was seen to fit, and what goes on in chunks is exact."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from prepared import prepared

from clip_atelier.engine import settings
from clip_atelier.engine.core import Control, Notice, WorkError, drive
from clip_atelier.engine.models import Models
from clip_atelier.engine.runs import Runs, checkpoints
from clip_atelier.engine.training import Plan, estimate, memory, train
from clip_atelier.engine.training.batches import Batch, Batches
from clip_atelier.engine.training.inputs import TrainingInputs
from clip_atelier.engine.training.steps import TrainStep

Quick = Callable[..., dict[str, Any]]
EXACT = {"hardware__precision": "fp32", "train__max_grad_norm": 0.0, "lora__lora_dropout": 0.0}


@pytest.fixture
def only(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], list[int]]:
    """Makes memory run out where more than so many images are encoded together; gives the sizes that were asked for."""
    encode = TrainingInputs.images

    def limit(most: int) -> list[int]:
        asked: list[int] = []

        def images(self: TrainingInputs, batch: Batch, rows: slice) -> torch.Tensor:
            count = len(batch.indices[rows])
            asked.append(count)
            if count > most:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
            return encode(self, batch, rows)

        monkeypatch.setattr(TrainingInputs, "images", images)
        return asked

    return limit


@pytest.mark.parametrize(
    ("failed", "most", "chunk"), [(2048, 300, 256), (2048, 2, 2), (33, 32, 32), (32, 31, 16), (24, 1, None), (2, 1, None)]
)  # fmt: skip
def test_the_largest_power_of_two_that_fits_is_found(failed: int, most: int, chunk: int | None) -> None:
    sizes: list[int] = []

    def work(size: int) -> str:
        sizes.append(size)
        if size > most:
            raise RuntimeError("CUDNN_STATUS_ALLOC_FAILED")
        return "done"

    found = memory.in_less(failed, work)
    assert found == (None if chunk is None else (chunk, "done"))
    assert all(size < failed for size in sizes)
    assert sizes == sorted(set(sizes), reverse=True)


def test_other_failures_are_not_taken_for_a_lack_of_memory() -> None:
    def work() -> None:
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes"):
        memory.tried(work)


def test_without_dropout_a_step_goes_on_in_chunks_with_the_same_gradients(
    home: Path, tiny_pairs: Path, quick: Quick, only: Callable[[int], list[int]]
) -> None:
    ready = prepared(home, tiny_pairs, quick(**EXACT, train__batch_size=16))
    chosen, parts = ready.chosen.train, ready.parts
    batches = Batches(ready.collection.items, parts.train, parts.groups, 16, 1, 0)
    step = TrainStep(ready.clip, ready.adapter, ready.inputs, chosen, 100)

    def gradients() -> tuple[float, dict[str, torch.Tensor]]:
        before = ready.adapter.state()
        loss = float(step.step(0, batches.at(0)))
        found = {n: p.grad.clone() for n, p in ready.adapter.trainable.items() if p.grad is not None}
        ready.adapter.load_state(before)
        return loss, found

    whole = gradients()
    assert step.take_notice() is None
    asked = only(5)
    chunked = gradients()
    assert step.chunk == 4
    notice = step.take_notice()
    assert notice is not None
    assert "4" in notice.text
    assert step.take_notice() is None
    assert chunked[0] == pytest.approx(whole[0], rel=1e-5)
    for name, gradient in whole[1].items():
        torch.testing.assert_close(chunked[1][name], gradient, rtol=1e-3, atol=1e-6)
    asked.clear()
    gradients()
    assert max(asked) <= 4  # what failed is not tried again


@pytest.mark.fault(36)
def test_a_run_that_does_not_fit_is_told_what_does(
    home: Path, tiny_pairs: Path, quick: Quick, only: Callable[[int], list[int]]
) -> None:
    only(5)
    values = quick(train__batch_size=16, lora__lora_dropout=0.1)
    with pytest.raises(WorkError) as caught:
        drive(train(Plan(tiny_pairs, settings.build(values), home), Models(home), Control()))
    assert "(train.chunk_size) to 4" in caught.value.hint
    # It is a proposal: nothing was learned in chunks, and the run asks for what it asked for.
    (failed,) = Runs(home).list()
    assert failed.status == "failed"
    assert not checkpoints.steps(failed.path / "checkpoints")
    assert (failed.settings.train.chunk_size, failed.settings.train.batch_size) == (0, 16)
    # The reckoning before a run says the same, and a run that follows the proposal is not told another one.
    reckoned = drive(estimate(tiny_pairs, settings.build(values), home, Models(home), Control()))
    assert (reckoned.fits, reckoned.chunk_size) == (False, 4)
    seen: list[object] = []
    chosen = settings.build(values | {"train.chunk_size": 4})
    result = drive(train(Plan(tiny_pairs, chosen, home), Models(home), Control()), seen.append)
    assert result.status == "done"
    assert not [e for e in seen if isinstance(e, Notice) and "chunks" in e.text]
    assert {run.status for run in Runs(home).list()} == {"done", "failed"}


def test_where_no_chunk_fits_something_else_is_proposed(
    home: Path, tiny_pairs: Path, quick: Quick, only: Callable[[int], list[int]]
) -> None:
    only(1)
    with pytest.raises(WorkError) as caught:
        drive(
            train(Plan(tiny_pairs, settings.build(quick(train__batch_size=8)), home), Models(home), Control())
        )
    assert "chunk_size" not in caught.value.hint
    assert "train.gradient_checkpointing" in caught.value.hint
