"""Words in tables are seen whole: lines are as high as their words need, and a wide window gives every column of its room."""

from __future__ import annotations

from PySide6.QtCore import QRect, Qt
from PySide6.QtWidgets import QStyle
from pytestqt.qtbot import QtBot

from clip_atelier.gui.pages.collection.caption_table import CaptionTable
from clip_atelier.gui.parts.pictures import PictureStore
from clip_atelier.gui.parts.plain_table import fill_table, whole_table
from clip_atelier.gui.theme import Theme
from clip_atelier.gui.workers import Lanes

SENTENCE = "Drawings with words in Korean and a hundred other languages; for computers with 8 GB and more."


def test_a_line_is_as_high_as_what_is_written_in_it_at_any_width(qtbot: QtBot, theme_of_tests: Theme) -> None:
    table = whole_table(("Model", "Good at"))
    qtbot.addWidget(table)
    fill_table(table, [("siglip2", SENTENCE)])
    table.show()
    margin = table.style().pixelMetric(QStyle.PixelMetric.PM_FocusFrameHMargin, None, table) + 1
    for width in range(260, 700, 12):
        table.resize(width, 200)
        table.resizeRowsToContents()
        cell = table.visualItemRect(table.item(0, 1))
        room = QRect(0, 0, cell.width() - 2 * (5 + margin), 1000)
        needed = table.fontMetrics().boundingRect(room, int(Qt.TextFlag.TextWordWrap), SENTENCE).height()
        assert table.rowHeight(0) >= needed, width


def test_names_and_labels_are_whole_where_there_is_room(
    qtbot: QtBot, lanes: Lanes, theme_of_tests: Theme
) -> None:
    table = CaptionTable(PictureStore(lanes.pictures))
    qtbot.addWidget(table)
    table.resize(560, 400)
    table.show()
    widths = []
    for width in (560, 800, 1300):
        table.resize(width, 400)
        widths.append([table.columnWidth(column) for column in (0, 2, 3, 4)])
        assert sum(widths[-1]) < width
    assert widths[0] < widths[1] < widths[2]
    table.setColumnWidth(2, 222)  # by hand
    table.resize(1400, 400)
    assert table.columnWidth(2) == 222
