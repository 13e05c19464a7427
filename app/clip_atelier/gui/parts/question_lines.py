"""The answers of a run: two lines for each question, its numbers and what they mean in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QWidget

from clip_atelier.engine.core import _, measured, with_interval
from clip_atelier.gui import theme
from clip_atelier.gui.parts.table_model import VERDICTS
from clip_atelier.gui.widgets.layout import clear
from clip_atelier.gui.widgets.text import Label, plain_tooltip

if TYPE_CHECKING:
    from clip_atelier.engine.runs import Difference, TrainResult

_FIRST = "R@1"
_JUDGED_BY = "mAP"
"""What the verdict of a question goes by: it counts every right drawing, not only whether the first one is right."""
_FEW = 20
"""Of fewer drawings asked for, one more or less is five hundredths: what is found may be chance."""


class QuestionLines(QWidget):
    """One question after the other, as they stand everywhere."""

    def __init__(self) -> None:
        super().__init__()
        self._grid = QGridLayout()
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(theme.XL)
        self._grid.setVerticalSpacing(0)
        self.setLayout(self._grid)

    def show_questions(self, result: TrainResult, metric: str) -> None:
        """Shows a run's answers in one metric."""
        from clip_atelier.engine.evaluation import METRICS, TASKS

        clear(self._grid)
        heads = (
            _("Question"), _("Queries"), _("Chance"), _("Base → adapted"), _("Difference (95 % interval)"),
            # It may differ from the interval beside it, which is that of the measure that is shown.
            _("Verdict, by {measure}").format(measure=_JUDGED_BY) if result.questions else _("Verdict"),
        )  # fmt: skip
        for x, head in enumerate(heads):
            label = self._put(head, "caption", 0, x)
        if result.questions:
            label.setToolTip(plain_tooltip(_(METRICS[_JUDGED_BY].explanation)))
        up = metric not in METRICS or METRICS[metric].direction == "up"
        judged = verdicts(result)
        y = 1
        for task, title in TASKS.items():
            key = f"{task}/{metric}"
            if key not in result.base:
                continue
            before, after, change = result.base[key], result.adapted.get(key), result.difference.get(key)
            self._grid.setRowMinimumHeight(y, theme.S)
            self._put(_(title), "strong", y + 1, 0)
            self._put(
                f"{result.queries.get(task, 0):,}" if task in result.queries else "–", "muted", y + 1, 1
            )
            self._put(measured(result.chance.get(key), metric), "muted", y + 1, 2)
            self._put(f"{measured(before, metric)} → {measured(after, metric)}", "body", y + 1, 3)
            if change is not None:
                words = with_interval(change.value, change.low, change.high, metric)
                self._put(words, _tone(change, up=up), y + 1, 4)
            word = judged.get(task, "")
            self._put(_(VERDICTS[word]) if word in VERDICTS else word, _role(word), y + 1, 5)
            self._put(in_words(result, task), "caption", y + 2, 0, len(heads))
            y += 3

    def _put(self, text: str, role: str, y: int, x: int, wide: int = 1) -> Label:
        label = Label(role=role)
        label.show_literal(text)
        self._grid.addWidget(label, y, x, 1, wide, Qt.AlignmentFlag.AlignLeft)
        return label


def verdicts(result: TrainResult) -> dict[str, str]:
    """The verdict of each question that was asked; where a result has none of its own, that of its R@1."""
    from clip_atelier.engine.evaluation import TASKS

    found = {}
    for task in TASKS:
        change = result.difference.get(f"{task}/{_FIRST}")
        if task in result.questions:
            found[task] = result.questions[task].verdict
        elif change is not None and change.value is not None:
            tone = _tone(change, up=True)
            found[task] = tone if tone in ("gain", "loss") else "no measurable difference"
    return found


def all_found(result: TrainResult) -> bool:
    """Whether the untouched model has the right answer first for every query of every question: none can gain."""
    first = [value for key, value in result.base.items() if key.endswith(f"/{_FIRST}")]
    return bool(first) and all(value == 1.0 for value in first)


def in_words(result: TrainResult, task: str) -> str:
    """How many queries of a question were right at first place before and after, as a sentence."""
    before, after = result.base.get(f"{task}/{_FIRST}"), result.adapted.get(f"{task}/{_FIRST}")
    count = result.queries.get(task)
    if before is None or after is None or count is None:
        return ""
    was, now = round(before * count), round(after * count)
    if was == now == count:
        return _("Right at first place for all {count}, without the adaptation too: nothing is left to gain here.").format(
            count=f"{count:,}"
        )  # fmt: skip
    if was == now:
        return _("Right at first place for {now} of {count}, as before.").format(
            now=f"{now:,}", count=f"{count:,}"
        )
    said = _("Right at first place for {now} of {count} instead of {was}.").format(
        now=f"{now:,}", count=f"{count:,}", was=f"{was:,}"
    )
    if count < _FEW and verdicts(result).get(task) not in ("gain", "loss"):
        said += " " + (
            _("That is promising, but so few are not enough to be sure.")
            if now > was
            else _("So few are not enough to be sure.")
        )
    return said


def _tone(change: Difference, *, up: bool) -> str:
    if change.low is None or change.high is None or change.low <= 0 <= change.high:
        return "body"
    return "gain" if (change.low > 0) == up else "loss"


def _role(word: str) -> str:
    return word if word in ("gain", "loss") else "muted"
