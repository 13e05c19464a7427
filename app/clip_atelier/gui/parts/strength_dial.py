"""The adaptation dial as it stands on several pages, and the line that says what its strength is worth."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QShowEvent
from PySide6.QtWidgets import QSlider, QStyle, QWidget

from clip_atelier.engine.core import N_, _
from clip_atelier.gui import theme
from clip_atelier.gui.parts.table_model import VERDICTS
from clip_atelier.gui.strength import MOST
from clip_atelier.gui.widgets.layout import Flow, row
from clip_atelier.gui.widgets.text import Button, Label, Message, plain_tooltip

if TYPE_CHECKING:
    from clip_atelier.engine.evaluation import Interval, StrengthReading
    from clip_atelier.engine.runs import Difference
    from clip_atelier.gui.app_model import AppModel

_STEPS = 100  # of the slider, for a strength of 1
_WIDTH = 160
_NARROW = 84  # where there is little room beside it
_HANDLE = 16  # width of the slider's handle, as the style sheet draws it


class _Slider(QSlider):
    """From 0 to 1.5, with a mark at one strength."""

    def __init__(self) -> None:
        super().__init__(Qt.Orientation.Horizontal)
        self.mark: int | None = None
        self.setRange(0, round(MOST * _STEPS))
        self.setSingleStep(5)
        self.setPageStep(25)

    def sizeHint(self) -> QSize:
        return QSize(_WIDTH, super().sizeHint().height())

    def minimumSizeHint(self) -> QSize:
        return QSize(_NARROW, super().minimumSizeHint().height())

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        if self.mark is None:
            return
        room = self.width() - _HANDLE
        x = _HANDLE / 2 + QStyle.sliderPositionFromValue(self.minimum(), self.maximum(), self.mark, room)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(theme.tokens(self.palette()).gain))
        painter.drawRoundedRect(
            QRectF(QPointF(x - 1.5, 1), QPointF(x + 1.5, self.height() / 2 - 3)), 1.5, 1.5
        )
        painter.end()


class StrengthDial(QWidget):
    """Turns the window's one strength. Hidden while no run is chosen."""

    def __init__(self, app_model: AppModel) -> None:
        super().__init__()
        self._strength = app_model.strength
        self.slider = _Slider()
        self.slider.setMaximumWidth(_WIDTH)
        self.number = Label(role="strong")
        self.number.setFixedWidth(34)
        self.best = Button("", "quiet", tip=N_("Back to the strength that was chosen after training"))
        self.setLayout(row(Label(N_("Strength"), "muted"), self.slider, self.number, self.best))
        self.slider.valueChanged.connect(lambda value: self._strength.set(value / _STEPS))
        self.best.clicked.connect(self._strength.reset)
        self._strength.changed.connect(self._show)
        self._show()

    def retranslate(self) -> None:
        """Its words in the current language."""
        self._show()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._strength.wake()

    def _show(self) -> None:
        value, best = self._strength.value, self._strength.recommended
        self.slider.blockSignals(True)
        self.slider.setValue(round(value * _STEPS))
        self.slider.blockSignals(False)
        self.slider.mark = round(best * _STEPS) if self._strength.run is not None else None
        self.slider.setAccessibleName(_("Strength"))
        self.slider.update()
        self.number.show_literal(f"{value:.2f}")
        self.best.say(N_("Recommended {strength}"), strength=f"{best:g}")
        self.best.setEnabled(value != best)


class StrengthLine(QWidget):
    """The held-out questions at the dial's strength against the base: what was measured, and where."""

    def __init__(self, app_model: AppModel) -> None:
        super().__init__()
        self._strength = app_model.strength
        self.head = Label(role="muted")
        self.metrics = {name: Label() for name in ("R@1", "mAP")}
        self.note = Label(role="muted")
        flow = Flow(theme.L, theme.XS)
        for label in (self.head, *self.metrics.values(), self.note):
            flow.addWidget(label)
        self.setLayout(flow)
        self._strength.changed.connect(self._show)
        self._strength.told.connect(self._show)
        self._show()

    def retranslate(self) -> None:
        """What it says in the current language."""
        self._show()

    def _show(self) -> None:
        from clip_atelier.engine.evaluation import TASKS

        now, reading = self._strength, self._strength.reading
        if reading is None:
            self.head.say(N_("Nothing is measured for this training yet.") if now.run is not None else "")
        else:
            here = reading.strength == now.value
            self.head.say(
                N_("{direction} at strength {strength}:")
                if here
                else N_("{direction} at the nearest measured strength, {strength}:"),
                direction=Message(TASKS.get(reading.task, reading.task)),
                strength=f"{reading.strength:g}",
            )
        for name, label in self.metrics.items():
            label.setVisible(reading is not None)
            if reading is not None:
                self._say(label, name, reading)
        if now.trouble:
            self.note.show_literal(now.trouble)
        elif now.share is not None:
            self.note.say(
                N_("{strength} is being measured, {share}"),
                strength=f"{now.value:g}",
                share=f"{now.share:.0%}",
            )
        else:
            self.note.say("")
        self.note.setVisible(bool(self.note.text()))
        self.updateGeometry()

    @staticmethod
    def _say(label: Label, name: str, reading: StrengthReading) -> None:
        from clip_atelier.engine.evaluation import METRICS, spoken

        told, meant = reading.metrics[name], METRICS[name]
        label.setToolTip(plain_tooltip(f"{_(meant.title)}\n{_(meant.explanation)}"))
        facts = {"metric": name, "base": f"{told.base or 0.0:.3f}", "value": f"{told.value or 0.0:.3f}"}
        if reading.strength == 0:
            label.say(N_("{metric} {value}, the untouched base"), **facts)
            label.set_role("body")
            return
        word = told.verdict
        label.say(
            N_("{metric} {base} → {value}, {difference}: {verdict}"),
            difference=spoken(_interval(told.difference), name),
            verdict=Message(VERDICTS[word]), **facts,
        )  # fmt: skip
        label.set_role(word if word in ("gain", "loss") else "body")


def _interval(difference: Difference) -> Interval:
    from clip_atelier.engine.evaluation import Interval

    ends = (difference.value, difference.low, difference.high)
    value, low, high = (float("nan") if end is None else end for end in ends)
    return Interval(value, low, high, changed=0)
