"""Every page can be worked by the keyboard alone, and one sees where one is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QHeaderView,
    QLabel,
    QLineEdit,
    QMenu,
    QScrollArea,
    QScrollBar,
    QWidget,
)
from pytestqt.qtbot import QtBot

from clip_atelier.gui.main_window import MainWindow
from clip_atelier.gui.pages import PAGES

MOST = 250  # more controls than any page has


class Windows(QObject):
    """Notes what is shown as a window of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        shown = event.type() == QEvent.Type.Show and isinstance(watched, QWidget) and watched.isWindow()
        if shown and not isinstance(watched, MainWindow | QMenu):
            self.seen.append(f"{type(watched).__name__} {getattr(watched, 'text', str)()}")
        return False


def controls(page: QWidget) -> Iterator[QWidget]:
    """What can be worked on a page as it is now, without the parts of Qt's own widgets."""
    for widget in page.findChildren(QWidget):
        part = isinstance(widget, QScrollBar | QHeaderView | QLabel) or isinstance(
            widget.parent(), QAbstractSpinBox | QComboBox | QLineEdit | QAbstractItemView
        )
        if widget.isVisible() and widget.isEnabled() and not part:
            buttons = isinstance(widget, QAbstractButton | QAbstractItemView | QComboBox)
            if buttons or widget.focusPolicy() & Qt.FocusPolicy.TabFocus:
                yield widget


def walk(window: MainWindow, qtbot: QtBot, first: QWidget) -> list[QWidget]:
    """Where Tab leads from a control, until it is back there."""
    first.setFocus(Qt.FocusReason.TabFocusReason)
    seen: list[QWidget] = []
    for _step in range(MOST):
        now = window.focusWidget()
        assert now is not None
        if now is first and seen:
            return seen
        seen.append(now)
        qtbot.keyClick(now, Qt.Key.Key_Tab)
    raise AssertionError(f"Tab does not come back: caught in {seen[-1]} {seen[-1].accessibleName()!r}")


def reached(control: QWidget, seen: list[QWidget]) -> bool:
    """By Tab, or by the arrows from a button of the same group, of which Qt gives Tab only the chosen one."""
    if any(one is control or control.isAncestorOf(one) for one in seen):
        return True
    group = isinstance(control, QAbstractButton) and (control.autoExclusive() or control.group())
    return bool(group) and any(
        isinstance(one, QAbstractButton) and one.parent() is control.parent() and one.isChecked()
        for one in seen
    )


@pytest.fixture
def opened(open_window: Callable[..., MainWindow], tiny_collection: Path, qtbot: QtBot) -> MainWindow:
    window = open_window(language="en", theme="light")
    window.activateWindow()
    window.app_model.open_folder(tiny_collection)
    qtbot.waitUntil(lambda: window.app_model.collection is not None)
    return window


def test_pages_are_made_without_a_window_flashing_by(opened: MainWindow, qapp: QApplication) -> None:
    windows = Windows()
    qapp.installEventFilter(windows)
    try:
        for page in PAGES:
            opened.show_page(page.name)
        opened.set_language("ko")
    finally:
        qapp.removeEventFilter(windows)
    assert windows.seen == []
    assert opened.isActiveWindow()


def test_tab_reaches_every_control_of_every_page_and_shows_where_it_is(
    opened: MainWindow, qtbot: QtBot
) -> None:
    unseen: list[str] = []
    lanes = opened.app_model.lanes
    for page in PAGES:
        opened.show_page(page.name)
        # What the page reads comes after it is shown, and changes what is there.
        qtbot.waitUntil(lambda page=page: not lanes.busy and any(controls(opened.page(page.name))))
        seen = walk(opened, qtbot, opened.rail.buttons[page.name])
        wanted = list(controls(opened.page(page.name)))
        assert wanted, page.name
        missed = [(type(c).__name__, c.accessibleName()) for c in wanted if not reached(c, seen)]
        assert not missed, (page.name, missed)
        assert all(one.accessibleName() for one in seen), [
            type(one).__name__ for one in seen if not one.accessibleName()
        ]
        for one in seen:
            opened.rail.more.setFocus()
            without = one.grab().toImage()
            one.setFocus(Qt.FocusReason.TabFocusReason)
            if one.grab().toImage() == without and one is not opened.rail.more:
                unseen.append(f"{page.name}: {type(one).__name__} {one.accessibleName()}")
    assert not unseen


def test_the_arrows_go_from_tab_to_tab(opened: MainWindow, qtbot: QtBot) -> None:
    opened.show_page("learned")
    page = opened.page("learned")
    tabs = page.views()[0]  # type: ignore[attr-defined]
    before = tabs.current
    button = tabs._buttons[before]
    button.setFocus()
    qtbot.keyClick(button, Qt.Key.Key_Right)
    assert tabs.current != before
    assert isinstance(opened.focusWidget(), QAbstractButton)
    assert not isinstance(opened.focusWidget(), QScrollArea)
