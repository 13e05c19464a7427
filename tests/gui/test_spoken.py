"""What a screen reader is told: every input and every list of every page has a name, in the window's language."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from PySide6.QtWidgets import (
    QAbstractItemView,
    QAbstractSlider,
    QAbstractSpinBox,
    QCheckBox,
    QComboBox,
    QHeaderView,
    QLineEdit,
    QListView,
    QPlainTextEdit,
    QPushButton,
    QScrollBar,
    QWidget,
)

from clip_atelier.gui.main_window import MainWindow
from clip_atelier.gui.pages import PAGES
from clip_atelier.gui.pages.training.curves import Curves
from clip_atelier.gui.widgets.inputs import Switch

SPOKEN = (
    QAbstractItemView, QAbstractSlider, QAbstractSpinBox, QCheckBox, QComboBox, QLineEdit, QPlainTextEdit,
    QPushButton, Switch,
)  # fmt: skip


def inputs(page: QWidget) -> Iterator[QWidget]:
    """What can be turned to on a page, without the parts that Qt's own widgets are made of."""
    for widget in page.findChildren(QWidget):
        part = isinstance(widget, QScrollBar | QHeaderView) or type(widget) is QListView  # a combo box's list
        if isinstance(widget, SPOKEN) and not part and not isinstance(widget.parent(), QAbstractSpinBox):
            yield widget


def test_every_input_of_every_page_has_a_name(open_window: Callable[..., MainWindow]) -> None:
    window = open_window(language="en")
    pages = {entry.name: window.page(entry.name) for entry in PAGES}
    named = {name: [w.accessibleName() for w in inputs(page)] for name, page in pages.items()}
    assert all(len(names) > 2 for names in named.values()), "the pages hold too little: the search is broken"
    nameless = {
        name: [type(w).__name__ for w in inputs(p) if not w.accessibleName()] for name, p in pages.items()
    }
    assert not any(nameless.values()), nameless


def test_names_follow_the_language(open_window: Callable[..., MainWindow]) -> None:
    window = open_window(language="en")
    (curves,) = window.page("training").findChildren(Curves)
    assert (curves.smoothing.accessibleName(), curves.log.accessibleName()) == ("Smoothing", "Log scale")
    window.set_language("ko")
    assert (curves.smoothing.accessibleName(), curves.log.accessibleName()) == ("평활화", "로그 눈금")
