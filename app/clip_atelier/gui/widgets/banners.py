"""What is laid over or above the pages: a message until it is closed, and the veil."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtGui import QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QFrame, QWidget

from clip_atelier.engine.core import N_
from clip_atelier.gui import theme
from clip_atelier.gui.widgets.layout import column, row
from clip_atelier.gui.widgets.text import Button, Label, Picture


class Banner(QFrame):
    """A message in plain words, with what to do next, until it is closed.

    Args:
        role: "alarm" for trouble, "news" for something done.
        icon: One of the icons, in the colour of the theme named by `colour`.
    """

    def __init__(self, role: str, icon: str, colour: str) -> None:
        super().__init__()
        self.setProperty("role", role)
        self.message = Label(role="strong", wrap=True)
        self.hint = Label(wrap=True)
        self.undo = Button(N_("Undo"), "plain", "undo-2")
        self._undo: Callable[[], None] | None = None
        self.undo.clicked.connect(self._on_undo)
        self.dismiss = Button("", "icon", "x", tip=N_("Close this message"))
        self.dismiss.clicked.connect(self.hide)
        words = column(self.message, self.hint, gap=theme.XS)
        layout = row(Picture(icon, 20, colour), words, self.undo, self.dismiss, gap=theme.M)
        layout.setStretch(1, 1)
        layout.setContentsMargins(theme.XL, theme.M, theme.M, theme.M)
        self.setLayout(layout)
        self.hide()

    def _on_undo(self) -> None:
        if self._undo is not None:
            self._undo()

    def tell(self, message: str, hint: str = "", undo: Callable[[], None] | None = None) -> None:
        """Shows a message and its hint; with a button that takes back what it tells of, where it can be."""
        self._undo = undo
        self.undo.setVisible(undo is not None)
        self.message.show_literal(message)
        self.hint.show_literal(hint)
        self.hint.setVisible(bool(hint))
        self.show()


class Veil(QWidget):
    """Covers the window while a folder hovers over it, or while it closes."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.words = Label(role="title")
        self.words.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.setLayout(column(None, self.words, None))
        self.hide()

    def cover(self, text: str) -> None:
        """Shows the veil with a message on it."""
        parent = self.parentWidget()
        if parent is not None:
            self.setGeometry(parent.rect())
        self.words.say(text)
        self.raise_()
        self.show()

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setOpacity(0.94)
        painter.fillRect(self.rect(), self.palette().window())
        painter.setOpacity(1.0)
        painter.setPen(
            QPen(self.palette().color(self.palette().ColorRole.Highlight), 2, Qt.PenStyle.DashLine)
        )
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRoundedRect(self.rect().adjusted(theme.L, theme.L, -theme.L, -theme.L), theme.L, theme.L)
        painter.end()
