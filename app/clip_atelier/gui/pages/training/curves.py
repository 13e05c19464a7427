"""The two pictures of a run: its loss, and retrieval on held-out images."""

from __future__ import annotations

import bisect
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QColor, QImage
from PySide6.QtWidgets import QSlider, QWidget

from clip_atelier.engine.core import N_, Check, measured
from clip_atelier.gui import theme
from clip_atelier.gui.parts.kept import untouched_kept
from clip_atelier.gui.run_progress import Fold, RunRecord
from clip_atelier.gui.widgets.inputs import Choice, Switch
from clip_atelier.gui.widgets.layout import card, row, row_box
from clip_atelier.gui.widgets.plots import Plot, Smoother
from clip_atelier.gui.widgets.text import Label, Picture, SpokenName

if TYPE_CHECKING:
    from clip_atelier.gui.state import WindowState

_PAGE = (1280, 460)  # of the picture that leaves the program, in device-independent pixels
_METRICS = ("R@1", "R@5", "R@10", "mAP")


class Key(QWidget):
    """The meaning of a plot's colours: a dash of colour and a word for each."""

    def __init__(self, *entries: tuple[str, str]) -> None:
        super().__init__()
        parts: list[Any] = []
        for icon_colour, text in entries:
            parts += [row(Picture("minus", 16, icon_colour), Label(text, "caption"), gap=theme.XS)]
        self.setLayout(row(*parts, None, gap=theme.M))


class Curves(QWidget):
    """Loss on the left, retrieval on held-out images on the right."""

    def __init__(self, state: WindowState) -> None:
        super().__init__()
        self._state = state
        self._record = RunRecord()
        self.loss = Plot()
        self.loss.add_curve("folds", "base")
        self.loss.add_curve("raw", "faint")
        self.loss.add_curve("smooth", "accent")
        self.loss.add_curve("held-out", "warning")
        self.loss.add_dots("held-out dots", "warning")
        self.recall = Plot()
        self.recall.add_level("base", "base")
        self.recall.add_curve("held-out", "accent")
        self.recall.add_dots("checks", "accent")
        self.recall.add_dots("best", "gain", "star", 15)
        self.smoothing = QSlider(Qt.Orientation.Horizontal)
        self.smoothing.setRange(0, 98)
        self.smoothing.setFixedWidth(88)
        self.smoothing.setValue(int(state.view("training.smoothing", 80)))
        self.smoothing.valueChanged.connect(self._on_smoothing)
        self.log = Switch()
        self.log.set_value(state.view("training.log", False))
        self.log.edited.connect(self._on_log)
        self._smoother = Smoother(self.smoothing.value() / 100)
        self.loss.set_log(self.log.value())
        self.measure = Choice(dict.fromkeys(_METRICS, ""))
        self.measure.set_value(state.view("training.metric", _METRICS[0]))
        self.measure.edited.connect(self._on_metric)
        self.loss_note = Label(role="caption")
        self.recall_title = Label(role="strong")
        self.recall_note = Label(role="caption")
        self.loss.pointed.connect(self._on_loss_pointed)
        self.recall.pointed.connect(self._on_recall_pointed)
        self.controls = row_box(
            Label(N_("Smoothing"), "caption"), self.smoothing, Label(N_("Log scale"), "caption"), self.log
        )
        loss_head = row(Label(N_("Loss"), "strong"), self.loss_note, None, self.controls)
        self.key = Key(("accent", N_("training")), ("warning", N_("drawings not learned from")))
        self.fold_key = Key(("accent", N_("latest training")), ("base", N_("the folds, one line each")))
        left = card(loss_head, self.loss, self.key, self.fold_key, gap=theme.XS, margin=theme.M)
        self.right = card(
            row(self.recall_title, self.measure, None, self.recall_note), self.recall,
            Key(("accent", N_("while learning")), ("base", N_("untouched base")), ("gain", N_("kept"))),
            gap=theme.XS, margin=theme.M,
        )  # fmt: skip
        whole = row(left, self.right, gap=theme.L)
        whole.setStretch(0, 1)
        whole.setStretch(1, 1)
        self.setLayout(whole)
        for control, words in (
            (self.smoothing, N_("Smoothing")), (self.log, N_("Log scale")), (self.measure, N_("Measure"))
        ):  # fmt: skip
            SpokenName(control, words)
        self.draw(self._record)

    def draw(self, record: RunRecord) -> None:
        """Draws a run as far as it is known."""
        if record is not self._record:
            self._smoother = Smoother(self.smoothing.value() / 100)
        self._record = record
        # Measured by folds, nothing is kept aside for checks: what the loss is there for is told when all folds are done.
        self.right.setHidden(record.by_folds)
        self.key.setHidden(record.by_folds)
        self.fold_key.setHidden(not record.by_folds)
        now = record.fold
        self.loss.show_curve(
            "folds", *_end_to_end(f for n, f in record.folds.items() if not now or n != now.fold)
        )
        self.loss.show_curve("raw", record.steps, record.losses)
        if now:  # its points are means of several steps, smooth as they are
            self.loss.show_curve("smooth", record.folds[now.fold].steps, record.folds[now.fold].losses)
        else:
            self.loss.show_curve("smooth", record.steps, self._smoother.extend(record.losses))
        checks = sorted(record.checks, key=lambda c: c.step)
        known = [c for c in checks if c.loss is not None]
        at, losses = [float(c.step) for c in known], [c.loss or 0.0 for c in known]
        self.loss.show_curve("held-out", at, losses)
        self.loss.show_dots("held-out dots", at, losses)
        name = self._name()
        measured = [(float(c.step), c.metrics[name]) for c in checks if name in c.metrics]
        self.recall.show_curve("held-out", [s for s, _v in measured], [v for _s, v in measured])
        self.recall.show_dots("checks", [s for s, _v in measured], [v for _s, v in measured])
        base, best = record.base, record.best
        self.recall.show_level("base", base.metrics.get(name) if base else None)
        if untouched_kept(record.result):
            best = base  # one thing is said everywhere: nothing that was learned is in force
        chosen = [(float(best.step), best.metrics[name])] if best and name in best.metrics else []
        self.recall.show_dots("best", [s for s, _v in chosen], [v for _s, v in chosen])
        total = record.started.steps if record.started else 100
        if record.last_of_fold:
            total = max(total, record.last_of_fold.steps)
        self.loss.set_span(0, total)
        self.recall.set_span(0, total)
        values = [v for _s, v in measured] or [0.0, 1.0]
        room = max(0.05, (max(values) - min(values)) * 0.25)
        self.recall.at_least(max(0.0, min(values) - room), min(1.0, max(values) + room))
        self._say(record, checks)

    def _name(self) -> str:
        """The metric that is drawn, in the run's primary task."""
        return f"{self._record.primary_metric.rpartition('/')[0]}/{self.measure.value()}"

    def retranslate(self) -> None:
        """The titles in the current language."""
        self.draw(self._record)

    def _say(self, record: RunRecord, checks: list[Check]) -> None:
        from clip_atelier.engine.evaluation import TASKS

        task = record.primary_metric.rpartition("/")[0]
        self.recall_title.say(TASKS.get(task, N_("Retrieval on drawings not learned from")))
        name, base = self._name(), record.base
        if checks and base is not None and name in base.metrics:
            self.recall_note.say(
                N_("{now} now, {base} base"),
                now=measured(checks[-1].metrics.get(name, float("nan"))),
                base=measured(base.metrics[name]),
            )
        else:
            self.recall_note.say("")

    def _on_loss_pointed(self, x: float | None) -> None:
        """The values at the step under the pointer."""
        steps = self._record.steps
        if x is None or not steps:
            self.loss_note.say("")
            return
        at = min(max(bisect.bisect_left(steps, x), 0), len(steps) - 1)
        self.loss_note.say(
            N_("step {step}: {value}"), step=f"{int(steps[at]):,}", value=f"{self._record.losses[at]:.3f}"
        )

    def _on_recall_pointed(self, x: float | None) -> None:
        checks = sorted(self._record.checks, key=lambda c: c.step)
        if x is None or not checks:
            self._say(self._record, checks)
            return
        near = min(checks, key=lambda c: abs(c.step - x))
        value = near.metrics.get(self._name(), float("nan"))
        self.recall_note.say(N_("step {step}: {value}"), step=f"{near.step:,}", value=measured(value))

    def _on_metric(self) -> None:
        self._state.set_view("training.metric", self.measure.value())
        self.draw(self._record)

    def _on_smoothing(self, value: int) -> None:
        self._state.set_view("training.smoothing", value)
        self._smoother = Smoother(value / 100)
        self.draw(self._record)

    def _on_log(self) -> None:
        self._state.set_view("training.log", self.log.value())
        self.loss.set_log(self.log.value())


def drawn(state: WindowState, record: RunRecord) -> QImage:
    """The curves as a picture of their own, for papers and posts: large, and without what is turned and chosen."""
    sheet = Curves(state)
    sheet.controls.hide()
    sheet.measure.setEnabled(False)
    sheet.layout().setContentsMargins(theme.L, theme.L, theme.L, theme.L)  # type: ignore[union-attr]
    sheet.resize(*_PAGE)
    sheet.draw(record)
    image = QImage(2 * _PAGE[0], 2 * _PAGE[1], QImage.Format.Format_RGB32)
    image.setDevicePixelRatio(2)
    image.fill(QColor(theme.tokens(sheet.palette()).window))
    sheet.render(image, QPoint(0, 0))
    return image


def _end_to_end(folds: Iterable[Fold]) -> tuple[list[float], list[float]]:
    """Several curves as one, with a gap after each."""
    x: list[float] = []
    y: list[float] = []
    for fold in folds:
        x += [*fold.steps, float("nan")]
        y += [*fold.losses, float("nan")]
    return x, y
