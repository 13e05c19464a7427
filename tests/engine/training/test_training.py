"""Whole runs on a tiny real model: what they leave behind, how they resume, and that they can be believed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from peft import PeftModel
from transformers import CLIPModel

from clip_atelier.engine import settings
from clip_atelier.engine.core import (
    Check,
    Control,
    Event,
    Finished,
    Saved,
    Step,
    Stopped,
    Strength,
    UserError,
    Work,
    WorkError,
    drive,
    events,
)
from clip_atelier.engine.models import Models, layers
from clip_atelier.engine.runs import Runs, checkpoints
from clip_atelier.engine.training import Plan, resume, train
from clip_atelier.engine.training.loop import Loop

Quick = Callable[..., dict[str, Any]]


def run(
    home: Path, folder: Path, values: dict[str, Any], control: Control | None = None
) -> tuple[dict[str, Any], list[Event]]:
    seen: list[Event] = []
    plan = Plan(folder, settings.build(values), home)
    result = drive(train(plan, Models(home), control or Control()), seen.append).as_json()
    return result, seen


def best_adapter(home: Path, run_id: str) -> dict[str, torch.Tensor]:
    return safetensors.torch.load_file(home / "runs" / run_id / "adapter" / "adapter_model.safetensors")


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"lora__target_modules": "visual_projection"},
        {"train__towers": "text"},
        {"train__method": "layernorm"},
        {"train__chunk_size": 3, "train__gradient_checkpointing": True},
        {"data__views": 3, "train__size_penalty": 0.01, "train__temperature": "trained"},
        {"lora__bias": "all", "train__schedule": "linear"},
    ],
)
def test_a_run_ends_with_base_and_adapted(
    home: Path, tiny_pairs: Path, quick: Quick, changes: dict[str, Any]
) -> None:
    result, seen = run(home, tiny_pairs, quick(**changes))
    assert result["status"] == "done"
    assert result["base_untouched"] is True
    assert result["primary_metric"] == "sketch_to_artwork/R@1"
    assert set(result["base"]) == set(result["adapted"]) == set(result["difference"])
    assert (
        result["validation"]["adapted"]["sketch_to_artwork/mAP"]
        >= result["validation"]["base"]["sketch_to_artwork/mAP"]
    )
    json.dumps(result, allow_nan=False)
    assert isinstance(seen[-1], Finished)
    found = Runs(home).open(result["run"])
    assert found.status == "done"
    assert found.result is not None
    assert found.result.as_json() == result
    replayed = [events.to_json(e) for e in found.events()]
    assert replayed == [events.to_json(e) for e in seen]


def test_the_adapter_loads_with_plain_peft(
    home: Path, tiny_pairs: Path, tiny_clip: Path, quick: Quick
) -> None:
    values = quick(train__choose_strength=False, train__epochs=6, train__learning_rate=5e-3)
    result, _seen = run(home, tiny_pairs, values)
    models = Models(home)
    clip = models.open(str(tiny_clip), settings.HardwareSettings(device="cpu", threads=1))
    plain = PeftModel.from_pretrained(
        CLIPModel.from_pretrained(tiny_clip, attn_implementation="eager"), Path(result["path"]) / "adapter"
    )
    pictures = torch.randint(
        0, 256, (4, 32, 32, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(3)
    )
    with torch.no_grad():
        base = clip.image(clip.pixels(pictures))
        theirs = plain.get_image_features(pixel_values=clip.pixels(pictures)).pooler_output
    assert result["strength"] == (1.0 if result["best_step"] else 0.0)
    assert torch.equal(base, theirs) == (result["strength"] == 0.0)


def test_the_same_seed_gives_the_same_run(home: Path, tiny_collection: Path, quick: Quick) -> None:
    first, _ = run(home, tiny_collection, quick())
    second, _ = run(home, tiny_collection, quick())
    other, _ = run(home, tiny_collection, quick(train__seed=1))
    same = ("adapted", "base", "difference", "strength", "best_step")
    assert {k: first[k] for k in same} == {k: second[k] for k in same}
    assert other["split"] == first["split"]
    newest = [max((home / "runs" / r["run"] / "checkpoints").iterdir()) for r in (first, second, other)]
    states = [safetensors.torch.load_file(n / "adapter.safetensors") for n in newest]
    assert all(torch.equal(states[0][n], states[1][n]) for n in states[0])
    assert not all(torch.equal(states[0][n], states[2][n]) for n in states[0])


class _StopAfter(Control):
    """Asks for a stop once a number of boundaries were passed in training."""

    def __init__(self, step: int) -> None:
        super().__init__()
        self.step = step

    def saw(self, event: Event) -> None:
        if isinstance(event, Step) and event.step >= self.step:
            self.stop()


@pytest.mark.fault(16)
@pytest.mark.parametrize("stop_at", [1, 3, 4])
@pytest.mark.parametrize(
    "changes", [{}, {"lora__target_modules": "visual_projection", "lora__lora_dropout": 0.5}]
)
def test_a_resumed_run_is_bit_equal_to_a_straight_one(
    home: Path, tiny_pairs: Path, quick: Quick, stop_at: int, changes: dict[str, Any]
) -> None:
    values = quick(train__epochs=3, train__batch_size=8, **changes)
    straight, _ = run(home, tiny_pairs, values)
    control = _StopAfter(stop_at)
    plan = Plan(tiny_pairs, settings.build(values), home)
    stopped = drive(train(plan, Models(home), control), control.saw).as_json()
    assert stopped["status"] == "stopped"
    assert stopped["steps"] == stop_at
    assert Runs(home).open(stopped["run"]).status == "stopped"
    torch.rand(7)  # whatever else used the random numbers in between
    resumed = drive(resume(home, stopped["run"], Models(home), Control())).as_json()
    assert resumed["status"] == "done"
    for key in ("adapted", "base", "difference", "strength", "best_step", "steps"):
        assert resumed[key] == straight[key], key
    a, b = (best_adapter(home, r["run"]) for r in (straight, resumed))
    assert all(torch.equal(a[n], b[n]) for n in a)
    # The best may lie before the stop; the last steps do not.
    folders = [Runs(home).open(r["run"]).path / "checkpoints" for r in (straight, resumed)]
    first, second = (checkpoints.read(folder, straight["steps"]) for folder in folders)
    for before, after in ((first.adapter, second.adapter), (first.optimizer, second.optimizer)):
        assert before.keys() == after.keys()
        assert all(torch.equal(before[n], after[n]) for n in before)


@pytest.mark.parametrize("begun", [None, {"threads": 3}, {"precision": "bf16", "attention": "sdpa"}])
def test_a_resumed_run_keeps_to_how_it_was_computed_and_says_where_it_cannot(
    home: Path, tiny_pairs: Path, quick: Quick, begun: dict[str, Any] | None
) -> None:
    control = _StopAfter(2)
    plan = Plan(
        tiny_pairs, settings.build(quick(train__epochs=3, train__batch_size=8, hardware__threads=0)), home
    )
    stopped = drive(train(plan, Models(home), control), control.saw)
    written = Runs(home).open(stopped.run).path / "run.json"
    record = json.loads(written.read_text())
    assert record["numeric_path"]["threads"] == torch.get_num_threads()
    record["numeric_path"] = begun and record["numeric_path"] | begun
    written.write_text(json.dumps(record))
    seen: list[Any] = []
    threads = torch.get_num_threads()
    try:
        drive(resume(home, stopped.run, Models(home), Control()), seen.append)
        after = json.loads(written.read_text())["numeric_path"]
        told = [e.text for e in seen if isinstance(e, events.Notice) and "rounded otherwise" in e.text]
        if begun and "threads" in begun:
            assert (after["threads"], told) == (3, [])  # chosen automatically, so kept as it was
        else:
            assert len(told) == 1
            assert ("earlier version" in told[0]) == (begun is None)
    finally:
        torch.set_num_threads(threads)


@pytest.mark.fault(38)
def test_leaving_keeps_a_checkpoint_and_skips_the_comparison(
    home: Path, tiny_pairs: Path, quick: Quick
) -> None:
    control = Control()
    plan = Plan(tiny_pairs, settings.build(quick(train__epochs=3)), home)
    with pytest.raises(Stopped):
        drive(train(plan, Models(home), control), lambda e: control.leave() if isinstance(e, Step) else None)
    run = Runs(home).list()[0]
    assert run.status == "stopped"
    assert run.result is None
    assert checkpoints.steps(run.path / "checkpoints") == [1]
    assert drive(resume(home, run.id, Models(home), Control())).as_json()["status"] == "done"


def test_a_complete_run_is_not_resumed(home: Path, tiny_pairs: Path, quick: Quick) -> None:
    result, _ = run(home, tiny_pairs, quick(train__epochs=1))
    with pytest.raises(UserError, match="complete"):
        drive(resume(home, result["run"], Models(home), Control()))


def test_gradient_checkpointing_changes_the_memory_only(
    home: Path, tiny_pairs: Path, quick: Quick, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    again = layers.recomputed
    monkeypatch.setattr(layers, "recomputed", lambda *given: calls.append(1) or again(*given))
    plain, _seen = run(home, tiny_pairs, quick())
    assert not calls
    lean, _seen = run(home, tiny_pairs, quick(train__gradient_checkpointing=True))
    assert calls
    expected, found = (best_adapter(home, result["run"]) for result in (plain, lean))
    assert all(torch.equal(found[name], value) for name, value in expected.items())


def test_shuffled_captions_gain_nothing_and_say_so(home: Path, tiny_collection: Path, quick: Quick) -> None:
    lines = (tiny_collection / "metadata.csv").read_text().splitlines()
    names, captions = zip(*(line.split(",") for line in lines[1:]), strict=True)
    order = np.random.default_rng(0).permutation(len(names))
    rows = [f"{name},{captions[order[n]]}" for n, name in enumerate(names)]
    (tiny_collection / "metadata.csv").write_text("\n".join([lines[0], *rows]) + "\n")
    result, _ = run(home, tiny_collection, quick(train__epochs=6, data__test=0.5))
    # Few of the drawings that are kept aside are independent of each other; either answer claims nothing.
    assert result["verdict"] in ("no measurable difference", "too few to measure")
    assert "helped" not in result["verdict_text"]
    key = "text_to_image/mAP"
    assert result["validation"]["adapted"][key] >= result["validation"]["base"][key]


def test_an_image_replaced_after_the_scan_is_skipped_and_named(
    home: Path, tiny_pairs: Path, quick: Quick, monkeypatch: pytest.MonkeyPatch
) -> None:
    from clip_atelier.engine.data import opening

    real = opening.scan

    def scan_then_break(*args: Any, **kwargs: Any) -> Any:
        collection = yield from real(*args, **kwargs)
        (collection.root / collection.items[0].path).write_bytes(b"no image any more")
        return collection

    monkeypatch.setattr("clip_atelier.engine.data.opening.scan", scan_then_break)
    result, seen = run(home, tiny_pairs, quick(train__epochs=1))
    named = [e.path for e in seen if isinstance(e, events.ProblemFound)]
    assert named == ["artworks/blue circle.png"]
    assert sum(result["split"].values()) == 47


@pytest.mark.fault(35)
def test_a_loss_that_is_no_number_stops_and_keeps_the_last_good_checkpoint(
    home: Path, tiny_pairs: Path, quick: Quick, monkeypatch: pytest.MonkeyPatch
) -> None:
    from clip_atelier.engine.training.steps import TrainStep

    real = TrainStep.step

    def poisoned(self: TrainStep, step: int, batch: Any) -> torch.Tensor:
        loss = real(self, step, batch)
        return loss * float("nan") if step == 4 else loss

    monkeypatch.setattr(TrainStep, "step", poisoned)
    seen: list[Event] = []
    plan = Plan(tiny_pairs, settings.build(quick(train__epochs=4, train__checks=4)), home)
    with pytest.raises(WorkError, match="step 5"):
        drive(train(plan, Models(home), Control()), seen.append)
    assert isinstance(seen[-1], Finished)
    assert seen[-1].status == "failed"
    assert any(isinstance(e, Saved) for e in seen)
    assert Runs(home).list()[0].status == "failed"
    monkeypatch.setattr(TrainStep, "step", real)
    assert drive(resume(home, Runs(home).list()[0].id, Models(home), Control())).as_json()["status"] == "done"


@pytest.mark.fault(36)
def test_out_of_memory_proposes_a_chunk_size_and_changes_nothing(
    home: Path, tiny_pairs: Path, quick: Quick, monkeypatch: pytest.MonkeyPatch
) -> None:
    from clip_atelier.engine.training.steps import TrainStep

    def full(self: TrainStep, step: int, batch: Any) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr(TrainStep, "step", full)
    plan = Plan(tiny_pairs, settings.build(quick()), home)
    with pytest.raises(WorkError) as caught:
        drive(train(plan, Models(home), Control()))
    assert "train.chunk_size" in caught.value.hint
    assert "4" in caught.value.hint
    assert Runs(home).list()[0].settings.train.chunk_size == 0


@pytest.mark.parametrize(("start", "tried"), [("pairs", True), ("zero", False)])
def test_where_no_check_was_better_an_update_that_began_from_pairs_is_still_tried(
    home: Path, tiny_pairs: Path, quick: Quick, monkeypatch: pytest.MonkeyPatch, start: str, tried: bool
) -> None:
    def none_was_better(self: Loop) -> Work[int]:
        self.state = replace(self.state, best_step=0)
        return (yield from take_best(self))

    take_best = Loop.take_best
    monkeypatch.setattr(Loop, "take_best", none_was_better)
    values = quick(lora__target_modules="visual_projection", train__initialization=start)
    result, seen = run(home, tiny_pairs, values)
    assert result["best_step"] == 0
    assert any(isinstance(event, Strength) for event in seen) is tried
    if not tried:
        assert result["strength"] == 0


def test_pinned_words_are_watched_at_every_check(home: Path, tiny_collection: Path, quick: Quick) -> None:
    _result, seen = run(home, tiny_collection, quick(train__pinned="red circle, ring ,", train__epochs=1))
    rankings = [e for e in seen if isinstance(e, events.Ranking)]
    checks = [e.step for e in seen if isinstance(e, Check)]
    assert [(e.step, e.query) for e in rankings] == [(s, w) for s in checks for w in ("red circle", "ring")]
    for ranking in rankings:
        assert ranking.relevant == tuple(
            ranking.query in path.replace("-", " ").removesuffix(".png") for path in ranking.paths
        )


def test_early_stopping_says_why(home: Path, tiny_collection: Path, quick: Quick) -> None:
    result, seen = run(home, tiny_collection, quick(train__epochs=20, train__checks=20, train__patience=1))
    checks = [e for e in seen if isinstance(e, Check)]
    if result["steps"] < result["total_steps"]:
        assert checks[-1].checks_without_gain == 1
        assert any("No better for 1 checks" in e.text for e in seen if isinstance(e, events.Notice))
    assert checks[0].step == 0


@pytest.mark.fault(10)
def test_a_run_deleted_while_it_trains_ends_cleanly(home: Path, tiny_pairs: Path, quick: Quick) -> None:
    import shutil

    plan = Plan(tiny_pairs, settings.build(quick(train__epochs=4)), home)

    def remove(event: Event) -> None:
        if isinstance(event, Step):
            shutil.rmtree(Runs(home).folder)

    with pytest.raises(WorkError, match="events.jsonl"):
        drive(train(plan, Models(home), Control()), remove)


def test_settings_that_cannot_work_are_refused_before_a_run_exists(
    home: Path, tiny_pairs: Path, quick: Quick
) -> None:
    with pytest.raises(UserError, match="nonesuch"):
        run(home, tiny_pairs, quick(model__name="nonesuch"))
    with pytest.raises(UserError, match="no folder"):
        run(home, tiny_pairs / "missing", quick())
    assert Runs(home).list() == []


def test_a_folder_without_images_leaves_no_run(home: Path, tmp_path: Path, quick: Quick) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(UserError, match="no images"):
        run(home, empty, quick())
    assert Runs(home).list() == []
