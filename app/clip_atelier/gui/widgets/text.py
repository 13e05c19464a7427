"""Labels and buttons that know their message, so that they can say it again in another language.

Everything shown through these is plain text: a file name with angle brackets stays a file name.
"""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QEvent, QObject, QSize, Qt, Signal
from PySide6.QtGui import QGuiApplication, QInputMethodEvent, QKeySequence, QPalette
from PySide6.QtWidgets import QLabel, QLineEdit, QPushButton, QSizePolicy, QWidget

from clip_atelier.engine.core import _
from clip_atelier.gui.theme import tokens
from clip_atelier.gui.widgets.icons import icon


def retranslate(root: QObject) -> None:
    """Has everything below `root` that shows words say them in the current language; parents before children."""
    for child in root.children():
        again = getattr(child, "retranslate", None)
        if callable(again):
            again()
        retranslate(child)


class Message:
    """A marked message with its values: translated each time it is shown."""

    def __init__(self, text: str = "", **values: Any) -> None:
        self.text = text
        self.values = values

    def __str__(self) -> str:
        shown = {k: str(v) if isinstance(v, Message) else v for k, v in self.values.items()}
        return _(self.text).format(**shown) if self.values else _(self.text)


class Label(QLabel):
    """Words on the page. `role` is one of the style sheet's label roles."""

    def __init__(self, text: str = "", role: str = "body", *, wrap: bool = False, **values: Any) -> None:
        super().__init__()
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setProperty("role", role)
        self.setWordWrap(wrap)
        if wrap:
            # A wrapped label must be free to be narrower than its longest line.
            self.setMinimumWidth(60)
            policy = QSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Minimum)
            policy.setHeightForWidth(True)
            self.setSizePolicy(policy)
        self._message: Message | None = None
        self.say(text, **values)

    def say(self, text: str, **values: Any) -> None:
        """Shows a marked message with values put into its braces."""
        self._message = Message(text, **values)
        self.setText(str(self._message))

    def show_literal(self, text: str) -> None:
        """Shows text that is not ours to translate: a name, a path, a caption."""
        self._message = None
        self.setText(text)

    def set_role(self, role: str) -> None:
        """Changes the look."""
        self.setProperty("role", role)
        self.style().unpolish(self)
        self.style().polish(self)

    def retranslate(self) -> None:
        """Says its message in the current language."""
        if self._message is not None:
            self.setText(str(self._message))


class ElidedLabel(Label):
    """One line that is shortened in the middle when there is no room, and shows all of it in the tooltip."""

    def __init__(self, text: str = "", role: str = "body", **values: Any) -> None:
        self._full = ""
        super().__init__(text, role, **values)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setMinimumWidth(40)

    def setText(self, text: str) -> None:  # noqa: N802 - Qt's name
        """Keeps the whole text and shows what fits."""
        self._full = text
        self._fit()

    def full_text(self) -> str:
        """The whole text, also where it is shown shortened."""
        return self._full

    def resizeEvent(self, event: Any) -> None:
        super().resizeEvent(event)
        self._fit()

    def sizeHint(self) -> QSize:
        hint = super().sizeHint()
        return QSize(self.fontMetrics().horizontalAdvance(self._full) + 4, hint.height())

    def _fit(self) -> None:
        room = max(self.width() - 2, 20)
        shown = self.fontMetrics().elidedText(self._full, Qt.TextElideMode.ElideMiddle, room)
        super().setText(shown)
        self.setToolTip(plain_tooltip(self._full) if shown != self._full else "")


class Button(QPushButton):
    """A button with a message and, if named, an icon that follows the palette. `kind` is one of the style sheet's."""

    def __init__(
        self,
        text: str = "",
        kind: str = "plain",
        icon_name: str = "",
        *,
        tip: str = "",
        checkable: bool = False,
        **values: Any,
    ) -> None:
        super().__init__()
        self.setProperty("kind", kind)
        self.setCheckable(checkable)
        self._kind = kind
        self._icon_name = icon_name
        self._icon_key: tuple[str, str] | None = None
        self._message = Message(text, **values)
        self._tip = Message(tip)
        if kind in ("quiet", "icon", "tab", "chip", "rail"):
            self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setIconSize(QSize(18, 18))
        self.toggled.connect(self._draw_icon)
        self.retranslate()
        self._draw_icon()

    def say(self, text: str, **values: Any) -> None:
        """Changes the message."""
        self._message = Message(text, **values)
        self.retranslate()

    def tell(self, tip: str, **values: Any) -> None:
        """Changes the tooltip."""
        self._tip = Message(tip, **values)
        self.retranslate()

    def set_icon(self, name: str) -> None:
        """Changes the icon."""
        self._icon_name = name
        self._draw_icon()

    def retranslate(self) -> None:
        """Says its message in the current language."""
        # A lone "&" in a name would become an underline.
        shown = str(self._message).replace("&", "&&")
        # Qt leaves only a hair between a button's icon and its words.
        keys_kept = self.shortcut()
        self.setText(f"\u2002{shown}" if self._icon_name and shown else shown)
        self.setShortcut(keys_kept)  # Qt takes the keys of a button away when its words change
        tip = str(self._tip)
        keys = self.shortcut().toString(QKeySequence.SequenceFormat.NativeText)
        self.setToolTip(plain_tooltip(f"{tip} ({keys})" if tip and keys else tip))
        self.setAccessibleName(str(self._message) or tip)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() in (QEvent.Type.PaletteChange, QEvent.Type.StyleChange):
            self._draw_icon()

    def _draw_icon(self) -> None:
        if not self._icon_name:
            return
        t = tokens(self.palette())
        colour = t.on_accent if self._kind == "primary" else t.muted if self._kind == "rail" else t.text
        if self.isChecked():
            colour = t.accent
        key = (self._icon_name, colour)
        if key != self._icon_key:
            self._icon_key = key
            self.setIcon(
                icon(self._icon_name, colour, 18, t.muted if self._kind == "primary" else t.strong_line)
            )


class Field(QLineEdit):
    """A line to type in, with a translated placeholder.

    `text()` lacks the syllable that an input method has not finished; the last one of a Korean word is unfinished until
    the next key, so that who looks while one types looks at `seen`.
    """

    composed = Signal()  # another unfinished syllable

    def __init__(self, placeholder: str = "") -> None:
        super().__init__()
        self.unfinished = ""
        self._composing = False  # whether a change of the text comes from an input method
        self.textChanged.connect(lambda _text: self._on_changed())
        self._message = Message(placeholder)
        self.setClearButtonEnabled(False)
        self.retranslate()

    def _on_changed(self) -> None:
        if not self._composing:  # text that is set ends what was begun
            self.unfinished = ""

    def inputMethodEvent(self, event: QInputMethodEvent) -> None:
        before, self.unfinished = self.unfinished, event.preeditString()
        self._composing = True
        super().inputMethodEvent(event)
        self._composing = False
        if before != self.unfinished:
            self.composed.emit()

    def clear(self) -> None:
        """Nothing stands in it any more, not even half a syllable."""
        begun, self.unfinished = self.unfinished, ""
        super().clear()
        if begun:
            self.composed.emit()

    @property
    def seen(self) -> str:
        """The text with the syllable that is not finished."""
        at = self.cursorPosition()
        return self.text()[:at] + self.unfinished + self.text()[at:]

    @property
    def whole(self) -> str:
        """The text with the unfinished syllable where it can be read as it is: what a model can be asked for."""
        return self.seen if all("가" <= sign <= "힣" for sign in self.unfinished) else self.text()

    @property
    def at_end(self) -> bool:
        """Whether an unfinished syllable is the last one, so that more of it may come."""
        return bool(self.unfinished) and self.cursorPosition() == len(self.text())

    def retranslate(self) -> None:
        """Says its placeholder in the current language, to screen readers too."""
        self.setPlaceholderText(str(self._message))
        self.setAccessibleName(str(self._message))


def finish_composing() -> None:
    """Has an input method hand over the syllable that it has not finished, where what is typed is wanted now.

    Where the focus leaves a field Qt does so by itself; it stays where a window closes, where rows are read anew, and on
    macOS where a button is pressed.
    """
    QGuiApplication.inputMethod().commit()


class SpokenName(QObject):
    """What screen readers call a widget that shows no words of its own; in the current language."""

    def __init__(self, widget: QWidget, text: str) -> None:
        super().__init__(widget)
        self._widget = widget
        self._message = Message(text)
        self.retranslate()

    def retranslate(self) -> None:
        """Names the widget in the current language."""
        self._widget.setAccessibleName(str(self._message))


class Picture(QLabel):
    """One icon of the set, in a colour of the theme ("muted", "accent", "text", "warning")."""

    def __init__(self, name: str, size: int = 18, colour: str = "muted") -> None:
        super().__init__()
        self._name, self._size, self._colour = name, size, colour
        self.setFixedSize(size, size)
        self._draw()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self._draw()

    def _draw(self) -> None:
        t = tokens(self.palette())
        self.setPixmap(icon(self._name, str(getattr(t, self._colour)), self._size).pixmap(
            QSize(self._size, self._size), self.devicePixelRatioF()
        ))  # fmt: skip


def plain_tooltip(text: str) -> str:
    """A tooltip that shows `text` as it is: Qt takes anything that looks like HTML for HTML."""
    if not text:
        return ""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\n", "<br>")
    return f"<p style='white-space:pre-wrap; margin:0'>{escaped}</p>"


def muted(widget: QWidget) -> str:
    """The colour of explanations where a widget paints its own text."""
    return widget.palette().color(QPalette.ColorRole.PlaceholderText).name()
