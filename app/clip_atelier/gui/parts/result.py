"""The end of a run in words and numbers: base, adapted, the difference with its interval, the verdict."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QWidget

from clip_atelier.engine.core import N_, _, measured
from clip_atelier.engine.runs import Difference, TrainResult
from clip_atelier.gui import theme
from clip_atelier.gui.widgets.inputs import Choice
from clip_atelier.gui.widgets.layout import clear, column, row
from clip_atelier.gui.widgets.text import Label, SpokenName, plain_tooltip

_OPENING = {
    "gain": N_("The adaptation helped."),
    "loss": N_("The adaptation made retrieval worse."),
    "no measurable difference": N_("Nothing measurable was gained."),
}
_TONE = {"gain": "heading-gain", "loss": "heading-loss"}


_NOTHING = TrainResult()


class Result(QWidget):
    """Verdict and table of one run."""

    def __init__(self) -> None:
        super().__init__()
        self._result = _NOTHING
        self.verdict = Label(role="heading", wrap=True)
        self.facts = Label(role="muted", wrap=True)
        self.measure = Choice({"R@1": ""})
        SpokenName(self.measure, N_("Measure"))
        self._chosen = False  # whether a measure was chosen by hand, and stays
        self.measure.edited.connect(self._on_measure)
        self.table = QGridLayout()
        self.table.setHorizontalSpacing(theme.XL)
        self.table.setVerticalSpacing(6)
        self.table.setContentsMargins(0, 0, 0, 0)
        holder = QWidget()
        holder.setLayout(self.table)
        top = row(self.verdict, self.measure, gap=theme.L)
        top.setStretch(0, 1)
        self.setLayout(column(top, self.facts, theme.XS, row(holder, None), None, gap=theme.XS))

    def show_result(self, result: TrainResult) -> None:
        """Shows what came out of a run."""
        self._result = result
        names = list(dict.fromkeys(key.rpartition("/")[2] for key in result.base))
        kept = self.measure.value()
        self.measure.renew(self._titles(names))
        told = result.primary_metric.rpartition("/")[2] if result.folds else "R@1"
        self.measure.set_value(kept if kept in names and self._chosen else told)
        self._fill()

    def retranslate(self) -> None:
        """The same result in the current language."""
        if self._result.measured:
            self.show_result(self._result)

    def _on_measure(self) -> None:
        self._chosen = True
        self._fill()

    def _titles(self, names: list[str]) -> dict[str, str]:
        from clip_atelier.engine.evaluation import METRICS

        return {name: METRICS[name].title if name in METRICS else "" for name in names}

    def _fill(self) -> None:
        from clip_atelier.engine.evaluation import METRICS, TASKS, price

        result, metric = self._result, self.measure.value()
        word = result.verdict
        self.verdict.say(_OPENING.get(word, "")) if word in _OPENING else self.verdict.show_literal(word)
        self.verdict.set_role(_TONE.get(word, "heading"))
        facts = [result.summary or price(result.difference, result.primary_metric)]
        facts.append(_measured_on(result))
        facts.append(
            _("Best step {step}, strength {strength}.").format(
                step=result.best_step, strength=f"{result.strength:g}"
            )
        )
        self.facts.show_literal(" ".join(fact for fact in facts if fact))
        self.measure.setToolTip(plain_tooltip(_(METRICS[metric].explanation)) if metric in METRICS else "")
        clear(self.table)
        heads = (N_("Question"), N_("Chance"), N_("Base"), N_("Adapted"), N_("Difference (95 % interval)"))
        for x, head in enumerate(heads):
            self.table.addWidget(self._cell(_(head), "caption", x > 0), 0, x)
        up = metric not in METRICS or METRICS[metric].direction == "up"
        for y, (task, title) in enumerate(TASKS.items(), 1):
            key = f"{task}/{metric}"
            if key not in result.base:
                continue
            change = result.difference.get(key)
            cells = [
                (_(title), "body"),
                (measured(_number(result.chance.get(key)), metric), "muted"),
                (measured(_number(result.base[key]), metric), "body"),
                (measured(_number(result.adapted.get(key)), metric), "strong"),
                *([_difference(change, metric, up)] if change else []),
            ]
            for x, (text, role) in enumerate(cells):
                self.table.addWidget(self._cell(text, role, x > 0), y, x)

    @staticmethod
    def _cell(text: str, role: str, right: bool) -> Label:
        label = Label(role=role)
        label.show_literal(text)
        if right:
            label.setAlignment(Qt.AlignmentFlag.AlignRight)
        return label


def _measured_on(result: TrainResult) -> str:
    if result.measured_on == "folds":
        return _(
            "Measured by {count} folds: each drawing was a question to a model that had not learned from it."
        ).format(count=result.folds)
    if result.measured_on == "test":
        return _("Measured on images that took no part in training or choosing.")
    return _("Measured on the validation images, which also chose the checkpoint: expect a little less.")


def _difference(change: Difference, metric: str, up: bool) -> tuple[str, str]:
    value, low, high = (_number(one) for one in (change.value, change.low, change.high))
    form = "+.1f" if metric == "median_rank" else "+.3f"
    text = f"{value:{form}}  ({low:{form}} … {high:{form}})"
    if low > 0 or high < 0:
        return text, "gain" if (low > 0) == up else "loss"
    return text, "body"


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else float("nan")
