"""Curves. The only file that imports pyqtgraph, and it is imported when a plot is first shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyqtgraph as pg
from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtGui import QColor, QFont
from PySide6.QtWidgets import QVBoxLayout, QWidget

from clip_atelier.gui import theme

pg.setConfigOptions(antialias=True)

_POINTS = 2000  # more than a screen is wide


class Plot(QWidget):
    """A pair of axes with named curves, in the colours of the theme. Lines are one pixel wide: wider ones are slow."""

    pointed = Signal(object)  # the x value under the pointer, or None when it has left

    def __init__(self) -> None:
        super().__init__()
        self.plot = pg.PlotWidget()
        self.plot.setMenuEnabled(False)
        self.plot.hideButtons()
        self.plot.setFrameShape(pg.QtWidgets.QFrame.Shape.NoFrame)
        self.item = self.plot.getPlotItem()
        self.item.setContentsMargins(0, theme.S, theme.S, 0)
        self._curves: dict[str, tuple[Any, str, Qt.PenStyle]] = {}
        self._dots: dict[str, tuple[Any, str]] = {}
        self._levels: dict[str, tuple[Any, str]] = {}
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.plot)
        self.setMinimumHeight(100)  # on a low screen what stands below it is seen too
        self._pointer = pg.InfiniteLine(angle=90)
        self._pointer.hide()
        self.item.addItem(self._pointer, ignoreBounds=True)
        self._moves = pg.SignalProxy(self.plot.scene().sigMouseMoved, rateLimit=30, slot=self._on_move)
        self._paint()

    def add_curve(self, name: str, colour: str, style: Qt.PenStyle = Qt.PenStyle.SolidLine) -> None:
        """Adds a line in a colour of the theme (a field of `Tokens`)."""
        curve = pg.PlotDataItem(connect="finite")
        self.item.addItem(curve)
        self._curves[name] = (curve, colour, style)
        self._paint()

    def add_dots(self, name: str, colour: str, symbol: str = "o", size: int = 7) -> None:
        """Adds single points."""
        dots = pg.PlotDataItem(symbol=symbol, symbolSize=size, pen=None)
        self.item.addItem(dots)
        self._dots[name] = (dots, colour)
        self._paint()

    def add_level(self, name: str, colour: str) -> None:
        """Adds a horizontal line, hidden until it has a value."""
        level = pg.InfiniteLine(angle=0)
        level.hide()
        self.item.addItem(level, ignoreBounds=True)
        self._levels[name] = (level, colour)
        self._paint()

    def show_curve(self, name: str, x: Sequence[float], y: Sequence[float]) -> None:
        """Draws a curve; long ones are thinned to what a screen can show."""
        every = max(1, len(x) // _POINTS)
        self._curves[name][0].setData(list(x[::every]), list(y[::every]))

    def show_dots(self, name: str, x: Sequence[float], y: Sequence[float]) -> None:
        """Draws points."""
        self._dots[name][0].setData(list(x), list(y))

    def show_level(self, name: str, value: float | None) -> None:
        """Draws a horizontal line, or none."""
        level = self._levels[name][0]
        level.setVisible(value is not None)
        if value is not None:
            level.setValue(value)

    def set_span(self, low: float, high: float) -> None:
        """Fixes the range of the x axis."""
        self.item.setXRange(low, max(high, low + 1), padding=0.02)

    def set_log(self, on: bool) -> None:
        """Draws the y axis with logarithmic steps."""
        self.item.setLogMode(False, on)
        self.item.enableAutoRange(axis="y")

    def at_least(self, low: float, high: float) -> None:
        """Keeps the y axis from zooming into noise."""
        self.item.setYRange(low, high, padding=0.04)

    def leaveEvent(self, event: QEvent) -> None:
        super().leaveEvent(event)
        self._pointer.hide()
        self.pointed.emit(None)

    def _on_move(self, args: tuple[Any, ...]) -> None:
        box = self.item.getViewBox()
        inside = self.item.sceneBoundingRect().contains(args[0])
        self._pointer.setVisible(inside)
        if inside:
            x = box.mapSceneToView(args[0]).x()
            self._pointer.setValue(x)
            self.pointed.emit(x)
        else:
            self.pointed.emit(None)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and hasattr(self, "_curves"):
            self._paint()

    def _paint(self) -> None:
        t = theme.tokens(self.palette())
        self.plot.setBackground(QColor(t.surface))
        font = QFont(self.font())
        font.setPixelSize(theme.CAPTION - 1)
        for side in ("left", "bottom"):
            axis = self.item.getAxis(side)
            axis.setPen(QColor(t.line))
            axis.setTextPen(QColor(t.muted))
            axis.setTickFont(font)
            axis.setStyle(tickLength=-4, tickTextOffset=6)
        self.item.getAxis("left").setWidth(46)
        # Half of the last step's number reaches over the end of the axis, into the plot's own margin.
        self.item.getAxis("bottom").setStyle(hideOverlappingLabels=False)
        self._pointer.setPen(pg.mkPen(QColor(t.strong_line), width=1))
        self.item.showGrid(x=False, y=True, alpha=0.12)
        for curve, colour, style in self._curves.values():
            curve.setPen(pg.mkPen(QColor(str(getattr(t, colour))), width=1, style=style))
        for dots, colour in self._dots.values():
            dots.setSymbolBrush(QColor(str(getattr(t, colour))))
            dots.setSymbolPen(pg.mkPen(QColor(t.surface), width=1))
        for level, colour in self._levels.values():
            level.setPen(pg.mkPen(QColor(str(getattr(t, colour))), width=1, style=Qt.PenStyle.DashLine))


class Smoother:
    """An exponential average with its start corrected (as Adam corrects its moments), extended as points arrive."""

    def __init__(self, amount: float) -> None:
        self.amount = amount
        self.values: list[float] = []
        self._mean = 0.0
        self._weight = 0.0

    def extend(self, values: Sequence[float]) -> list[float]:
        """The smoothed values; those seen before are not computed again. A shorter sequence starts anew."""
        if len(values) < len(self.values):
            self.values, self._mean, self._weight = [], 0.0, 0.0
        for value in values[len(self.values) :]:
            if value == value:  # not NaN
                self._mean = self.amount * self._mean + (1 - self.amount) * value
                self._weight = self.amount * self._weight + (1 - self.amount)
            self.values.append(self._mean / self._weight if self._weight else float("nan"))
        return self.values
