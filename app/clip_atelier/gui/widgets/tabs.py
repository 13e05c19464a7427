"""Tabs as words with a line under the chosen one, and large numbers with a word below."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QStackedWidget, QWidget

from clip_atelier.engine.core import _
from clip_atelier.gui import theme
from clip_atelier.gui.widgets.layout import column, row, rule
from clip_atelier.gui.widgets.text import Button, Label, plain_tooltip


class Tabs(QWidget):
    """Views on the same thing, one shown at a time."""

    changed = Signal(str)

    def __init__(self, *corner: QWidget) -> None:
        super().__init__()
        self._stack = QStackedWidget()
        self._buttons: dict[str, Button] = {}
        self._names: list[str] = []
        self._withdrawn: set[str] = set()
        self._row = row(gap=0)
        self._row.addStretch(1)
        for widget in corner:
            self._row.addWidget(widget)
        layout = column(self._row, rule(), theme.M, self._stack, gap=0)
        layout.setStretch(3, 1)
        self.setLayout(layout)

    def add(self, name: str, title: str, view: QWidget, **values: Any) -> Button:
        """Adds a view under a title."""
        button = Button(title, "tab", checkable=True, **values)
        button.setAutoExclusive(True)
        button.clicked.connect(lambda _on: self.choose(name))
        self._row.insertWidget(len(self._names), button)
        self._names.append(name)
        self._buttons[name] = button
        self._stack.addWidget(view)
        if len(self._names) == 1:
            button.setChecked(True)
        return button

    def choose(self, name: str) -> None:
        """Shows a view."""
        if name in self._buttons:
            self._buttons[name].setChecked(True)
            self._stack.setCurrentIndex(self._names.index(name))
            self.changed.emit(name)

    def show_tab(self, name: str, on: bool) -> None:
        """Offers a view or not; another one is shown in the place of one that is withdrawn."""
        self._buttons[name].setVisible(on)
        (self._withdrawn.discard if on else self._withdrawn.add)(name)
        if not on and self.current == name:
            self.choose(self.names[0])

    @property
    def names(self) -> tuple[str, ...]:
        """All views that are offered, in order."""
        return tuple(name for name in self._names if name not in self._withdrawn)

    @property
    def current(self) -> str:
        """The view that is shown."""
        return self._names[self._stack.currentIndex()]


class Figure(QWidget):
    """A large number and what it counts; under the pointer, what that means."""

    def __init__(self, title: str, tip: str = "") -> None:
        super().__init__()
        self._tip = tip
        self.number = Label(role="title")
        self.title = Label(title, "caption")
        self.setLayout(column(self.number, self.title, gap=0))
        self.retranslate()

    def retranslate(self) -> None:
        """What it means in the current language."""
        if self._tip:
            self.setToolTip(plain_tooltip(_(self._tip)))

    def show_number(self, value: int | str) -> None:
        """Shows a number, with separators."""
        self.number.show_literal(f"{value:,}" if isinstance(value, int) else value)
