"""Runs that are measured by folds, on a tiny real model: what comes out, what is handed over, how they go on."""

from __future__ import annotations

from collections.abc import Callable
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
    Control,
    Event,
    FoldStep,
    PartMeasured,
    Phase,
    Progress,
    Saved,
    Stopped,
    UserError,
    drive,
)
from clip_atelier.engine.models import Models
from clip_atelier.engine.parts import FittedParts, PartsRecord
from clip_atelier.engine.parts.run_evaluation import evaluate
from clip_atelier.engine.reports import export
from clip_atelier.engine.runs import Runs
from clip_atelier.engine.training import Plan, crossval, resume, train

Quick = Callable[..., dict[str, Any]]


@pytest.fixture
def by_folds(quick: Quick) -> Quick:
    """Settings for a run of a few steps, measured by three folds, with everything that can be tried."""

    def values(**changes: Any) -> dict[str, Any]:
        return quick(
            **{
                "lora__target_modules": ("q_proj", "v_proj", "visual_projection"),
                "train__initialization": "captions",
                "train__steps": 4,
                "train__preservation": 1.0,
                "train__smoothing": 0.2,
                "evaluation__folds": 3,
                "evaluation__parts": True,
            }
            | changes
        )

    return values


def run(
    home: Path, folder: Path, values: dict[str, Any], on_event: Callable[[Event], object] | None = None,
    control: Control | None = None,
) -> dict[str, Any]:  # fmt: skip
    plan = Plan(folder, settings.build(values), home)
    return drive(train(plan, Models(home), control or Control()), on_event).as_json()


def adapter(home: Path, run_id: str) -> dict[str, torch.Tensor]:
    return safetensors.torch.load_file(home / "runs" / run_id / "adapter" / "adapter_model.safetensors")


def test_every_drawing_is_a_question_once_and_the_table_fills(
    home: Path, tiny_pairs: Path, by_folds: Quick
) -> None:
    seen: list[Event] = []
    chosen = settings.build(by_folds())
    result = drive(crossval(tiny_pairs, chosen, home, Models(home), Control()), seen.append)
    assert result.folds == 3
    assert list(result.questions) == [
        "text_to_image", "image_to_text", "sketch_to_artwork", "artwork_to_sketch",
    ]  # fmt: skip
    assert result.questions["image_to_text"].queries == 48
    assert result.questions["sketch_to_artwork"].queries == 24
    for question in result.questions.values():
        assert {"mAP", "R@1"} <= set(question.base) == set(question.adapted) == set(question.difference)
        assert question.verdict in ("gain", "loss", "no measurable difference")
        low, high = question.difference["mAP"].low, question.difference["mAP"].high
        assert low is not None
        assert high is not None
        assert low <= high
    told = {(e.name, e.question) for e in seen if isinstance(e, PartMeasured)}
    assert told == {(part.name, part.question) for part in result.parts}
    assert {way.name for way in result.trivial} == {"class_prototype", "nearest_drawings"}
    assert result.summary
    assert not (home / "runs").exists()
    steps = [e for e in seen if isinstance(e, FoldStep)]
    assert [(e.fold, e.step) for e in steps] == [(fold, step) for fold in (1, 2, 3) for step in (1, 2, 3, 4)]
    assert all((e.folds, e.steps) == (3, 4) and e.loss is not None for e in steps)
    left = [e.seconds_left for e in seen if isinstance(e, Progress) and e.total == 300]
    assert left[-1] == pytest.approx(0.0, abs=0.5)


def test_a_run_returns_what_crossval_returns_and_keeps_its_parts(
    home: Path, tmp_path: Path, tiny_pairs: Path, by_folds: Quick
) -> None:
    values = by_folds()
    result = run(home, tiny_pairs, values)
    crossed = drive(crossval(tiny_pairs, settings.build(values), home, Models(home), Control())).as_json()
    assert result["questions"] == crossed["questions"]
    assert result["parts"] == crossed["parts"]
    assert result["measured_on"] == "folds"
    assert result["split"]["train"] == 48
    assert result["base_untouched"] is True
    assert result["primary_metric"].endswith("/mAP")
    folder = Path(result["path"])
    assert not (folder / "folds").exists()
    parts = FittedParts.read(folder)
    assert parts is not None
    kept = {part["name"] for part in result["parts"] if part["kept"]}
    assert parts.used == kept
    elsewhere = drive(evaluate(home, result["run"], tiny_pairs, Models(home), Control()))
    assert elsewhere.measured_on == "learned"
    off = drive(evaluate(home, result["run"], tiny_pairs, Models(home), Control(), strength=0.0))
    assert off.adapted == off.base == elsewhere.base
    if kept:
        assert elsewhere.adapted != elsewhere.base
    card = (folder / "adapter" / "README.md").read_text("utf-8")
    assert all(f"| {question} |" in card for question in result["questions"])
    exported = drive(
        export(Runs(home).open(result["run"]), "adapter", tmp_path / "out", Models(home), Control())
    )
    assert {"parts.json", "parts.safetensors", "README.md"} <= {Path(file).name for file in exported.files}
    assert PartsRecord.model_validate_json((folder / "parts.json").read_text("utf-8")).questions


def test_what_is_handed_over_is_a_plain_adapter(
    home: Path, tiny_pairs: Path, tiny_clip: Path, by_folds: Quick
) -> None:
    result = run(home, tiny_pairs, by_folds(evaluation__parts=False))
    plain = PeftModel.from_pretrained(
        CLIPModel.from_pretrained(tiny_clip, attn_implementation="eager"), Path(result["path"]) / "adapter"
    )
    pictures = torch.randint(
        0, 256, (4, 32, 32, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(3)
    )
    clip = Models(home).open(str(tiny_clip), settings.HardwareSettings(device="cpu", threads=1))
    with torch.no_grad():
        base = clip.image(clip.pixels(pictures))
        theirs = plain.get_image_features(pixel_values=clip.pixels(pictures)).pooler_output
    assert torch.equal(base, theirs) == (result["strength"] == 0.0)


@pytest.mark.fault(16)
@pytest.mark.parametrize("when", ["folds", "train"])
def test_a_stopped_run_goes_on_to_the_same_bits(
    home: Path,
    tmp_path: Path,
    tiny_pairs: Path,
    by_folds: Quick,
    when: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Whether an update of a few steps is kept is luck; this is about what follows when it is.
    from clip_atelier.engine.training import by_folds as module
    from clip_atelier.engine.training import cross_validation

    measured = cross_validation.measured_by_folds

    def kept(*args: Any) -> Any:
        crossed = yield from measured(*args)
        crossed.strength = 0.5
        return crossed

    monkeypatch.setattr(module.cross_validation, "measured_by_folds", kept)
    straight = run(tmp_path / "straight", tiny_pairs, by_folds(train__checks=4))
    control = Control()
    folds = 0

    def stop(event: Event) -> None:
        nonlocal folds
        if when == "folds" and isinstance(event, Progress) and event.total == 300 and event.done >= 100:
            control.stop()
        if when == "train" and isinstance(event, Saved) and event.step == 2:
            control.stop()
        folds += isinstance(event, Phase) and event.name == "folds"

    if when == "folds":
        with pytest.raises(Stopped):
            run(home, tiny_pairs, by_folds(train__checks=4), stop, control)
    else:
        run(home, tiny_pairs, by_folds(train__checks=4), stop, control)
    (stopped,) = (home / "runs").iterdir()
    on_disk = sorted(p.name for p in (stopped / "folds").glob("*/fold-*.npz"))
    assert len(on_disk) == (1 if when == "folds" else 3)
    result = drive(resume(home, stopped.name, Models(home), Control()))
    assert result.status == "done"
    ours, theirs = adapter(home, stopped.name), adapter(tmp_path / "straight", straight["run"])
    assert set(ours) == set(theirs)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert result.as_json()["questions"] == straight["questions"]


def test_too_few_drawings_are_told_what_they_need(
    home: Path, tmp_path: Path, tiny_collection: Path, by_folds: Quick
) -> None:
    few = tmp_path / "few"
    few.mkdir()
    for path in sorted(tiny_collection.glob("*.png"))[:5]:
        (few / path.name).write_bytes(path.read_bytes())
    with pytest.raises(UserError, match="too few to measure") as caught:
        drive(crossval(few, settings.build(by_folds()), home, Models(home), Control()))
    assert "8" in caught.value.hint


def test_the_time_budget_shortens_training_and_says_so(home: Path, tiny_pairs: Path, by_folds: Quick) -> None:
    chosen = settings.build(by_folds(train__steps=100_000, evaluation__minutes=0.001))
    result = drive(crossval(tiny_pairs, chosen, home, Models(home), Control()))
    assert result.steps == 40
    assert any("40 instead of 100000" in told for told in result.skipped)
    assert result.skipped[0] in result.summary


def test_preservation_holds_the_model_to_what_it_said_before(
    home: Path, tiny_pairs: Path, by_folds: Quick
) -> None:
    from clip_atelier.engine.data import ImageCache, open_collection
    from clip_atelier.engine.models import adapters
    from clip_atelier.engine.training import fitting

    def drifted(weight: float) -> float:
        chosen = settings.build(
            by_folds(train__steps=30, train__preservation=weight, train__learning_rate=1e-2)
        )
        collection, parts = drive(open_collection(tiny_pairs, chosen.data, home, Control()))
        clip = Models(home).open(chosen.model.name, chosen.hardware)
        pictures = ImageCache(collection.root, collection.items, clip.frame, chosen.data)
        everything = list(range(len(collection.items)))
        drive(pictures.prepare(everything, Control()))
        ready = drive(
            fitting.prepared(
                clip, chosen, collection.items, parts.groups, pictures, everything, 30, Control()
            )
        )
        drive(fitting.fit(ready, 30, 0, Control(), lambda step, _loss: Progress(done=step, total=30)))
        keeper = ready.step.preservation
        assert keeper is not None
        with torch.no_grad():
            found = float(np.mean([float(keeper.drift(*keeper.looked_at(1000 + n))) for n in range(8)]))
        adapters.detach(clip)
        return found

    assert drifted(50.0) < 0.5 * drifted(1e-6)
