"""What stands side by side where there is room, and below each other where there is none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from PySide6.QtCore import QPoint
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from clip_atelier.engine import settings
from clip_atelier.engine.runs import Runs
from clip_atelier.gui.main_window import MainWindow
from clip_atelier.gui.widgets.layout import Even, TwoEnds, row_box
from clip_atelier.gui.widgets.text import Button, Label


def shown(widget: QWidget, width: int, qtbot: QtBot) -> None:
    widget.resize(width, max(widget.heightForWidth(width), widget.sizeHint().height()))
    widget.show()
    qtbot.waitExposed(widget)
    QApplication.processEvents()


def test_two_ends_share_a_line_only_where_both_fit(qtbot: QtBot) -> None:
    left, right = Button("What is asked, in a few words"), Button("What can be done")
    more = Button("Something else that comes later")
    more.hide()
    both = TwoEnds(row_box(left, None), row_box(right, more, None))
    qtbot.addWidget(both)
    shown(both, 600, qtbot)
    assert both.one_line
    shown(both, 300, qtbot)
    assert not both.one_line
    assert left.width() >= left.sizeHint().width()
    assert right.mapTo(both, right.rect().topLeft()).y() > left.mapTo(both, left.rect().bottomLeft()).y()
    shown(both, 450, qtbot)
    assert both.one_line
    more.show()
    qtbot.waitUntil(lambda: not both.one_line)


def test_cards_have_one_width_and_are_spread_evenly(qtbot: QtBot) -> None:
    sheet, layout = QWidget(), Even(100, 10)
    sheet.setLayout(layout)
    cards = [Label("words that need several lines " * (n + 1), wrap=True) for n in range(5)]
    for card in cards:
        layout.addWidget(card)
    qtbot.addWidget(sheet)
    for width, lines in ((600, [5]), (450, [3, 2]), (230, [2, 2, 1]), (90, [1] * 5)):
        shown(sheet, width, qtbot)
        tops = [card.y() for card in cards]
        assert [tops.count(top) for top in dict.fromkeys(tops)] == lines
        assert len({card.width() for card in cards}) == 1
        assert all(card.geometry().right() < width for card in cards)
        assert all(card.height() >= card.heightForWidth(card.width()) for card in cards)
    cards[0].hide()
    shown(sheet, 450, qtbot)
    assert len({card.y() for card in cards[1:]}) == 1


def test_in_a_low_window_what_stands_above_the_table_leaves_room_to_its_rows(
    open_window: Callable[..., MainWindow], home: Path, qtbot: QtBot
) -> None:
    for number in range(8):
        Runs(home).create(f"begun {number}", settings.build({}), home)
    window = open_window(language="en", theme="light", page="table")
    page: Any = window.page("table")
    qtbot.waitUntil(lambda: page._known and not page.app_model.lanes.files.busy)
    title = page.top.findChildren(Label)[0]
    qtbot.waitUntil(title.isVisible)
    above = page.split.mapTo(window, QPoint()).y()
    window.resize(960, 540)
    qtbot.waitUntil(lambda: not title.isVisible())
    qtbot.waitUntil(lambda: page.split.mapTo(window, QPoint()).y() < above)
    assert page.top.one_line
    assert page.view.viewport().visibleRegion().boundingRect().height() > 4 * 48, "rows that are seen"
    window.resize(1280, 800)
    qtbot.waitUntil(title.isVisible)
