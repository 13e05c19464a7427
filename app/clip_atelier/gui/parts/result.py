"""The end of a run in words and numbers: the verdict, what was done, and what became of each question."""

from __future__ import annotations

from collections.abc import Mapping

from PySide6.QtWidgets import QWidget

from clip_atelier.engine.core import N_, _
from clip_atelier.engine.parts import names
from clip_atelier.engine.runs import TrainResult
from clip_atelier.gui import theme
from clip_atelier.gui.parts.kept import untouched_kept
from clip_atelier.gui.parts.question_lines import QuestionLines, all_found, verdicts
from clip_atelier.gui.widgets.inputs import Choice
from clip_atelier.gui.widgets.layout import column, row
from clip_atelier.gui.widgets.text import Label, SpokenName, plain_tooltip

_ALL = {
    "gain": N_("The adaptation helped."),
    "loss": N_("The adaptation made retrieval worse."),
    "no measurable difference": N_("No difference found that chance could not explain."),
    "too few to measure": N_("Too few drawings to measure: add drawings, or look at the results by eye."),
}
_ALL_FOUND = N_(
    "The untouched model already finds every one of these drawings. Try others, or more of them at once."
)
_NOTHING = TrainResult()


class Result(QWidget):
    """Verdict and table of one run.

    Args:
        own_measure: Whether it offers the choice of a measure; where not, who shows it sets `measure`.
    """

    def __init__(self, *, own_measure: bool = True) -> None:
        super().__init__()
        self._own_measure = own_measure
        self._result = _NOTHING
        self.verdict = Label(role="heading", wrap=True)
        self.summary = Label(wrap=True)
        self.facts = Label(role="muted", wrap=True)
        self.measure = Choice({"R@1": ""})
        SpokenName(self.measure, N_("Measure"))
        self._chosen = not own_measure  # whether a measure was chosen by hand, and stays
        self.measure.edited.connect(self._on_measure)
        if not own_measure:
            self.measure.hide()
        self.questions = QuestionLines()
        top = row(self.verdict, self.measure, gap=theme.L)
        top.setStretch(0, 1)
        self.setLayout(
            column(top, self.summary, theme.XS, row(self.questions, None), theme.S, self.facts, None, gap=theme.XS)
        )  # fmt: skip

    def show_result(self, result: TrainResult) -> None:
        """Shows what came out of a run."""
        self._result = result
        measures = list(dict.fromkeys(key.rpartition("/")[2] for key in result.base))
        kept = self.measure.value()
        self.measure.renew(self._titles(measures))
        # What is kept is decided by the run's own measure, so it is shown first.
        own = result.primary_metric.rpartition("/")[2] if result.folds else "R@1"
        self.measure.set_value(kept if kept in measures and self._chosen else own)
        self._fill()

    def retranslate(self) -> None:
        """The same result in the current language."""
        if self._result.measured:
            self.show_result(self._result)

    def _on_measure(self) -> None:
        self._chosen = True
        self._fill()

    def _titles(self, measures: list[str]) -> dict[str, str]:
        from clip_atelier.engine.evaluation import METRICS

        return {name: METRICS[name].title if name in METRICS else "" for name in measures}

    def _fill(self) -> None:
        from clip_atelier.engine.evaluation import METRICS, price

        result, metric = self._result, self.measure.value()
        word = result.verdict
        words = verdicts(result)
        few = word == "too few to measure"  # numbers of a handful of drawings would only mislead
        found = not few and all_found(result) and set(words.values()) == {"no measurable difference"}
        self.verdict.show_literal(_(_ALL_FOUND) if found else _opening(words, word))
        only = set(words.values()) & {"gain", "loss"}  # a gain that another question pays for is not green
        self.verdict.set_role(f"heading-{only.pop()}" if len(only) == 1 else "heading")
        summary = _explained(result) or price(result.difference, result.primary_metric)
        self.summary.show_literal(summary)
        self.summary.setVisible(bool(summary))
        self.facts.show_literal(" ".join(_how(result)))
        self.measure.setToolTip(plain_tooltip(_(METRICS[metric].explanation)) if metric in METRICS else "")
        self.measure.setVisible(self._own_measure and not few)
        self.questions.setVisible(not few)
        self.questions.show_questions(result, metric)


def _opening(words: Mapping[str, str], whole: str) -> str:
    """What may be said of all questions together: where they differ, each that changed is named.

    Args:
        words: The verdict of each question.
        whole: The run's own verdict, for where there is none of single questions.
    """
    from clip_atelier.engine.evaluation import TASKS

    said = set(words.values())
    if whole == "too few to measure" or len(said) < 2:
        word = whole if whole == "too few to measure" or not said else said.pop()
        return _(_ALL[word]) if word in _ALL else word
    helped, worse = (
        ", ".join(_(TASKS[task]) for task, one in words.items() if one == word) for word in ("gain", "loss")
    )
    parts = [_("Helped: {questions}.").format(questions=helped)] if helped else []
    parts += [_("Made worse: {questions}.").format(questions=worse)] if worse else []
    return " ".join(parts) or _(_ALL["no measurable difference"])


def _explained(result: TrainResult) -> str:
    """What was done and why, in the language of now, where what it is told from was kept."""
    from clip_atelier.engine.training import told

    known = {one.question for one in result.parts}
    return told(result) if result.folds and known.issuperset(result.questions) else result.summary


def _how(result: TrainResult) -> list[str]:
    """How it was measured and what is kept, in sentences."""
    if result.measured_on == "folds":
        return [names.measured_by_folds(result.folds)]
    kept = _("Best step {step}, strength {strength}.").format(
        step=result.best_step, strength=f"{result.strength:g}"
    )
    if untouched_kept(result):
        kept = _(
            "The untouched model is kept, because nothing that was learned found more of the drawings it was chosen by."
        )
    if result.measured_on == "test":
        return [_("Measured on images that took no part in training or choosing."), kept]
    return [
        _("Measured on the drawings that also chose the checkpoint: expect a little less."),
        kept,
    ]
