"""The page of what was gained, forgotten, learned and lost, on a real run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hands import LONG
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from clip_atelier.engine import settings
from clip_atelier.engine.core import Control, drive, i18n, paths
from clip_atelier.engine.evaluation import SweepPoint, WordChange, findings
from clip_atelier.engine.models import Models
from clip_atelier.engine.training import Plan, train
from clip_atelier.gui.main_window import MainWindow
from clip_atelier.gui.pages.learned.page import LearnedPage
from clip_atelier.gui.pages.learned.tradeoff import Tradeoff, _ticks
from clip_atelier.gui.pages.learned.words import WordTable
from clip_atelier.gui.widgets.sentences import Reading
from clip_atelier.gui.widgets.text import Label

LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def trained(home: Path, tiny_pairs: Path, quick: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    chosen = settings.build(quick(train__epochs=3, train__learning_rate=5e-3))
    return drive(train(Plan(tiny_pairs, chosen, home), Models(home), Control())).as_json()


@pytest.fixture
def probe(tiny_collection: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(paths, "control_collection", lambda: tiny_collection)
    return tiny_collection


def sentences(reading: Reading) -> list[str]:
    lines = [reading._lines.itemAt(n).widget() for n in range(reading._lines.count())]
    return [line.text() for line in lines if isinstance(line, Label)]


def learned(window: MainWindow, qtbot: QtBot) -> LearnedPage:
    window.show_page("learned")
    page = window.page("learned")
    assert isinstance(page, LearnedPage)
    qtbot.waitUntil(lambda: bool(window.app_model.runs), timeout=10_000)
    return page


def test_both_are_measured_shown_and_there_at_the_next_start(
    open_window: Callable[..., MainWindow],
    trained: dict[str, Any],
    probe: Path,
    tiny_pairs: Path,
    qtbot: QtBot,
) -> None:
    window = open_window(language="en", folder=str(tiny_pairs), run=trained["run"])
    page = learned(window, qtbot)
    qtbot.waitUntil(page.strengths.measurement.start.isEnabled, timeout=10_000)
    assert page.strengths.stack.currentIndex() == 0
    assert page.strengths.beginning.about.text() == "Not measured yet for this training."
    qtbot.mouseClick(page.strengths.measurement.start, LEFT)
    page.words.measure()
    assert page.words.measurement.words.full_text() == "Waiting for other work to end…"
    qtbot.waitUntil(lambda: page.words.result is not None, timeout=LONG)
    strengths, words = page.strengths.result, page.words.result
    assert strengths is not None
    assert words is not None
    assert {0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5} <= {p.strength for p in strengths.points}
    assert strengths.control_set == 24
    assert any("the right answer comes first for" in s for s in sentences(page.strengths.reading))
    cells = [label.text() for label in page.strengths.numbers.findChildren(Label)]
    assert f"{strengths.points[0].gained:.3f}" in cells
    told = page.strengths.picture.accessibleDescription()
    assert told.startswith(f"strength 0: {strengths.points[0].gained:.3f} on your drawings")
    assert sentences(page.words.reading)[0].startswith(f"Of {len(words.words)} words")
    assert page.words.table.model().rowCount() == len(words.words)
    # A word is searched for where it is opened.
    page.words.table.opened.emit("red ring")
    assert window.app_model.state.get("page") == "search"
    assert window.page("search").words.text() == "red ring"  # type: ignore[attr-defined]
    window.show_page("learned")
    # In the other language at once, without being measured again.
    window.set_language("ko")
    assert sentences(page.words.reading) == findings.words(words)
    assert i18n.language() == "ko"
    window.close()
    again = learned(open_window(language="en"), qtbot)
    qtbot.waitUntil(
        lambda: again.words.result is not None and again.strengths.result is not None, timeout=10_000
    )
    assert again.words.result == words
    assert again.strengths.result == strengths


def test_without_a_run_there_is_nothing_to_measure(window: MainWindow, qtbot: QtBot) -> None:
    window.show_page("learned")
    page = window.page("learned")
    assert isinstance(page, LearnedPage)
    qtbot.waitUntil(lambda: not window.app_model.lanes.files.busy, timeout=10_000)
    assert not page.strengths.measurement.start.isEnabled()
    assert page.words.beginning.missing.text() == "It begins with a folder of drawings."


def test_a_missing_probe_is_told_in_the_window(
    open_window: Callable[..., MainWindow], trained: dict[str, Any], tmp_path: Path, qtbot: QtBot,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(paths, "control_collection", lambda: tmp_path / "not-there")
    window = open_window(language="en", run=trained["run"])
    page = learned(window, qtbot)
    qtbot.waitUntil(page.strengths.measurement.start.isEnabled, timeout=10_000)
    page.strengths.measure()
    qtbot.waitUntil(window.trouble.isVisible, timeout=LONG)
    assert "not-there" in window.trouble.message.text()
    assert not page.strengths.measurement.busy


@pytest.fixture
def table(qtbot: QtBot) -> WordTable:
    made = WordTable()
    qtbot.addWidget(made)
    rows = [
        ("ring", 2, 8, 1, 3.0),
        ("<b>box</b>", 1, 2, 4, -1.0),
        ("Cross", 3, 5, 5, 0.0),
        ("말", 1, 9, 7, 0.36),
    ]
    keys = ("word", "images", "before", "after", "moved")
    made.words.show([WordChange.model_validate(dict(zip(keys, row, strict=True))) for row in rows])
    return made


def column(table: WordTable, number: int = 0) -> list[str]:
    model = table.model()
    return [str(model.index(row, number).data()) for row in range(model.rowCount())]


def test_words_are_sorted_by_their_way_and_by_any_column(table: WordTable) -> None:
    assert column(table) == ["ring", "말", "Cross", "<b>box</b>"]
    assert column(table, 4) == ["+3.00", "+0.36", "=", "-1.00"]
    table.sortByColumn(1, Qt.SortOrder.DescendingOrder)
    assert column(table, 1) == ["3", "2", "1", "1"]
    table.sortByColumn(0, Qt.SortOrder.AscendingOrder)
    assert column(table)[1:3] == ["Cross", "ring"]


def test_words_are_filtered_by_text_and_way(table: WordTable) -> None:
    table.proxy.choose("", "learned")
    assert column(table) == ["ring", "말"]
    table.proxy.choose("", "lost")
    assert column(table) == ["<b>box</b>"]
    table.proxy.choose("RO", "all")
    assert column(table) == ["Cross"]


def test_a_word_opened_is_told(table: WordTable, qtbot: QtBot) -> None:
    with qtbot.waitSignal(table.opened) as seen:
        table.activated.emit(table.model().index(1, 3))
    assert seen.args == ["말"]


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (0.02, 0.13), (0.4, 0.5), (0.0, 0.1)])
def test_ticks_are_round_and_inside(low: float, high: float) -> None:
    ticks = _ticks(low, high)
    assert 2 <= len(ticks) <= 7
    assert all(low - 1e-9 <= tick <= high + 1e-9 for tick in ticks)
    assert all(abs(tick * 100 - round(tick * 100)) < 1e-6 for tick in ticks)


def test_higher_is_better_and_the_base_is_always_there(qtbot: QtBot) -> None:
    picture = Tradeoff()
    qtbot.addWidget(picture)
    picture.resize(500, 400)
    none = {"value": 0.0, "low": 0.0, "high": 0.0}
    points = [
        {"strength": s, "gained": g, "forgotten": f, "gained_difference": none, "forgotten_difference": none}
        for s, g, f in ((0.0, 0.3, 0.5), (1.0, 0.6, 0.2), (1.5, 0.6, 0.1))
    ]
    picture.show_points(
        [SweepPoint.model_validate(p | {"held_out": {"strength": p["strength"]}}) for p in points], 1.0
    )
    base, best, most = picture._places()
    assert best.y() < base.y(), "up is better"
    assert best.x() < base.x(), "left is forgotten"
    assert most.x() < best.x()
    assert all(picture.rect().contains(p.toPoint()) for p in (base, best, most))
    assert not picture.grab().isNull()
