"""Inputs with one face: `value()`, `set_value(value)`, and a signal `edited` when the user changes it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPalette, QPen, QPolygonF, QWheelEvent
from PySide6.QtWidgets import (
    QAbstractSpinBox,
    QCheckBox,
    QComboBox,
    QSizePolicy,
    QStyle,
    QStyleOptionComboBox,
    QStylePainter,
    QWidget,
)

from clip_atelier.engine.core import _
from clip_atelier.gui import theme
from clip_atelier.gui.widgets.layout import Flow
from clip_atelier.gui.widgets.text import Button, Field, plain_tooltip


def _chevron(
    painter: QPainter, x: float, y: float, colour: QColor, *, up: bool = False, size: float = 3.5
) -> None:
    painter.setPen(
        QPen(colour, 1.4, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap, Qt.PenJoinStyle.RoundJoin)
    )
    tip = -size / 2 if up else size / 2
    painter.drawPolyline(
        QPolygonF([QPointF(x - size, y - tip), QPointF(x, y + tip), QPointF(x + size, y - tip)])
    )


class Number(QAbstractSpinBox):
    """A whole or a real number, written as people write it ("3e-4" too); half-typed text is handed on as it is.

    Args:
        whole: Whether only whole numbers make sense.
        step: Step of the arrows; None walks 1, 2, 5, 10, … as one does with rates.
        minimum: The arrows stop here; typing is judged by the settings themselves.
        maximum: As minimum.
    """

    edited = Signal()

    def __init__(
        self,
        *,
        whole: bool = False,
        step: float | None = None,
        minimum: float | None = None,
        maximum: float | None = None,
    ) -> None:
        super().__init__()
        self._whole = whole
        self._step = 1.0 if whole and step is None else step
        self._minimum = -math.inf if minimum is None else minimum
        self._maximum = math.inf if maximum is None else maximum
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.lineEdit().setTextMargins(theme.S - 2, 0, 0, 0)
        self.lineEdit().textEdited.connect(lambda _text: self.edited.emit())

    def value(self) -> int | float | str:
        """The number, or the text where it is none yet."""
        text = self.lineEdit().text().strip().replace("\u2212", "-")
        if "," in text and "." not in text:
            text = text.replace(",", ".")  # a decimal comma
        try:
            number = float(text)
        except ValueError:
            return text
        if not math.isfinite(number):
            return text
        if self._whole and number == int(number):
            return int(number)
        return (
            int(number) if number == int(number) and "." not in text and "e" not in text.lower() else number
        )

    def set_value(self, value: Any) -> None:
        """Shows a number, or text that was left half-typed."""
        text = f"{value:.12g}" if isinstance(value, int | float) else str(value)
        if text != self.lineEdit().text():
            self.lineEdit().setText(text)

    def stepEnabled(self) -> QAbstractSpinBox.StepEnabledFlag:
        flag = QAbstractSpinBox.StepEnabledFlag
        return flag.StepUpEnabled | flag.StepDownEnabled

    def stepBy(self, steps: int) -> None:
        now = self.value()
        if isinstance(now, str):
            return
        for _count in range(abs(steps)):
            now = self._next(float(now), up=steps > 0)
        self.set_value(int(now) if self._whole else now)
        self.lineEdit().selectAll()
        self.edited.emit()

    def _next(self, now: float, *, up: bool) -> float:
        if self._step is not None:
            after = round(now + (self._step if up else -self._step), 10)
        elif now <= 0:
            after = 1e-4 if up else 0.0
        else:
            scale = 10 ** math.floor(math.log10(now) + 1e-9)
            ladder = [0.5 * scale, 1 * scale, 2 * scale, 5 * scale, 10 * scale]
            after = (
                next(v for v in ladder if v > now * 1.0001)
                if up
                else next(v for v in reversed(ladder) if v < now * 0.9999)
            )
            after = float(f"{after:.6g}")
        if after > self._maximum or after < self._minimum:
            return now
        return after

    def sizeHint(self) -> QSize:
        return QSize(132, super().sizeHint().height())

    def minimumSizeHint(self) -> QSize:
        return QSize(88, super().minimumSizeHint().height())

    def wheelEvent(self, event: QWheelEvent) -> None:
        _only_with_focus(self, event)

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        colour = self.palette().color(QPalette.ColorRole.PlaceholderText)
        x, middle = self.width() - 12.0, self.height() / 2
        _chevron(painter, x, middle - 4.5, colour, up=True, size=3)
        _chevron(painter, x, middle + 4.5, colour, size=3)
        painter.end()


class Choice(QComboBox):
    """One of several values. Each is shown by its explanation, or by its own name where it has none."""

    edited = Signal()

    def __init__(self, choices: Mapping[str, str]) -> None:
        super().__init__()
        self._choices = dict(choices)
        for name in self._choices:
            self.addItem(name, name)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        self.activated.connect(lambda _index: self.edited.emit())
        self.retranslate()

    def retranslate(self) -> None:
        """Shows the explanations in the current language."""
        for index, (name, text) in enumerate(self._choices.items()):
            self.setItemText(index, _(text) or name)

    def renew(self, choices: Mapping[str, str]) -> None:
        """Offers other values."""
        self._choices = dict(choices)
        self.clear()
        for name in self._choices:
            self.addItem(name, name)
        self.retranslate()

    def add(self, name: str, shown: str) -> None:
        """Adds a value that was not declared, such as a folder."""
        self._choices[name] = shown if shown != name else ""
        self.addItem(shown, name)

    def value(self) -> str:
        """The chosen value."""
        return str(self.currentData() or "")

    def set_value(self, value: Any) -> None:
        """Chooses a value; one that is not among the choices leaves nothing chosen."""
        self.setCurrentIndex(self.findData(str(value)))

    def _option(self) -> QStyleOptionComboBox:
        option = QStyleOptionComboBox()
        self.initStyleOption(option)
        field = self.style().subControlRect(
            QStyle.ComplexControl.CC_ComboBox, option, QStyle.SubControl.SC_ComboBoxEditField, self
        )
        option.currentText = self.fontMetrics().elidedText(
            option.currentText, Qt.TextElideMode.ElideMiddle, field.width() - 1
        )
        return option

    @property
    def shown(self) -> str:
        """The words that are seen."""
        return str(self._option().currentText)

    def minimumSizeHint(self) -> QSize:
        return QSize(120, super().minimumSizeHint().height())

    def wheelEvent(self, event: QWheelEvent) -> None:
        _only_with_focus(self, event)

    def paintEvent(self, _event: QPaintEvent) -> None:
        """As Qt paints it, with words that do not fit shortened, not cut."""
        painter = QStylePainter(self)
        option = self._option()
        painter.drawComplexControl(QStyle.ComplexControl.CC_ComboBox, option)
        painter.drawControl(QStyle.ControlElement.CE_ComboBoxLabel, option)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        _chevron(
            painter,
            self.width() - 14.0,
            self.height() / 2,
            self.palette().color(QPalette.ColorRole.PlaceholderText),
        )
        painter.end()


class Switch(QCheckBox):
    """On or off."""

    edited = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.clicked.connect(lambda _on: self.edited.emit())

    def value(self) -> bool:
        """Whether it is on."""
        return self.isChecked()

    def set_value(self, value: Any) -> None:
        """Turns it on or off."""
        self.setChecked(bool(value))

    def sizeHint(self) -> QSize:
        return QSize(40, 24)

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()

    def hitButton(self, pos: Any) -> bool:  # noqa: N802 - Qt's name
        """The whole widget answers to the mouse."""
        return self.rect().contains(pos)

    def paintEvent(self, _event: QPaintEvent) -> None:
        t = theme.tokens(self.palette())
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        track = QRectF(1.5, self.height() / 2 - 9, 34, 18)
        painter.setPen(QPen(QColor(t.accent if self.hasFocus() or self.isChecked() else t.strong_line), 1))
        painter.setBrush(QColor(t.accent if self.isChecked() else t.surface))
        painter.drawRoundedRect(track, 9, 9)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(t.on_accent if self.isChecked() else t.muted))
        x = track.right() - 9 if self.isChecked() else track.left() + 9
        painter.drawEllipse(QPointF(x, track.center().y()), 5.5, 5.5)
        if self.hasFocus():
            painter.setPen(QPen(QColor(t.accent), 1))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(track.adjusted(-1, -2.5, 1.5, 2.5), 11, 11)
        painter.end()


class Chips(QWidget):
    """Several of several values, each a button that stays pressed.

    Args:
        choices: What each value means; shown under the pointer.
        named: Whether that is what a value is called, and stands on its button.
    """

    edited = Signal()

    def __init__(self, choices: Mapping[str, str], *, named: bool = False) -> None:
        super().__init__()
        self._named = named
        self._chips: dict[str, Button] = {}
        self._choices = dict(choices)
        flow = Flow(6)
        for name in choices:
            # The names are PEFT's own and the same in every language.
            chip = Button(kind="chip", checkable=True)
            chip.setText(name)
            chip.clicked.connect(lambda _on: self.edited.emit())
            self._chips[name] = chip
            flow.addWidget(chip)
        self.setLayout(flow)
        policy = QSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Minimum)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        self.retranslate()

    def retranslate(self) -> None:
        """Shows the explanations in the current language."""
        for name, chip in self._chips.items():
            if self._named:
                chip.say(self._choices[name])
                chip.tell("{name}", name=name)
            else:
                chip.say("{name}", name=name)
                chip.tell(self._choices[name])

    def value(self) -> tuple[str, ...]:
        """The pressed values, in the declared order."""
        return tuple(name for name, chip in self._chips.items() if chip.isChecked())

    def set_value(self, value: Any) -> None:
        """Presses the given values."""
        for name, chip in self._chips.items():
            chip.setChecked(name in value)


class Text(Field):
    """A line of text."""

    edited = Signal()

    def __init__(self, placeholder: str = "") -> None:
        super().__init__(placeholder)
        self.textEdited.connect(lambda _text: self.edited.emit())

    def value(self) -> str:
        """The text."""
        return self.text()

    def set_value(self, value: Any) -> None:
        """Shows a text."""
        if str(value) != self.text():
            self.setText(str(value))


class Options(QWidget):
    """One of a few, side by side: light / dark / system."""

    chosen = Signal(str)

    def __init__(
        self, choices: Mapping[str, str], kind: str = "chip", icons: Mapping[str, str] | None = None
    ) -> None:
        super().__init__()
        self._buttons: dict[str, Button] = {}
        flow = Flow(6)
        for name, text in choices.items():
            drawn = (icons or {}).get(name, "")
            button = Button("" if drawn else text, "icon" if drawn else kind, drawn, tip=text, checkable=True)
            button.clicked.connect(lambda _on, name=name: self._choose(name))
            self._buttons[name] = button
            flow.addWidget(button)
        self.setLayout(flow)

    def _choose(self, name: str) -> None:
        self.set_value(name)
        self.chosen.emit(name)

    def value(self) -> str:
        """The chosen one."""
        return next((name for name, button in self._buttons.items() if button.isChecked()), "")

    def set_value(self, value: str) -> None:
        """Chooses one without telling."""
        for name, button in self._buttons.items():
            button.setChecked(name == value)

    def button(self, name: str) -> Button:
        """The button of one choice."""
        return self._buttons[name]


def mark_wrong(widget: QWidget, wrong: bool) -> None:
    """Gives an input the look of one that needs attention."""
    if bool(widget.property("wrong")) != wrong:
        widget.setProperty("wrong", wrong)
        widget.style().unpolish(widget)
        widget.style().polish(widget)


def describe(widget: QWidget, text: str) -> None:
    """Gives an input a plain tooltip and the same words for screen readers."""
    widget.setToolTip(plain_tooltip(text))
    widget.setAccessibleDescription(text)


def _only_with_focus(widget: QWidget, event: QWheelEvent) -> None:
    """Turning the wheel over a form scrolls the form; it must not change a number in passing."""
    if not widget.hasFocus():
        event.ignore()
        return
    if isinstance(widget, QComboBox):
        QComboBox.wheelEvent(widget, event)
    elif isinstance(widget, QAbstractSpinBox):
        QAbstractSpinBox.wheelEvent(widget, event)
