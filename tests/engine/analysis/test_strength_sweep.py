"""Gained against forgotten: each number against a naive one, and what may be said about it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clip_atelier.engine import settings
from clip_atelier.engine.analysis import strength_sweep
from clip_atelier.engine.core import Control, Event, Stopped, UserError, drive, events
from clip_atelier.engine.data import ImageCache, scan, split
from clip_atelier.engine.evaluation import GainedForgotten, findings, strengths
from clip_atelier.engine.models import Models, adapters, features
from clip_atelier.engine.parts.run_evaluation import evaluate
from clip_atelier.engine.runs import Difference, Runs, TrainResult, open_run
from clip_atelier.engine.training import Plan, train

Run = Callable[..., str]


def curve(
    home: Path, run: str, probe: Path, strengths: tuple[float, ...] = (0.5, 1.0), **more: Any
) -> tuple[dict[str, Any], list[Event]]:
    seen: list[Event] = []
    work = strength_sweep.curve(
        home, run, more.pop("models", None) or Models(home), Control(), strengths, probe
    )
    return drive(work, seen.append).as_json(), seen


def test_every_point_is_what_a_naive_ranking_gives(
    home: Path, tiny_pairs: Path, tiny_collection: Path, adapted_run: Run
) -> None:
    run = adapted_run(tiny_pairs)
    result, _seen = curve(home, run, tiny_collection, (0.5, 1.5))
    assert [p["strength"] for p in result["points"]] == [0.0, 0.5, 1.0, 1.5]
    assert result["primary_metric"] == "sketch_to_artwork/R@1"
    folder = Runs(home).open(run)
    chosen = folder.settings
    opened = open_run(folder, Models(home))
    probe = drive(scan(tiny_collection, settings.DataSettings(), Control()))
    own = drive(scan(tiny_pairs, chosen.data, Control()))
    held = split(own, chosen.data, chosen.data.split_seed).test
    assert result["collection"] == len(held)
    assert result["control_set"] == len(probe.items) == 24
    assert result["points"][0]["general"]["R@1"] < 0.1, "the base is random"
    assert result["elsewhere"] == "text_to_image/R@10"
    assert result["chance"] == pytest.approx(10 / 24)
    try:
        for point in result["points"]:
            opened.adapter.set_adapter_scale(point["strength"])
            pictures = ImageCache(probe.root, probe.items, 32, chosen.data)
            images = drive(features.fresh_images(opened.clip, pictures, range(24), Control()))
            texts = features.texts(opened.clip, [item.captions[0] for item in probe.items])
            ranks = [sorted(range(24), key=lambda m: -float(texts[n] @ images[m])) for n in range(24)]
            for cutoff in (1, 10):
                right = sum(n in ranks[n][:cutoff] for n in range(24))
                assert point["general"][f"R@{cutoff}"] == pytest.approx(right / 24)
            assert point["forgotten"] == point["general"]["R@10"]
            pictures = ImageCache(own.root, own.items, 32, chosen.data)
            rows = drive(features.fresh_images(opened.clip, pictures, held, Control()))
            items = [own.items[i] for i in held]
            works = [n for n, item in enumerate(items) if item.role == "artwork"]
            firsts = []
            for n, item in enumerate(items):
                if item.role == "sketch":
                    best = max(works, key=lambda w: float(rows[n] @ rows[w]))
                    firsts.append(items[best].pair == item.pair)
            assert point["gained"] == pytest.approx(np.mean(firsts))
    finally:
        adapters.detach(opened.clip)
    assert len({p["validation"] for p in result["points"]}) > 2, "the update must matter for this test"


def test_it_agrees_with_evaluate_on_a_trained_run(
    home: Path, tiny_pairs: Path, tiny_collection: Path, quick: Callable[..., dict[str, Any]]
) -> None:
    values = quick(train__epochs=4, train__learning_rate=5e-3)
    trained = drive(train(Plan(tiny_pairs, settings.build(values), home), Models(home), Control())).as_json()
    result, seen = curve(home, trained["run"], tiny_collection)
    assert result["best"] == trained["strength"]
    assert result["measured_on"] == trained["measured_on"] == "test"
    assert not result["changed"]
    by_strength = {p["strength"]: p for p in result["points"]}
    assert {0.0, 0.5, 1.0, result["best"]} == set(by_strength)
    for strength in (0.5, 1.0):
        point = by_strength[strength]
        again = drive(
            evaluate(home, trained["run"], tiny_pairs, Models(home), Control(), strength=strength)
        ).as_json()
        assert point["gained"] == again["adapted"][result["primary_metric"]]
        assert point["gained_difference"] == again["difference"][result["primary_metric"]]
        assert by_strength[0.0]["gained"] == again["base"][result["primary_metric"]]
    assert by_strength[0.0]["gained_difference"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    told = [e.strength for e in seen if isinstance(e, events.Strength)]
    assert told == sorted(by_strength)
    json.dumps(result, allow_nan=False)


PROJECTION = {"lora.target_modules": ["visual_projection"], "lora.lora_alpha": 4.0}
BOTH = {"lora.target_modules": ["visual_projection", "text_projection"], "lora.lora_alpha": 4.0}


@pytest.mark.parametrize("targets", [PROJECTION, BOTH], ids=["vision", "both"])
def test_a_meter_says_at_once_what_measuring_says(
    home: Path, tiny_pairs: Path, tiny_collection: Path, adapted_run: Run, targets: dict[str, Any]
) -> None:
    run = adapted_run(tiny_pairs, data__validation=0.2, data__test=0.5, **targets)
    assert strengths.behind_features(Runs(home).open(run).summary().settings)
    models = Models(home)
    strength_sweep_of = drive(strength_sweep.strength_sweep_of(home, run, models, Control()))
    assert strength_sweep_of is not None
    for strength in (0.0, 0.3, 1.0, 1.5):
        measured = drive(strength_sweep.measure(home, run, strength, models, Control())).as_json()
        assert strength_sweep_of.at(strength).as_json() == measured
    zero = strength_sweep_of.at(0.0).metrics
    assert zero["R@1"].value == zero["R@1"].base
    assert zero["mAP"].difference == Difference(value=0.0, low=0.0, high=0.0)
    assert zero["R@1"].verdict == "no measurable difference"
    assert len({strength_sweep_of.at(s).metrics["mAP"].value for s in (0.0, 0.3, 1.0, 1.5)}) > 2, (
        "the update must matter here"
    )
    curve_there, _seen = curve(home, run, tiny_collection, (0.3,), models=models)
    assert {p["strength"]: p["held_out"] for p in curve_there["points"]}[0.3] == strength_sweep_of.at(
        0.3
    ).as_json()


def test_an_update_inside_the_towers_has_no_meter_but_is_measured(
    home: Path, tiny_pairs: Path, tiny_collection: Path, adapted_run: Run
) -> None:
    run = adapted_run(tiny_pairs)
    assert not strengths.behind_features(Runs(home).open(run).summary().settings)
    models = Models(home)
    assert drive(strength_sweep.strength_sweep_of(home, run, models, Control())) is None
    measured = drive(strength_sweep.measure(home, run, 0.7, models, Control())).as_json()
    there, _seen = curve(home, run, tiny_collection, (0.7,), models=models)
    point = {p["strength"]: p for p in there["points"]}[0.7]
    assert measured == point["held_out"]
    assert measured["metrics"]["R@1"]["value"] == point["gained"]
    assert measured["metrics"]["R@1"]["difference"] == point["gained_difference"]
    chosen = Runs(home).open(run).settings
    assert models.open(chosen.model.name, chosen.hardware).adapter is None


def test_a_runs_own_comparison_gives_its_two_strengths(
    home: Path, tiny_pairs: Path, quick: Callable[..., dict[str, Any]]
) -> None:
    chosen = settings.build(quick(train__epochs=3, train__learning_rate=5e-3))
    trained = drive(train(Plan(tiny_pairs, chosen, home), Models(home), Control())).as_json()
    known = strengths.from_result(TrainResult.model_validate(trained))
    assert [one.strength for one in known] == sorted({0.0, trained["strength"]})
    for one in known:
        measured = drive(
            strength_sweep.measure(home, trained["run"], one.strength, Models(home), Control())
        ).as_json()
        assert one.as_json() == measured
    assert strengths.from_result(None) == []


def test_the_nearest_strength() -> None:
    assert strengths.nearest([], 0.5) is None
    assert strengths.nearest([1.0, 0.0, 0.5], 0.7) == 0.5
    assert strengths.nearest([1.0, 0.5], 0.75) == 0.5


def test_progress_counts_the_whole_and_the_model_is_given_back_bare(
    home: Path, tiny_pairs: Path, tiny_collection: Path, adapted_run: Run
) -> None:
    run = adapted_run(tiny_pairs)
    models = Models(home)
    _result, seen = curve(home, run, tiny_collection, models=models)
    begun = next(n for n, e in enumerate(seen) if isinstance(e, events.Phase) and e.name == "evaluate")
    progress = [e for e in seen[begun:] if isinstance(e, events.Progress)]
    assert [e.done for e in progress] == sorted(e.done for e in progress)
    assert progress[-1].done == progress[-1].total
    assert len({e.total for e in progress}) == 1
    chosen = Runs(home).open(run).settings
    assert models.open(chosen.model.name, chosen.hardware).adapter is None


def test_it_stops_at_once_and_leaves_nothing_attached(
    home: Path, tiny_pairs: Path, tiny_collection: Path, adapted_run: Run
) -> None:
    run = adapted_run(tiny_pairs)
    models, control = Models(home), Control()
    seen: list[Event] = []

    def stop(event: Event) -> None:
        seen.append(event)
        if isinstance(event, events.Strength):
            control.stop()

    with pytest.raises(Stopped):
        drive(strength_sweep.curve(home, run, models, control, (0.5, 1.0), tiny_collection), stop)
    assert sum(isinstance(e, events.Strength) for e in seen) == 1
    chosen = Runs(home).open(run).settings
    assert models.open(chosen.model.name, chosen.hardware).adapter is None


def test_a_collection_that_changed_since_is_said_to_have(
    home: Path, tiny_collection: Path, tiny_pairs: Path, quick: Callable[..., dict[str, Any]]
) -> None:
    trained = drive(
        train(Plan(tiny_pairs, settings.build(quick(train__epochs=1)), home), Models(home), Control())
    ).as_json()
    (tiny_pairs / "sketches" / "blue circle.png").unlink()
    result, seen = curve(home, trained["run"], tiny_collection)
    assert result["changed"]
    assert any("changed since this training" in e.text for e in seen if isinstance(e, events.Notice))
    assert (
        "changed since this training"
        in findings.gained_and_forgotten(GainedForgotten.model_validate(result))[-1]
    )


def test_what_is_missing_is_named(home: Path, tiny_pairs: Path, adapted_run: Run, tmp_path: Path) -> None:
    run = adapted_run(tiny_pairs)
    with pytest.raises(UserError, match="nowhere"):
        curve(home, run, tmp_path / "nowhere")
    with pytest.raises(UserError, match="no-such-run"):
        curve(home, "no-such-run", tiny_pairs)


def _point(strength: float, gained: float, forgotten: float, *, here: str, there: str) -> dict[str, Any]:
    kinds = {"gain": (0.1, 0.05, 0.2), "loss": (-0.1, -0.2, -0.05), "none": (0.0, -0.1, 0.1)}
    intervals = [dict(zip(("value", "low", "high"), kinds[k], strict=True)) for k in (here, there)]
    return {
        "strength": strength, "gained": gained, "forgotten": forgotten, "validation": gained,
        "gained_difference": intervals[0], "forgotten_difference": intervals[1],
        "held_out": {"strength": strength},
    }  # fmt: skip


def _result(best: float, *points: dict[str, Any], **more: Any) -> GainedForgotten:
    base = _point(0.0, 0.40, 0.30, here="none", there="none")
    return GainedForgotten.model_validate(
        {
            "run": "a", "best": best, "points": [base, *points], "primary_metric": "text_to_image/R@1",
            "measured_on": "test", "changed": False, "elsewhere": "text_to_image/R@1", "chance": 0.01, **more,
        }
    )  # fmt: skip


def test_the_reading_names_a_gain_and_what_it_costs() -> None:
    half = _point(0.5, 0.55, 0.29, here="gain", there="none")
    one = _point(1.0, 0.62, 0.11, here="gain", there="loss")
    said = findings.gained_and_forgotten(_result(1.0, half, one))
    assert "At strength 1 the right answer comes first for 62.0% of the questions to your drawings" in said[0]
    assert "40.0% without the adaptation: a gain" in said[0]
    assert "11.0% instead of 30.0%: something was forgotten" in said[1]
    assert "Strength 0.5 forgets nothing measurable and still finds 55.0%" in said[2]
    assert len(said) == 3


def test_the_reading_admits_that_nothing_was_gained() -> None:
    one = _point(1.0, 0.41, 0.30, here="none", there="none")
    said = findings.gained_and_forgotten(_result(0.0, one))
    assert "the training recommends 0: the untouched base" in said[0]
    assert "no measurable difference" in said[1]
    assert "nothing measurable was forgotten" in said[2]
    assert len(said) == 3


def test_the_reading_admits_that_there_was_nothing_to_forget() -> None:
    one = _point(1.0, 0.62, 0.29, here="gain", there="none")
    said = findings.gained_and_forgotten(_result(1.0, one, elsewhere="text_to_image/R@10", chance=0.2))
    assert "among the first 10 for 29.0% instead of 30.0%: nothing measurable was forgotten" in said[1]
    assert "The base itself finds hardly any" in said[2]


def test_general_images_are_judged_by_r1_where_the_base_knows_them() -> None:
    values = {"text_to_image/R@1": np.array([1.0, 0.0, 0.0]), "text_to_image/R@10": np.array([1.0, 1.0, 1.0])}
    assert strength_sweep._measure(values) == "text_to_image/R@1"
    values["text_to_image/R@1"] = np.zeros(3)
    assert strength_sweep._measure(values) == "text_to_image/R@10"
    assert strength_sweep._measure({"text_to_image/R@1": np.zeros(3)}) == "text_to_image/R@1"
