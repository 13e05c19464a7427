from __future__ import annotations

import time

import pytest

from clip_atelier.engine.core import (
    Check,
    Event,
    Finished,
    Notice,
    Phase,
    Progress,
    Ranking,
    Started,
    Step,
    Strength,
    from_json,
    to_json,
)
from clip_atelier.engine.core.events import EVENTS
from clip_atelier.gui.run_progress import RunRecord
from clip_atelier.gui.widgets.plots import Smoother


def step(n: int, loss: float | None = 1.0) -> Step:
    return Step(step=n, epoch=n / 10, loss=loss, learning_rate=1e-3, images_per_second=50.0)


def a_run(steps: int = 10, start: int = 0) -> list[Event]:
    started = Started(
        run="r", steps=steps, start_step=start, trainable_parameters=5, device="cpu", precision="fp32",
        primary_metric="text_to_image/R@1", select_by="text_to_image/mAP",
    )  # fmt: skip
    checks = [
        Check(step=n, epoch=0, metrics={"text_to_image/R@1": n / 100}, loss=2.0, best=n < 8)
        for n in range(start, steps + 1, 5)
    ]
    return [
        Phase(name="train", title="Training"), started, *(step(n + 1) for n in range(start, steps)), *checks,
        Ranking(step=0, query="cat", paths=("a.png",), relevant=(True,)),
        Ranking(step=5, query="cat", paths=("b.png",), relevant=(False,)),
        Strength(strength=0.5, score=0.2, chosen=True), Notice(text="hello"),
        Finished(status="done", result={"base": {"text_to_image/R@1": 0.0}}),
    ]  # fmt: skip


def test_a_replayed_run_is_the_live_one() -> None:
    live, old = RunRecord(), RunRecord()
    events = a_run()
    for event in events:
        live.feed([event])
    old.feed(from_json(to_json(event)) for event in events)
    assert list(live.steps) == list(old.steps) == list(range(1, 11))
    assert live.best == old.best
    assert live.best is not None
    assert live.best.step == 5
    assert live.base is not None
    assert live.base.step == 0
    assert [r.step for r in old.rankings["cat"]] == [0, 5]
    assert old.notes == ["hello"]
    assert old.result.measured


def test_a_resumed_run_draws_its_steps_once() -> None:
    record = RunRecord()
    record.feed(a_run(10)[:-1])
    record.feed(a_run(10, start=5))
    assert list(record.steps) == list(range(1, 11))
    assert [c.step for c in sorted(record.checks, key=lambda c: c.step)] == [0, 5, 10]
    assert record.finished is not None


@pytest.mark.parametrize("kind", EVENTS)
def test_every_kind_of_event_can_come(kind: str) -> None:
    record = RunRecord()
    record.feed([e for e in [*a_run(), Progress(done=1, total=2)] if e.kind == kind])
    assert record.version >= 0


def test_a_long_run_is_taken_in_quickly() -> None:
    events: list[Event] = [step(n, None if n % 1000 == 0 else 1.0 / n) for n in range(1, 50_001)]
    record, smoother = RunRecord(), Smoother(0.9)
    began = time.perf_counter()
    for start in range(0, len(events), 500):
        record.feed(events[start : start + 500])
        smoother.extend(record.losses)
    assert time.perf_counter() - began < 5
    assert len(smoother.values) == 50_000


def test_smoothing_starts_at_the_first_value_and_passes_over_gaps() -> None:
    values = [4.0, float("nan"), 2.0]
    smooth = Smoother(0.5).extend(values)
    assert smooth[0] == smooth[1] == 4.0
    assert 2.0 < smooth[2] < 4.0
    assert Smoother(0.0).extend([1.0, 5.0]) == [1.0, 5.0]
