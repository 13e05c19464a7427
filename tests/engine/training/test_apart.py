"""Training in a process of its own, where the process is the matter; gui/test_own_process.py trains for real."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from threading import Timer

import pytest

from clip_atelier.engine import settings
from clip_atelier.engine.core import (
    Control,
    Event,
    Notice,
    NotWritten,
    Phase,
    Started,
    Stopped,
    UserError,
    WorkError,
    bounded_json,
    drive,
    from_line,
    launch,
)
from clip_atelier.engine.training import Plan, train_apart
from clip_atelier.engine.training.orders import Ending, Order, line_of
from clip_atelier.engine.training.trainer_process import ALONE


@pytest.fixture
def instead(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Has a few lines of Python run where the trainer would."""

    def put(code: str) -> None:
        monkeypatch.setattr(launch, "this_program", lambda *_arguments: [sys.executable, "-c", code])

    return put


def order(folder: Path, home: Path) -> Plan:
    return Plan(folder, settings.build({"evaluation.folds": 0}), home)


@pytest.mark.fault(37)
@pytest.mark.parametrize(
    ("end", "told"),
    [
        ("os._exit(3)", "exit code 3"),
        pytest.param(
            "os.kill(os.getpid(), signal.SIGSEGV)", "it crashed",
            marks=pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGSEGV"),
        ),
        pytest.param(
            "os.kill(os.getpid(), signal.SIGKILL)", "memory is used up",
            marks=pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL"),
        ),
    ],
)  # fmt: skip
def test_the_death_of_a_trainer_is_told_as_what_it_is(
    instead: Callable[[str], None], tmp_path: Path, home: Path, end: str, told: str
) -> None:
    instead(f"import os, signal, sys; sys.stdout.write('half a line'); sys.stdout.flush(); {end}")
    with pytest.raises(WorkError, match=told) as caught:
        drive(train_apart(order(tmp_path, home), Control()))
    assert "last checkpoint" in caught.value.hint


def test_a_trainer_that_cannot_be_started_names_the_setting(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, home: Path
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "gone"))
    with pytest.raises(WorkError, match="could not be started") as caught:
        drive(train_apart(order(tmp_path, home), Control()))
    assert caught.value.setting == "hardware.own_process"


@pytest.mark.fault(38)
def test_a_trainer_that_does_not_listen_is_ended(
    instead: Callable[[str], None], tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from clip_atelier.engine.training import trainer

    assert trainer.PATIENCE < trainer.LAST < 5
    monkeypatch.setattr(trainer, "PATIENCE", 0.1)
    monkeypatch.setattr(trainer, "LAST", 0.3)
    instead("""
import signal, sys, threading
from clip_atelier.engine.core import Phase, to_line
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(to_line(Phase(name="train")), flush=True)
threading.Event().wait(100)
""")
    control = Control()
    began = time.monotonic()
    with pytest.raises(Stopped):
        drive(train_apart(order(tmp_path, home), control), lambda _event: control.stop())
    assert time.monotonic() - began < 20


def test_everything_that_is_asked_for_reaches_the_trainer(
    instead: Callable[[str], None], tmp_path: Path, home: Path
) -> None:
    instead("""
import sys
from clip_atelier.engine.core import Notice, to_line
from clip_atelier.engine.training.orders import Ending, line_of
sys.stdin.readline()
print(to_line(Notice(text="here")), flush=True)
for line in sys.stdin:
    print(to_line(Notice(text=line.strip())), flush=True)
    if line.strip() == "leave":
        print(line_of(Ending(how="stopped")), flush=True)
""")
    control, heard = Control(), []
    next_to_ask = iter(
        (
            control.pause,
            control.resume,
            control.evaluate_now,
            control.pause,
            control.stop,
            control.leave,
            bool,
        )
    )

    def ask(event: Event) -> None:
        heard.append(event.text if isinstance(event, Notice) else event.kind)
        next(next_to_ask)()

    with pytest.raises(Stopped):
        drive(train_apart(order(tmp_path, home), control), ask)
    assert heard == ["here", "pause", "go", "evaluate", "pause", "stop", "leave"]


def test_a_trainer_stops_when_it_is_asked(tiny_pairs: Path, home: Path) -> None:
    control, seen = Control(), []

    def stop(event: Event) -> None:
        seen.append(event.kind)
        control.stop()

    with pytest.raises(Stopped):
        drive(train_apart(order(tiny_pairs, home), control), stop)
    assert "notice" not in seen  # which would say that it had to be ended
    assert not list((home / "runs").iterdir())


@pytest.mark.fault(6, 61)
def test_a_training_waits_for_a_drive_that_is_gone_and_goes_on_when_it_is_back(
    instead: Callable[[str], None], tmp_path: Path, home: Path
) -> None:
    (home / "runs" / "one").mkdir(parents=True)
    instead("""
import sys
from clip_atelier.engine.core import NotWritten, Started, WorkError, bounded_json, to_line
from clip_atelier.engine.training.orders import Ending, Order, line_of
order = Order.model_validate(bounded_json(sys.stdin.readline()))
if not order.run:
    print(to_line(Started(run="one", steps=9, start_step=0, trainable_parameters=1, device="cpu", precision="fp32",
                          primary_metric="", select_by="")))
    print(line_of(Ending.of(NotWritten("The drive is gone."))), flush=True)
else:
    print(line_of(Ending.of(WorkError("Went on with " + order.run))), flush=True)
""")
    away, seen = tmp_path / "unplugged", []

    def pull_and_put_back(event: Event) -> None:
        seen.append(event)
        if isinstance(event, Started):
            (home / "runs").rename(away)
        if isinstance(event, Phase):
            Timer(0.3, lambda: away.rename(home / "runs")).start()

    with pytest.raises(WorkError, match="Went on with one"):
        drive(train_apart(order(tmp_path, home), Control()), pull_and_put_back)
    assert [event.kind for event in seen] == ["started", "notice", "phase"]
    assert not list((home / "runs" / "one").iterdir())


def test_what_is_wrong_with_a_folder_comes_back_as_it_is_told_in_one_process(
    tmp_path: Path, home: Path
) -> None:
    with pytest.raises(UserError, match="nowhere") as caught:
        drive(train_apart(order(tmp_path / "nowhere", home), Control()))
    assert caught.value.setting == "folder"
    assert not isinstance(caught.value, WorkError)


@pytest.mark.fault(39)
def test_a_trainer_ends_with_its_window(tiny_pairs: Path, home: Path) -> None:
    trainer = subprocess.Popen(
        launch.this_program("--trainer", "--home", str(home)), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )  # fmt: skip
    asked = Order(
        home=str(home), folder=str(tiny_pairs), settings={"evaluation.folds": 0, "train.epochs": 500}
    )
    assert trainer.stdin is not None
    assert trainer.stdout is not None
    with trainer:
        trainer.stdin.write(line_of(asked).encode() + b"\n")
        trainer.stdin.flush()
        assert from_line(trainer.stdout.readline().decode()).kind == "phase"
        began = time.monotonic()
        trainer.stdin.close()
        trainer.stdout.close()
        trainer.wait(60)
    assert time.monotonic() - began < ALONE + 4


@pytest.mark.parametrize(
    "error",
    [
        UserError("“\udcff.png” is wrong.", "Mend it.", "lora.r"),
        WorkError("It failed.", "Resume."),
        NotWritten("“a” cannot be written.", "Make room.", "/a/\udcff"),
        Stopped(),
    ],
)
def test_errors_cross_over_as_they_are(error: Exception) -> None:
    there = Ending.model_validate(bounded_json(line_of(Ending.of(error))))
    with pytest.raises(type(error)) as caught:
        there.outcome()
    assert vars(caught.value) == vars(error)


def test_an_unexpected_error_is_named() -> None:
    with pytest.raises(RuntimeError, match="KeyError: 'x'"):
        Ending.of(KeyError("x")).outcome()
