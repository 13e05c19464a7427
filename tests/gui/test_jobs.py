from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from PySide6.QtCore import QThread
from pytestqt.qtbot import QtBot

from clip_atelier.engine.core import Control, Event, Progress, UserError, Work
from clip_atelier.gui.workers import Job, Lanes, Tools


def counting(to: int) -> Any:
    def work(_tools: Tools, control: Control) -> Work[int]:
        for n in range(to):
            control.boundary()
            yield Progress(done=n, total=to)
        return to

    return work


def endless(_tools: Tools, control: Control) -> Work[None]:
    while True:
        control.boundary()
        yield Progress(done=0, total=0)


class Heard:
    """Everything a job told, and on which thread."""

    def __init__(self, job: Job) -> None:
        self.log: list[tuple[str, Any]] = []
        self.events: list[Event] = []
        self.batches = 0
        self.threads: set[QThread] = set()
        job.started.connect(lambda: self.note("started", None))
        job.events.connect(self.take)
        job.done.connect(lambda result: self.note("done", result))
        job.failed.connect(lambda error: self.note("failed", error))
        job.stopped.connect(lambda: self.note("stopped", None))
        job.ended.connect(lambda: self.note("ended", None))

    def note(self, what: str, value: Any) -> None:
        self.threads.add(QThread.currentThread())
        self.log.append((what, value))

    def take(self, events: list[Event]) -> None:
        self.batches += 1
        self.events += events

    @property
    def over(self) -> bool:
        return any(what == "ended" for what, _value in self.log)


def test_a_job_tells_its_events_in_order_and_few_batches_on_the_windows_thread(
    lanes: Lanes, qtbot: QtBot
) -> None:
    job = Job("count", counting(12_000))
    heard = Heard(job)
    lanes.compute.submit(job)
    qtbot.waitUntil(lambda: heard.over, timeout=10_000)
    assert [what for what, _v in heard.log] == ["started", "done", "ended"]
    assert heard.log[1][1] == 12_000
    assert [e.done for e in heard.events if isinstance(e, Progress)] == list(range(12_000))
    assert heard.batches < 100
    assert heard.threads == {QThread.currentThread()}
    assert not lanes.busy


def test_no_exception_is_lost(lanes: Lanes, qtbot: QtBot) -> None:
    def failing(_tools: Tools, _control: Control) -> Work[None]:
        yield Progress(done=1, total=2)
        raise UserError("The disk is full.", "Make room.", "lora.r")

    def exiting(_tools: Tools, _control: Control) -> Work[None]:
        raise SystemExit(3)
        yield

    first, second = Job("a", failing), Job("b", exiting)
    heard = [Heard(first), Heard(second)]
    lanes.compute.submit(first)
    lanes.compute.submit(second)
    qtbot.waitUntil(lambda: all(h.over for h in heard), timeout=10_000)
    assert str(heard[0].log[1][1]) == "The disk is full. Make room."
    assert isinstance(heard[1].log[1][1], SystemExit)
    after = Job("c", counting(1))
    still = Heard(after)
    lanes.compute.submit(after)
    qtbot.waitUntil(lambda: still.over, timeout=10_000)


def test_jobs_run_one_after_another_and_a_newer_one_takes_the_place_of_an_older(
    lanes: Lanes, qtbot: QtBot
) -> None:
    jobs = [Job("search", endless), Job("search", endless), Job("search", counting(3))]
    heard = [Heard(job) for job in jobs]
    for job in jobs:
        lanes.compute.replace(job)
    qtbot.waitUntil(lambda: all(h.over for h in heard), timeout=10_000)
    assert [h.log[-2][0] for h in heard] == ["stopped", "stopped", "done"]


def test_a_pause_holds_and_a_stop_ends_it(lanes: Lanes, qtbot: QtBot) -> None:
    job = Job("endless", endless)
    heard = Heard(job)
    lanes.compute.submit(job)
    qtbot.waitUntil(lambda: bool(heard.events), timeout=10_000)
    job.control.pause()
    job.stop()
    qtbot.waitUntil(lambda: heard.over, timeout=10_000)
    assert heard.log[-2][0] == "stopped"


def test_closing_ends_the_threads_and_waiting_jobs_do_not_begin(home: Path, qtbot: QtBot) -> None:
    lanes = Lanes(home)
    busy, waiting = Job("endless", endless), Job("endless", endless)
    heard = [Heard(busy), Heard(waiting)]
    lanes.compute.submit(busy)
    lanes.compute.submit(waiting)
    qtbot.waitUntil(lambda: bool(heard[0].events), timeout=10_000)
    assert lanes.close(5)
    assert [h.log[-2][0] for h in heard] == ["stopped", "stopped"]
    assert not heard[1].events
    assert lanes.close(1)


def test_a_thread_that_does_not_end_is_told_and_not_destroyed(home: Path, qtbot: QtBot) -> None:
    release = threading.Event()

    def deaf(_tools: Tools, _control: Control) -> Work[None]:
        yield Progress(done=0, total=1)
        release.wait(30)

    lanes = Lanes(home)
    job = Job("deaf", deaf)
    heard = Heard(job)
    lanes.compute.submit(job)
    qtbot.waitUntil(lambda: bool(heard.events), timeout=10_000)
    assert not lanes.close(0.05)
    release.set()
    assert lanes.close(10)


def test_pictures_are_read_beside_and_unreadable_ones_come_as_none(lanes: Lanes, qtbot: QtBot) -> None:
    got: dict[str, object] = {}
    lanes.pictures.ready.connect(got.__setitem__)

    def broken() -> object:
        raise OSError("no such file")

    lanes.pictures.ask("good", lambda: "image")
    lanes.pictures.ask("bad", broken)
    qtbot.waitUntil(lambda: len(got) == 2, timeout=10_000)
    assert got == {"good": "image", "bad": None}
    assert not lanes.pictures.busy
