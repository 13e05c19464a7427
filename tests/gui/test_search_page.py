"""The Search page: what does not fit stands apart, drawings learned from have a quiet mark."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from clip_atelier.engine.core import Control, drive
from clip_atelier.gui.main_window import MainWindow
from clip_atelier.gui.pages.search.jobs import Found, Hit, export
from clip_atelier.gui.parts.pictures import DIVIDER, TILE


def found(root: Path, fits: tuple[bool | None, ...]) -> Found:
    names = [f"{colour}-{shape}.png" for colour in ("red", "blue") for shape in ("ring", "circle", "cross")]
    base = tuple(Hit(name, 0.3 - n / 100) for n, name in enumerate(names))
    adapted = tuple(
        Hit(name, 0.9 - n / 100, (), n + 1, fit, n % 2 == 0)
        for n, (name, fit) in enumerate(zip(names, fits, strict=True))
    )
    return Found(root, 6, base, adapted, 1.0)


def search_page(window: MainWindow, qtbot: QtBot, answer: Found) -> Any:
    window.show_page("search")
    page = window.page("search")
    page._on_found(answer)
    qtbot.waitUntil(page.adapted.view.isVisible)
    return page


def test_what_does_not_fit_stands_below_a_line(
    window: MainWindow, qtbot: QtBot, tiny_collection: Path
) -> None:
    page = search_page(window, qtbot, found(tiny_collection, (True, False, True, True, True, False)))
    view = page.adapted.view
    model = view.tiles
    assert model.rowCount() == 7
    assert page.base.view.tiles.rowCount() == 6
    line = model.index(4)
    assert line.data(DIVIDER).title == "Closest, but probably not it"
    assert line.data(TILE) is None
    assert model.flags(line) == Qt.ItemFlag.NoItemFlags
    assert [model.index(n).data(TILE).badge for n in (0, 1, 2, 3, 5, 6)] == ["1", "3", "4", "5", "2", "6"]
    assert [model.tile(n).badge for n in (0, 3, 5, 6)] == ["1", "5", "2", "6"]
    # The line takes a row of its own, and the pictures after it begin below it.
    qtbot.waitUntil(lambda: view.visualRect(line).width() > 0.8 * view.viewport().width())
    above, place, below = (view.visualRect(model.index(n)) for n in (3, 4, 5))
    assert above.bottom() <= place.top()
    assert place.bottom() <= below.top()
    assert below.left() == view.visualRect(model.index(0)).left()
    window.resize(1000, 700)
    qtbot.waitUntil(lambda: view.visualRect(line).right() <= view.viewport().width())
    page.retranslate()
    assert model.rowCount() == 7


def test_without_a_threshold_there_is_no_line(
    window: MainWindow, qtbot: QtBot, tiny_collection: Path
) -> None:
    page = search_page(window, qtbot, found(tiny_collection, (None,) * 6))
    assert page.adapted.view.tiles.rowCount() == 6
    page._on_found(found(tiny_collection, (False,) * 6))
    assert page.adapted.view.tiles.index(0).data(DIVIDER) is not None
    page._on_found(found(tiny_collection, (True,) * 6))
    assert page.adapted.view.tiles.rowCount() == 6


def test_drawings_learned_from_are_marked_and_the_mark_is_explained(
    window: MainWindow, qtbot: QtBot, tiny_collection: Path
) -> None:
    page = search_page(window, qtbot, found(tiny_collection, (True,) * 6))
    view = page.adapted.view
    index = view.tiles.index(0)
    assert index.data(TILE).mark == "The training learned from this drawing."
    assert index.data(Qt.ItemDataRole.AccessibleDescriptionRole) == "The training learned from this drawing."
    assert view.tiles.index(1).data(TILE).mark == ""
    assert page.base.view.tiles.index(0).data(TILE).mark == ""
    view._peek.show_tile(index.data(TILE), view.mapToGlobal(view.rect().center()))
    assert view._peek._mark.text() == "The training learned from this drawing."
    view._peek.show_tile(view.tiles.index(1).data(TILE), view.mapToGlobal(view.rect().center()))
    assert view._peek._mark.isHidden()
    view._peek.hide()


def test_the_table_says_what_fits_and_what_was_learned_from(tmp_path: Path) -> None:
    out = tmp_path / "ranking.csv"
    drive(export(found(tmp_path, (True, False, None, None, None, None)), out, None, Control()))  # type: ignore[arg-type]
    rows = out.read_text("utf-8-sig").splitlines()
    assert rows[0].split(",")[-2:] == ["fits", "learned from"]
    assert [row.split(",")[-2:] for row in rows[1:4]] == [["yes", "yes"], ["no", "no"], ["", "yes"]]


def test_what_was_not_searched_for_as_asked_is_said(
    window: MainWindow, qtbot: QtBot, tiny_collection: Path
) -> None:
    answer = replace(
        found(tiny_collection, (True,) * 6), remarks=("“🦊” is searched for by its name: fox face.",)
    )
    page = search_page(window, qtbot, answer)
    assert page.message.isVisible()
    assert page.message.text() == answer.remarks[0]
    page._on_found(replace(answer, remarks=()))
    assert not page.message.isVisible()


def test_a_result_of_a_handful_of_drawings_shows_no_numbers(qtbot: QtBot) -> None:
    from clip_atelier.engine.runs import Difference, TrainResult
    from clip_atelier.gui.parts.result import Result

    shown = Result()
    qtbot.addWidget(shown)
    numbers = {"text_to_image/R@1": 1.0}
    result = TrainResult(
        base=numbers, adapted=numbers, difference={"text_to_image/R@1": Difference(value=0.0)},
        primary_metric="text_to_image/R@1", verdict="too few to measure",
    )  # fmt: skip
    shown.show_result(result)
    assert shown.verdict.text() == "Too few drawings to measure: add drawings, or look at the results by eye."
    assert shown.questions.isHidden()
    assert shown.measure.isHidden()
    shown.show_result(result.model_copy(update={"verdict": "gain"}))
    assert not shown.questions.isHidden()
    assert not shown.measure.isHidden()
