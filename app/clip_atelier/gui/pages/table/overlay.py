"""The validation curves of several runs over each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QWidget

from clip_atelier.engine.core import N_, Check
from clip_atelier.gui import theme
from clip_atelier.gui.widgets.layout import Flow, box, card, column, row
from clip_atelier.gui.widgets.plots import Plot
from clip_atelier.gui.widgets.text import ElidedLabel, Label

# Colour and dashes together, so that no pair of curves depends on telling red from green.
_STYLES: Final = (
    ("accent", Qt.PenStyle.SolidLine),
    ("warning", Qt.PenStyle.DashLine),
    ("gain", Qt.PenStyle.DotLine),
    ("loss", Qt.PenStyle.DashDotLine),
    ("text", Qt.PenStyle.SolidLine),
    ("accent", Qt.PenStyle.DashLine),
    ("warning", Qt.PenStyle.SolidLine),
    ("text", Qt.PenStyle.DotLine),
)
MOST: Final = len(_STYLES)


@dataclass(frozen=True)
class Curve:
    """One run's held-out retrieval while it learned; `best` is the point that was kept."""

    name: str
    epochs: tuple[float, ...]
    values: tuple[float, ...]
    best: tuple[float, float] | None = None


class Dash(QWidget):
    """A piece of line as it is drawn in the plot."""

    def __init__(self, colour: str, style: Qt.PenStyle) -> None:
        super().__init__()
        self._colour, self._style = colour, style
        self.setFixedSize(QSize(28, 16))

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        colour = QColor(str(getattr(theme.tokens(self.palette()), self._colour)))
        painter.setPen(QPen(colour, 1.5, self._style))
        painter.drawLine(2, self.height() // 2, self.width() - 2, self.height() // 2)
        painter.end()


class Overlay(QWidget):
    """Held-out retrieval against epochs, one curve for each chosen run, with its key."""

    def __init__(self) -> None:
        super().__init__()
        self.plot = Plot()
        self._names: list[ElidedLabel] = []
        self._entries: list[QWidget] = []
        flow = Flow(theme.M)
        for number, (colour, style) in enumerate(_STYLES):
            self.plot.add_curve(str(number), colour, style)
            self.plot.add_dots(str(number), colour, "star", 13)
            name = ElidedLabel(role="caption")
            entry = box(gap=0)
            entry.layout().addLayout(row(Dash(colour, style), name, gap=theme.XS))  # type: ignore[union-attr]
            entry.setFixedWidth(216)
            entry.hide()
            self._names.append(name)
            self._entries.append(entry)
            flow.addWidget(entry)
        self.plot.add_level("base", "base")
        self.base = box(gap=0)
        self.base.layout().addLayout(  # type: ignore[union-attr]
            row(Dash("base", Qt.PenStyle.DashLine), Label(N_("untouched base"), "caption"), gap=theme.XS)
        )
        flow.addWidget(self.base)
        key = QWidget()
        key.setLayout(flow)
        self.note = Label(role="caption", wrap=True)
        framed = card(self.note, self.plot, key, gap=theme.XS, margin=theme.M)
        framed.layout().setStretch(1, 1)  # type: ignore[union-attr]
        self.setLayout(column(framed))

    def show_checks(self, runs: Sequence[tuple[str, Sequence[Check]]], key: str) -> None:
        """Shows what runs measured by a metric while they learned; a run without it is left out."""
        curves, bases = [], set()
        for name, found in runs:
            checks = [check for check in found if key in check.metrics]
            if not checks:
                continue
            bases |= {check.metrics[key] for check in checks if check.step == 0}
            best = next((check for check in reversed(checks) if check.best), None)
            epochs, values = tuple(c.epoch for c in checks), tuple(c.metrics[key] for c in checks)
            curves.append(Curve(name, epochs, values, (best.epoch, best.metrics[key]) if best else None))
        # One level only where all runs share it.
        self.show_curves(curves, bases.pop() if len(bases) == 1 else None)

    def show_curves(self, curves: Sequence[Curve], base: float | None) -> None:
        """Shows the curves of up to `MOST` runs."""
        shown = list(curves[:MOST])
        values = [v for curve in shown for v in curve.values] + ([base] if base is not None else [])
        for number in range(MOST):
            curve = shown[number] if number < len(shown) else Curve("", (), ())
            self.plot.show_curve(str(number), curve.epochs, curve.values)
            best = [curve.best] if curve.best else []
            self.plot.show_dots(str(number), [x for x, _y in best], [y for _x, y in best])
            self._names[number].show_literal(curve.name)
            self._entries[number].setVisible(number < len(shown))
        self.plot.show_level("base", base)
        self.base.setVisible(base is not None)
        self.plot.set_span(0, max((curve.epochs[-1] for curve in shown if curve.epochs), default=1))
        if values:
            room = max(0.02, (max(values) - min(values)) * 0.1)
            self.plot.at_least(max(0.0, min(values) - room), max(values) + room)
        if len(curves) > MOST:
            self.note.say(N_("The first {count} of the chosen trainings are drawn."), count=MOST)
        elif shown:
            self.note.say(
                N_(
                    "Retrieval by epoch, on the drawings that checkpoints are chosen by; a star marks the checkpoint that was kept."
                )
            )
        else:
            self.note.say(
                N_("Choose one or more finished trainings in the table to lay their curves over each other.")
            )
