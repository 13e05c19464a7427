from __future__ import annotations

import gc
import re
from pathlib import Path

import pytest
from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QStyle, QStyleOptionViewItem, QWidget
from pytestqt.qtbot import QtBot

import clip_atelier.gui
from clip_atelier.gui.parts.plain_table import fill_table, plain_table, whole_table
from clip_atelier.gui.theme import DARK, LIGHT, Choice, Theme, Tokens, style_sheet


def test_nothing_is_collected_while_qt_walks_over_all_widgets(theme_of_tests: Theme, qtbot: QtBot) -> None:
    """A window collected in the middle of it would be walked over as well, and the program would crash."""
    seen: list[bool] = []

    class Watcher(QWidget):
        def changeEvent(self, event: QEvent) -> None:
            if event.type() in (QEvent.Type.PaletteChange, QEvent.Type.StyleChange):
                seen.append(gc.isenabled())

    watcher = Watcher()
    qtbot.addWidget(watcher)
    watcher.show()
    qtbot.waitExposed(watcher)
    for choice in ("dark", "light"):
        theme_of_tests.choose(choice)
    assert seen
    assert not any(seen)
    assert gc.isenabled()


_CONTROLS = re.compile(
    r'^(QPushButton|QLineEdit|QPlainTextEdit|QAbstractSpinBox|QComboBox|QSlider::handle|QFrame\[role="preset"\])'
)


def _contrast(one: str, other: str) -> float:
    """The ratio of WCAG 2.2, 1 to 21."""

    def luminance(name: str) -> float:
        red, green, blue = (
            c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in QColor(name).getRgbF()[:3]
        )
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("tokens", [LIGHT, DARK], ids=["light", "dark"])
def test_borders_and_focus_marks_of_controls_stand_out(tokens: Tokens) -> None:
    """3 : 1 against what controls lie on (WCAG 1.4.11); controls that are off are exempt."""
    seen: list[str] = []
    weak: list[tuple[str, str, str]] = []
    for selectors, rules in re.findall(r"([^{}]+)\{([^{}]*)\}", style_sheet(tokens)):
        for selector in (one.strip() for one in selectors.split(",")):
            if not _CONTROLS.match(selector) or ":disabled" in selector or "QAbstractItemView" in selector:
                continue
            for colour in re.findall(r"border(?:-bottom)?(?:-color)?:[^;]*(#[0-9a-f]{6})", rules):
                seen.append(selector)
                grounds = (tokens.window, tokens.surface)
                weak.extend((selector, colour, ground) for ground in grounds if _contrast(colour, ground) < 3)
    assert not weak
    for expected in ("QPushButton", "QPushButton:focus", "QLineEdit", "QLineEdit:focus", "QComboBox:focus"):
        assert expected in seen


@pytest.mark.parametrize("choice", ["light", "dark"])
def test_ticks_in_tables_stand_out(choice: Choice, theme_of_tests: Theme, qtbot: QtBot) -> None:
    theme_of_tests.choose(choice)
    table = plain_table(("Name", "Value"))
    qtbot.addWidget(table)
    fill_table(table, [("one", ""), ("two", "")])
    for line, state in enumerate((Qt.CheckState.Unchecked, Qt.CheckState.Checked)):
        table.item(line, 0).setCheckState(state)
    table.show()
    qtbot.waitExposed(table)
    seen = table.viewport().grab().toImage()
    weak = []
    for line in (0, 1):
        index = table.model().index(line, 0)
        option = QStyleOptionViewItem()
        table.initViewItemOption(option)
        option.rect = table.visualRect(index)
        table.itemDelegate().initStyleOption(option, index)
        box = table.style().subElementRect(QStyle.SubElement.SE_ItemViewItemCheckIndicator, option, table)
        edge = seen.pixelColor(box.left(), box.center().y()).name()
        if _contrast(edge, theme_of_tests.tokens.surface) < 3:
            weak.append((line, edge))
    theme_of_tests.choose("light")
    assert not weak


def test_nothing_is_ticked_but_by_widgets_that_can_be_seen() -> None:
    """Fusion draws the frame of a check box a shade darker than its ground; `Switch` and `TickDelegate` draw their own."""
    gui = Path(clip_atelier.gui.__file__).parent
    users = {file.name for file in gui.rglob("*.py") if "QCheckBox" in file.read_text(encoding="utf-8")}
    assert users == {"inputs.py"}


def test_a_table_without_a_bar_is_as_high_as_its_wrapped_words(qtbot: QtBot) -> None:
    """Narrower columns wrap their words anew; the last lines of the models' advantages were cut off."""
    table = whole_table(("Name", "Good at"))
    qtbot.addWidget(table)
    fill_table(
        table, [("starter", "icons and emoji, simple drawings, in seconds on any computer; no photographs")]
    )
    table.resize(700, 100)
    table.show()
    qtbot.waitExposed(table)
    for width in (260, 700, 240):
        table.resize(width, table.height())
        head = table.horizontalHeader().height()
        qtbot.waitUntil(
            lambda head=head: table.height() >= head + table.rowHeight(0) >= head + table.sizeHintForRow(0)
        )  # type: ignore[misc]
    assert table.rowHeight(0) > 2 * table.fontMetrics().height()
