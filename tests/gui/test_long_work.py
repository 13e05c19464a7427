"""Long work while nobody looks: each system's own way, with the system injected, and the window's part with a desk of paper."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from PySide6.QtWidgets import QProgressBar, QWidget
from pytestqt.qtbot import QtBot

from clip_atelier.engine.core import Control, Phase, UserError, Work
from clip_atelier.gui.app_model import AppModel
from clip_atelier.gui.desk.common import Child, on_battery
from clip_atelier.gui.desk.linux import LinuxDesk
from clip_atelier.gui.desk.macos import MacDesk
from clip_atelier.gui.desk.windows import WindowsDesk
from clip_atelier.gui.long_work import LongWork
from clip_atelier.gui.workers import Job, Tools


class Started:
    """A program that was started."""

    def __init__(self, words: list[str], **_rest: Any) -> None:
        self.words = words
        self.ended = False
        self.stdin = SimpleNamespace(close=lambda: None)

    def poll(self) -> int | None:
        return 0 if self.ended else None

    def terminate(self) -> None:
        self.ended = True

    def wait(self, _seconds: float) -> int:
        return 0


class Starter:
    """Remembers what was started."""

    def __init__(self) -> None:
        self.all: list[Started] = []

    def __call__(self, words: list[str], **rest: Any) -> Started:
        self.all.append(Started(words, **rest))
        return self.all[-1]


def found(name: str) -> str:
    return f"/bin/{name}"


def test_linux(qtbot: QtBot) -> None:
    window, start, sent = QWidget(), Starter(), []
    qtbot.addWidget(window)
    desk = LinuxDesk(window, start, found, lambda fields: not sent.append(fields))
    desk.notify("Done", "-flowers")
    assert start.all[0].words[-3:] == ["--", "Done", "-flowers"]
    desk.show_progress(0.25)
    desk.show_progress(None)
    assert sent == [
        {"progress": 0.25, "progress-visible": True}, {"progress": 0.0, "progress-visible": False},
    ]  # fmt: skip
    desk.stay_awake("it trains")
    desk.stay_awake("it trains")
    (inhibitor,) = start.all[1:]
    assert inhibitor.words[0] == "/bin/systemd-inhibit"
    assert "--what=idle:sleep" in inhibitor.words
    desk.may_sleep()
    assert inhibitor.ended
    bare = LinuxDesk(window, start, lambda _name: None, lambda _fields: False)
    bare.notify("Done", "")  # without notify-send and without a tray: nothing, and no error
    bare.stay_awake("it trains")
    bare.may_sleep()
    assert len(start.all) == 2


def test_macos(qtbot: QtBot) -> None:
    window, start, badges = QWidget(), Starter(), []
    qtbot.addWidget(window)
    desk = MacDesk(window, start, found, badges.append)
    for share in (0.0, 0.421, None):
        desk.show_progress(share)
    assert badges == [1, 42, 0]
    desk.stay_awake("it trains")
    assert start.all[0].words[:2] == ["/bin/caffeinate", "-i"]
    desk.may_sleep()
    assert start.all[0].ended


def test_windows(qtbot: QtBot) -> None:
    window, states = QWidget(), []
    qtbot.addWidget(window)
    told: list[tuple[str, int, int]] = []
    taskbar = SimpleNamespace(
        set_state=lambda _window, state: told.append(("state", state, 0)),
        set_value=lambda _window, done, total: told.append(("value", done, total)),
    )
    desk = WindowsDesk(window, lambda: taskbar, states.append)
    desk.show_progress(0.5)
    desk.show_progress(None)
    assert told == [("state", 2, 0), ("value", 500, 1000), ("state", 0, 0)]
    desk.stay_awake("it trains")
    desk.may_sleep()
    assert states == [0x80000001, 0x80000000]

    def none() -> Any:
        raise OSError("no shell")

    WindowsDesk(window, none, states.append).show_progress(0.5)


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [(None, False), (SimpleNamespace(power_plugged=True), False), (SimpleNamespace(power_plugged=None), False),
     (SimpleNamespace(power_plugged=False), True)],
)  # fmt: skip
def test_the_battery_is_asked(answer: Any, wanted: bool) -> None:
    def none() -> Any:
        raise OSError("no power supplies")

    assert on_battery(lambda: answer) is wanted
    assert on_battery(none) is False


@pytest.mark.skipif(sys.platform == "win32", reason="there is no cat")
def test_a_child_ends_with_its_input() -> None:
    child = Child()
    child.begin([str(shutil.which("cat"))])
    assert child.running
    process = child._running
    child.end()
    assert not child.running
    assert process.poll() is not None
    child.begin(["/there/is/no/such/program"])
    assert not child.running


@pytest.mark.skipif(
    sys.platform != "linux"
    or shutil.which("dbus-run-session") is None
    or shutil.which("dbus-monitor") is None,
    reason="needs a bus of its own",
)
def test_progress_arrives_on_a_real_bus() -> None:
    script = (
        "import subprocess, sys\n"
        "from PySide6.QtCore import QCoreApplication\n"
        "from clip_atelier.gui.desk.linux import send_update\n"
        "app = QCoreApplication([])\n"
        "spy = subprocess.Popen(['dbus-monitor', \"interface='com.canonical.Unity.LauncherEntry'\"], stdout=subprocess.PIPE, text=True)\n"
        "line = spy.stdout.readline()\n"
        "while 'NameLost' not in line and 'NameAcquired' not in line: line = spy.stdout.readline()\n"
        "seen = ''\n"
        "while 'progress-visible' not in seen:\n"
        "    assert send_update({'progress': 0.25, 'progress-visible': True})\n"
        "    while 'boolean true' not in seen: seen += spy.stdout.readline()\n"
        "print(seen); spy.terminate()\n"
    )
    done = subprocess.run(
        ["dbus-run-session", "--", sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "application://clip-atelier.desktop" in done.stdout
    assert "double 0.25" in done.stdout


class Paper:
    """A desk that only writes down."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []
        self.shares: list[float | None] = []
        self.awake = False
        self.battery = False

    def notify(self, title: str, text: str) -> None:
        self.told.append((title, text))

    def show_progress(self, share: float | None) -> None:
        self.shares.append(share)

    def stay_awake(self, _why: str) -> None:
        self.awake = True

    def may_sleep(self) -> None:
        self.awake = False

    def on_battery(self) -> bool:
        return self.battery


class Labour:
    """A job that waits at a boundary until it is paused, goes on or is stopped."""

    def __init__(self, app_model: AppModel, name: str, *, fails: bool = False) -> None:
        self.steps = 0
        self.fails = fails
        self.enough = False
        self.job = Job(name, self._make)
        app_model.lanes.compute.submit(self.job)

    def _make(self, _tools: Tools, control: Control) -> Work[None]:
        yield Phase(name="train", title="Training")
        while not self.enough:
            control.boundary()
            self.steps += 1
        if self.fails:
            raise UserError("The disk is full", "Free some space.")


@pytest.fixture
def desk() -> Paper:
    return Paper()


@pytest.fixture
def bar(qtbot: QtBot) -> QProgressBar:
    made = QProgressBar()
    qtbot.addWidget(made)
    return made


@pytest.fixture
def watch(app_model: AppModel, bar: QProgressBar, desk: Paper, qtbot: QtBot) -> Callable[..., LongWork]:
    window = QWidget()
    qtbot.addWidget(window)
    window.kept = bar  # type: ignore[attr-defined]

    def begin(**rest: Any) -> LongWork:
        return LongWork(app_model, window, bar, desk, **{"in_front": lambda: False, **rest})

    return begin


def test_a_training_keeps_the_machine_awake_and_tells_its_end(
    watch: Callable[..., LongWork], app_model: AppModel, bar: QProgressBar, desk: Paper, qtbot: QtBot
) -> None:
    app_model.state.set("folder", "/drawings/flowers")
    watch()
    work = Labour(app_model, "train")
    qtbot.waitUntil(lambda: desk.awake)
    bar.setRange(0, 40)
    bar.setValue(10)
    assert desk.shares[-1] == 0.25
    work.enough = True
    qtbot.waitUntil(lambda: work.job.over)
    assert desk.told == [("The training has ended", "flowers")]
    qtbot.waitUntil(lambda: not desk.awake)
    assert desk.shares[-1] is None


def test_only_long_work_that_nobody_looks_at_is_told(
    watch: Callable[..., LongWork], app_model: AppModel, desk: Paper, qtbot: QtBot
) -> None:
    times = [0.0]
    front = [False]
    watch(clock=lambda: times[0], in_front=lambda: front[0])
    for name, took, looked_at, fails, told in (
        ("map", 5.0, False, False, 0), ("map", 60.0, False, False, 1), ("map", 60.0, True, False, 0),
        ("train", 1.0, True, False, 0), ("train", 1.0, False, True, 1), ("export", 60.0, False, False, 0),
    ):  # fmt: skip
        desk.told.clear()
        front[0] = looked_at
        work = Labour(app_model, name, fails=fails)
        qtbot.waitUntil(lambda work=work: work.steps > 0)
        app_model.lanes.compute.drain()
        times[0] += took
        work.enough = True
        qtbot.waitUntil(lambda work=work: work.job.over)
        assert len(desk.told) == told, (name, took)
        if fails:
            assert desk.told == [("It did not work", "The disk is full")]


def test_a_stopped_training_is_not_told(
    watch: Callable[..., LongWork], app_model: AppModel, desk: Paper, qtbot: QtBot
) -> None:
    watch()
    work = Labour(app_model, "train")
    qtbot.waitUntil(lambda: work.steps > 0)
    work.job.stop()
    qtbot.waitUntil(lambda: work.job.over)
    assert desk.told == []


def test_it_pauses_on_battery_where_that_was_chosen(
    watch: Callable[..., LongWork], app_model: AppModel, desk: Paper, qtbot: QtBot
) -> None:
    long_work = watch()
    told: list[str] = []
    app_model.news.connect(lambda message, _hint: told.append(message))
    work = Labour(app_model, "train")
    qtbot.waitUntil(lambda: desk.awake)
    desk.battery = True
    long_work.look_at_battery()
    assert not work.job.control.paused, "it was not chosen"
    app_model.state.set_value("hardware.pause_on_battery", True)
    assert work.job.control.paused
    assert not desk.awake
    assert told == ["The training is paused: the computer runs on battery."]
    work.job.control.resume()
    long_work.look_at_battery()
    assert not work.job.control.paused, "whoever goes on by hand is not stopped again"
    assert desk.awake
    desk.battery = False
    long_work.look_at_battery()
    desk.battery = True
    long_work.look_at_battery()
    assert work.job.control.paused
    desk.battery = False
    long_work.look_at_battery()
    assert not work.job.control.paused
    work.job.control.pause()  # by hand, with power
    long_work.look_at_battery()
    assert work.job.control.paused
    work.enough = True
    work.job.control.resume()
    qtbot.waitUntil(lambda: work.job.over)
