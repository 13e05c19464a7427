"""A sweep of the learning rate: what it tries, what it chooses by, and how it goes on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import filelock
import pytest

from clip_atelier.cli.main import main
from clip_atelier.engine import settings, training
from clip_atelier.engine.core import (
    Cell,
    Control,
    Event,
    Started,
    Stopped,
    UserError,
    WorkError,
    drive,
    events,
)
from clip_atelier.engine.experiments import Sweep, SweepResult
from clip_atelier.engine.experiments import sweep as sweep_work
from clip_atelier.engine.models import Models
from clip_atelier.engine.runs import Difference, PartMeans, Runs, TrainResult

Values = Callable[..., dict[str, Any]]
RATE = "train.learning_rate"


def go(asked: Sweep, home: Path, control: Control | None = None, on_event: Any = None) -> SweepResult:
    pytest.importorskip("optuna")
    return drive(sweep_work(asked, home, Models(home), control or Control()), on_event)


def module() -> Any:
    """The file itself, which the room's door does not name."""
    from importlib import import_module

    return import_module("clip_atelier.engine.experiments.rate_sweep")


@pytest.fixture
def scored(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[settings.Settings]]:
    """Puts something in the place of a training that only says what came out, and lists what was asked of it."""

    def put(*scores: float | Exception) -> list[settings.Settings]:
        asked: list[settings.Settings] = []

        def train(plan: training.Plan, *_rest: Any) -> events.Work[TrainResult]:
            asked.append(plan.settings)
            score = scores[(len(asked) - 1) % len(scores)]
            yield Started(
                run=f"run-{len(asked)}",
                steps=1,
                start_step=0,
                trainable_parameters=1,
                device="cpu",
                precision="fp32",
                primary_metric="text_to_image/R@1",
                select_by="text_to_image/mAP",
            )
            if isinstance(score, Exception):
                raise score
            reported = 1.0 - score  # what is reported says the opposite
            return TrainResult(
                run=f"run-{len(asked)}", status="done", measured_on="test", primary_metric="text_to_image/R@1",
                validation=PartMeans(adapted={"text_to_image/mAP": score, "text_to_image/R@1": reported}),
                base={"text_to_image/R@1": 0.0}, adapted={"text_to_image/R@1": reported, "text_to_image/mAP": reported},
                difference={"text_to_image/R@1": Difference(value=reported, low=0.0, high=1.0)}, verdict="gain",
            )  # fmt: skip

        monkeypatch.setattr(training, "train", train)
        return asked

    return put


def test_a_sweep_of_real_trainings_is_stopped_goes_on_and_tells_what_it_chose(
    tiny_pairs: Path, home: Path, quick: Values, capsys: pytest.CaptureFixture[str]
) -> None:
    values = quick(train__epochs=1)
    asked, control = Sweep(tiny_pairs, values, trials=2), Control()

    def stop_in_the_second(event: Event) -> None:
        if isinstance(event, events.Step) and len(Runs(home).list()) == 2:
            control.stop()

    stopped = go(asked, home, control, stop_in_the_second)
    assert stopped.status == "stopped"
    assert [trial.status for trial in stopped.trials] == ["done", "running"]
    before = Runs(home).list()

    seen: list[Event] = []
    found = go(asked, home, on_event=seen.append)
    assert found.status == "done"
    assert [event.run for event in seen if isinstance(event, Started)] == [before[1].id]
    assert [(e.number, e.total, e.status) for e in seen if isinstance(e, Cell)] == [
        (2, 2, "running"),
        (2, 2, "done"),
    ]
    assert [run.id for run in Runs(home).list()] == [run.id for run in before]
    assert found.metric == "sketch_to_artwork/mAP"
    assert found.trials[0].values == {RATE: 1e-3}  # as it is set
    assert [trial.values for trial in found.trials] == [trial.values for trial in stopped.trials]
    for trial in found.trials:
        run = Runs(home).open(trial.run)
        assert run.result is not None
        assert run.settings.train.learning_rate == pytest.approx(trial.values[RATE])
        assert trial.score == run.result.validation.adapted[found.metric]
        assert trial.seconds > 0
    best = found.best
    assert best is not None
    assert best.score == max(trial.score or 0.0 for trial in found.trials)
    result = Runs(home).open(found.run).result
    assert result is not None
    assert (found.adapted, found.base, found.verdict) == (result.adapted, result.base, result.verdict)

    flags = [f"--{name}={value}" for name, value in values.items()]
    assert main(["sweep", str(tiny_pairs), "--trials", "2", "--home", str(home), *flags]) == 0
    said = capsys.readouterr().out
    assert all(trial.run in said for trial in found.trials)
    assert "validation" in said
    assert "On drawings that nothing was chosen by" in said
    assert len(Runs(home).list()) == 2  # nothing is trained twice


def test_only_the_validation_drawings_decide_and_of_equals_the_first(
    tiny_collection: Path, home: Path, quick: Values, scored: Callable[..., list[settings.Settings]]
) -> None:
    trained = scored(0.5, 0.9, 0.2, 0.9)
    found = go(Sweep(tiny_collection, quick(), trials=4), home)
    assert found.chosen == 1
    assert found.adapted["text_to_image/mAP"] == pytest.approx(0.1)  # the lowest but one of those reported
    rates = [chosen.train.learning_rate for chosen in trained]
    assert rates[0] == 1e-3
    assert all(1e-3 / 30 <= rate <= 1e-3 * 30 for rate in rates)
    assert len(set(rates)) == 4
    # More trials later, and the same proposals in a home where nothing stopped.
    more = go(Sweep(tiny_collection, quick(), trials=6), home)
    assert [trial.values for trial in more.trials[:4]] == [trial.values for trial in found.trials]
    again = scored(0.5, 0.9, 0.2, 0.9)
    go(Sweep(tiny_collection, quick(), trials=6), home / "other")
    assert [trial.values[RATE] for trial in more.trials] == [chosen.train.learning_rate for chosen in again]


def test_presets_with_folds_and_parts_keep_one_part_aside_and_ranks_are_tried(
    tiny_collection: Path, tiny_clip: Path, home: Path, scored: Callable[..., list[settings.Settings]]
) -> None:
    trained = scored(0.5)
    values = {"model.name": str(tiny_clip), "lora.r": 2}
    found = go(Sweep(tiny_collection, values, "auto", trials=5, ranks=(4, 8)), home)
    assert found.chosen == 0
    assert trained[0].lora.r == 2
    assert {chosen.lora.r for chosen in trained} <= {2, 4, 8}
    assert len({chosen.lora.r for chosen in trained}) > 1
    assert {(c.evaluation.folds, c.evaluation.parts, c.train.steps) for c in trained} == {(0, False, 200)}


def test_a_failing_training_is_noted_and_wrong_input_ends_the_sweep(
    tiny_collection: Path, home: Path, quick: Values, scored: Callable[..., list[settings.Settings]]
) -> None:
    scored(0.5, WorkError("The loss is no longer a number."), RuntimeError("CUDA error"), 0.4)
    found = go(Sweep(tiny_collection, quick(), trials=4), home)
    assert [trial.status for trial in found.trials] == ["done", "failed", "failed", "done"]
    assert "no longer a number" in found.trials[1].error
    assert "CUDA" in found.trials[2].error
    assert found.chosen == 0
    scored(UserError("The folder is gone."))
    with pytest.raises(UserError, match="gone"):
        go(Sweep(tiny_collection, quick(), trials=5), home)
    scored(Stopped())
    assert go(Sweep(tiny_collection, quick(), trials=5), home).status == "stopped"
    scored(0.8)
    assert go(Sweep(tiny_collection, quick(), trials=5), home).chosen == 4


def test_no_training_is_begun_that_would_end_after_the_budget(
    tiny_collection: Path,
    home: Path,
    quick: Values,
    scored: Callable[..., list[settings.Settings]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scored(0.5)
    clock = iter(range(0, 10**6, 60))  # each look at the clock is a minute later

    class Clock:
        monotonic = staticmethod(lambda: float(next(clock)))

    monkeypatch.setattr(module(), "time", Clock)
    asked = Sweep(tiny_collection, quick(), trials=9, minutes=2.5)
    found = go(asked, home)
    assert found.status == "out of time"
    assert [trial.seconds for trial in found.trials] == [60, 60]
    assert len(go(replace(asked, minutes=3.0), home).trials) == 3
    assert len(go(replace(asked, minutes=0.0), home).trials) == 9


def test_what_cannot_be_swept_is_refused_before_anything_is_trained(
    tiny_collection: Path, home: Path, quick: Values, scored: Callable[..., list[settings.Settings]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    trained = scored(0.5)
    for values, wanted in (({"data.test": 0.0}, r"data\.test"), ({"lora.rank": 3}, r"lora\.rank")):
        with pytest.raises(UserError, match=wanted):
            go(Sweep(tiny_collection, quick() | values), home)
    with pytest.raises(UserError, match="r"):
        go(Sweep(tiny_collection, quick(), ranks=(0,)), home)
    found = go(Sweep(tiny_collection, quick(), trials=1), home)
    file = Path(found.path)
    with (
        filelock.FileLock(file.with_suffix(".lock")),
        pytest.raises(UserError, match="Another command"),
    ):
        go(Sweep(tiny_collection, quick(), trials=2), home)
    file.write_text("no journal\n" * 3)
    with pytest.raises(UserError, match=file.name):
        go(Sweep(tiny_collection, quick(), trials=2), home)
    monkeypatch.setattr(module(), "find_spec", lambda _name: None)
    with pytest.raises(WorkError, match="pip install optuna"):
        go(Sweep(tiny_collection, quick(), trials=2), home)
    assert len(trained) == 1
    for wrong in (["--trials", "0"], ["--budget", "-1"], ["--ranks", "4,x"]):
        assert main(["sweep", str(tiny_collection), "--home", str(home), *wrong]) == 2
