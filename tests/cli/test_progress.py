from __future__ import annotations

import io
from typing import Any

import pytest

from clip_atelier.cli.progress import Reporter
from clip_atelier.engine.core import events


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def reporter(columns: int | None = None) -> tuple[Reporter, io.StringIO, Clock]:
    stream, clock = io.StringIO(), Clock()
    return Reporter(stream, columns, clock), stream, clock


def test_plain_lines_come_now_and_then() -> None:
    report, stream, clock = reporter()
    with report:
        report(events.Phase(name="scan", title="Reading"))
        for done in range(1, 101):
            clock.now += 0.1
            report(events.Progress(done=done, total=100, seconds_left=3))
    lines = stream.getvalue().splitlines()
    assert lines[0] == "Reading"
    assert 1 <= len(lines[1:]) <= 3
    assert "3 s left" in lines[1]
    assert "\r" not in stream.getvalue()


def test_a_bar_is_redrawn_on_one_line_and_wiped_before_real_lines() -> None:
    report, stream, clock = reporter(columns=80)
    with report:
        report(events.Phase(name="scan", title="Reading"))
        for done in range(1, 11):
            clock.now += 0.2
            report(events.Progress(done=done, total=10))
        report(events.ProblemFound(path="a\x1b[2J.png", reason="cut short"))
    text = stream.getvalue()
    assert text.count("\n") == 1
    assert text.split("\r")[-1] == "left out: a\\x1b[2J.png: cut short\n"
    assert max(len(part) for part in text.split("\r")) <= 80


def test_the_bar_is_throttled_but_its_last_state_is_shown() -> None:
    report, stream, _clock = reporter(columns=80)
    for done in range(1, 1001):
        report(events.Progress(done=done, total=1000))
    assert stream.getvalue().count("\r") == 2
    assert "1,000/1,000" in stream.getvalue()


def test_many_problems_are_counted_not_listed() -> None:
    report, stream, _clock = reporter()
    with report:
        for number in range(50):
            report(events.ProblemFound(path=f"{number}.png", reason="empty"))
    lines = stream.getvalue().splitlines()
    assert len(lines) == 21
    assert "30" in lines[-1]


EXAMPLES: dict[type[events.Event], dict[str, Any]] = {
    events.Phase: {"name": "train"},
    events.Progress: {"done": 1, "total": 2},
    events.ProblemFound: {"path": "a", "reason": "b"},
    events.Scanned: dict.fromkeys(("images", "captions", "labels", "pairs", "problems"), 1) | {"caption_source": "mixed"},
    events.Started: {
        "run": "r", "steps": 10, "start_step": 5, "trainable_parameters": 99, "device": "cpu", "precision": "bf16",
        "primary_metric": "text_to_image/R@1", "select_by": "x",
    },
    events.Step: {"step": 1, "epoch": 0.5, "loss": None, "learning_rate": 1e-3, "images_per_second": 3.0},
    events.Check: {"step": 1, "epoch": 0.5, "metrics": {"text_to_image/R@1": 0.5}, "loss": 1.0, "best": True},
    events.Ranking: {"step": 1, "query": "q"},
    events.Saved: {"step": 1, "path": "p"},
    events.Strength: {"strength": 0.75, "score": 0.5, "chosen": True},
    events.Cell: {"number": 1, "total": 8, "title": "lora.r=8", "status": "running"},
    events.PartMeasured: {
        "name": "learned_words", "question": "text_to_image", "value": 0.1, "low": 0.05, "high": 0.15,
    },
    events.FoldStep: {"fold": 1, "folds": 5, "step": 3, "steps": 10, "loss": 0.5},
    events.Preview: {"result": {}},
    events.Notice: {"text": "t"},
    events.Finished: {"status": "done"},
}  # fmt: skip


@pytest.mark.parametrize("kind", events.EVENTS.values(), ids=lambda cls: cls.kind)
@pytest.mark.parametrize("columns", [None, 80])
def test_every_event_can_be_shown(kind: type[events.Event], columns: int | None) -> None:
    report, _stream, _clock = reporter(columns)
    with report:
        report(kind(**EXAMPLES[kind]))


def test_a_check_names_the_headline_metric() -> None:
    report, stream, _clock = reporter()
    report(events.Started(**EXAMPLES[events.Started]))
    report(events.Check(**EXAMPLES[events.Check]))
    assert "text_to_image/R@1 0.500" in stream.getvalue()


def test_a_failed_cell_says_why_and_the_others_how_long_they_take() -> None:
    report, stream, _clock = reporter()
    report(
        events.Cell(
            number=2, total=8, title="lora.r=8", status="failed", message="out of memory", seconds_left=75
        )
    )
    assert stream.getvalue() == "cell 2 of 8: lora.r=8  failed  out of memory  1 min 15 s left\n"


def test_quiet_shows_nothing_on_the_way() -> None:
    stream = io.StringIO()
    with Reporter(stream, 80, quiet=True) as report:
        report(events.Phase(name="scan", title="Reading"))
        report(events.Progress(done=1, total=2))
        report(events.ProblemFound(path="a.png", reason="no image"))
        report(events.Notice(text="this may take long"))
    assert stream.getvalue() == ""
