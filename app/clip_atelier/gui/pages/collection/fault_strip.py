"""What is wrong with the captions, each with the buttons that put it right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from clip_atelier.engine.core import N_
from clip_atelier.gui import theme
from clip_atelier.gui.widgets.layout import clear, column, row
from clip_atelier.gui.widgets.text import Button, Label, Picture

if TYPE_CHECKING:
    from clip_atelier.engine.data import CaptionFault

_MOST = 3
_WORDS = {
    "missing": N_("{count} drawings have no caption."),
    "nameless": N_("{count} drawings are called as the camera or scanner named the file."),
    "same": N_("{count} drawings are all called “{caption}”."),
    "language": N_("{count} drawings have captions in {caption} only, which the model does not know."),
}


class FaultStrip(QWidget):
    """A line for each fault; a click shows the drawings or puts them right."""

    wanted = Signal(str, object)  # the remedy ("show", "suggest", "folder" or "leave out"), the fault

    def __init__(self, named: Callable[[str], str]) -> None:
        super().__init__()
        self._named = named  # a language's code in words
        self.faults: Sequence[CaptionFault] = ()
        self.lines = column(gap=theme.XS)
        self.more = Label(role="caption")
        self.setLayout(column(self.lines, self.more, gap=theme.XS))
        self.hide()

    def show_faults(self, faults: Sequence[CaptionFault]) -> None:
        """Shows other faults; the same ones keep their buttons, so that the focus stays."""
        if faults != self.faults:
            self.faults = faults
            self._fill()

    def _fill(self) -> None:
        clear(self.lines)
        for fault in self.faults[:_MOST]:
            caption = fault.caption if fault.kind != "language" else self._named(fault.caption)
            short = caption if len(caption) <= 40 else caption[:39] + "…"
            words = Label(_WORDS[fault.kind], wrap=True, count=f"{len(fault.paths):,}", caption=short)
            line = QWidget()
            buttons = [
                self._button(N_("Show them"), "show", fault),
                self._button(N_("Suggestions…"), "suggest", fault),
                self._button(N_("From the folder"), "folder", fault),
                self._button(N_("Leave them out"), "leave out", fault),
            ]
            # There is nothing to take where no drawing of the fault lies in a sub-folder.
            buttons[2].setVisible(any("/" in path for path in fault.paths))
            layout = row(Picture("triangle-alert", 16, "warning"), words, *buttons, gap=theme.XS)
            layout.setStretch(1, 1)
            line.setLayout(layout)
            self.lines.addWidget(line)
        left = len(self.faults) - _MOST
        self.more.say(N_("Further problems of this kind: {count}"), count=left)
        self.more.setVisible(left > 0)
        self.setVisible(bool(self.faults))

    def _button(self, words: str, remedy: str, fault: CaptionFault) -> Button:
        button = Button(words, "quiet")
        button.clicked.connect(partial(self.wanted.emit, remedy, fault))
        return button

    def retranslate(self) -> None:
        """The sentences with names in them."""
        self._fill()
