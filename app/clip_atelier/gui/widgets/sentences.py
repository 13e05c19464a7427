"""What a result says, in sentences below each other."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtWidgets import QWidget

from clip_atelier.gui import theme
from clip_atelier.gui.widgets.layout import clear, column
from clip_atelier.gui.widgets.text import Label


class Reading(QWidget):
    """Sentences that are made anew for each result and language."""

    def __init__(self) -> None:
        super().__init__()
        self._lines = column(gap=theme.S)
        self.setLayout(self._lines)

    def say(self, sentences: Sequence[str], *, stress: bool = True) -> None:
        """Shows sentences, the first one stronger if it is the answer to what was asked."""
        clear(self._lines)
        for number, sentence in enumerate(sentences):
            label = Label(role="strong" if stress and number == 0 else "body", wrap=True)
            label.show_literal(sentence)
            self._lines.addWidget(label)
