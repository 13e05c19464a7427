"""What stands below a map: the way from base to adapted, and how the map is looked at."""

from __future__ import annotations

from PySide6.QtCore import QEasingCurve, Qt, QVariantAnimation, Signal
from PySide6.QtWidgets import QSlider, QWidget

from clip_atelier.engine.core import N_
from clip_atelier.gui import theme
from clip_atelier.gui.widgets.inputs import Switch
from clip_atelier.gui.widgets.layout import row
from clip_atelier.gui.widgets.text import Button, Label, SpokenName

_STEPS = 1000
_MS = 1800


class ScatterBar(QWidget):
    """Play, the slider, arrows, lasso, and all in view."""

    amount_changed = Signal(float)
    arrows_changed = Signal(bool)
    lasso_changed = Signal(bool)
    fit_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.play = Button("", "icon", "play", tip=N_("Go from the base to the adapted model"))
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, _STEPS)
        self.slider.setPageStep(_STEPS // 10)
        self.slider.setSingleStep(_STEPS // 50)
        self.before = Label(N_("Base"), "muted")
        self.after = Label(N_("Adapted"), "muted")
        self.arrows = Switch()
        self.arrows_words = Label(N_("Arrows"), "muted")
        way = row(self.play, self.before, self.slider, self.after, theme.M, self.arrows_words, self.arrows)
        way.setStretch(2, 1)
        self.way = QWidget()
        self.way.setLayout(way)
        self.lasso = Button(
            N_("Lasso"), "chip", "lasso", checkable=True, tip=N_("Draw around points to see their images")
        )
        self.fit = Button("", "icon", "maximize", tip=N_("Show the whole map"))
        whole = row(self.way, None, self.lasso, self.fit)
        whole.setStretch(0, 100)
        self.setLayout(whole)
        self._animation = QVariantAnimation(self)
        self._animation.setDuration(_MS)
        self._animation.setEasingCurve(QEasingCurve.Type.InOutCubic)
        self._animation.valueChanged.connect(lambda value: self.slider.setValue(round(value)))
        self._animation.stateChanged.connect(self._on_state)
        self.play.clicked.connect(self.toggle)
        self.slider.valueChanged.connect(lambda value: self.amount_changed.emit(value / _STEPS))
        self.slider.sliderPressed.connect(self._animation.stop)
        self.arrows.edited.connect(lambda: self.arrows_changed.emit(self.arrows.value()))
        self.lasso.toggled.connect(self.lasso_changed)
        self.fit.clicked.connect(self.fit_wanted)
        SpokenName(self.slider, N_("From the base to the adapted model"))
        SpokenName(self.arrows, N_("Arrows"))

    def toggle(self) -> None:
        """Walks to the other end, or stands still."""
        if self._animation.state() == QVariantAnimation.State.Running:
            self._animation.stop()
            return
        start = self.slider.value()
        self._animation.setStartValue(0.0 if start >= _STEPS else float(start))
        self._animation.setEndValue(float(_STEPS))
        self._animation.start()

    def _on_state(self, now: QVariantAnimation.State, _before: QVariantAnimation.State) -> None:
        running = now == QVariantAnimation.State.Running
        self.play.set_icon("pause" if running else "play")
