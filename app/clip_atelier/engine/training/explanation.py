"""What the folds found, in words: how it was measured, what is kept and why, and where a trivial way is better."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from clip_atelier.engine.core import N_, _
from clip_atelier.engine.evaluation import TASKS
from clip_atelier.engine.parts import Answer, names, switched_on
from clip_atelier.engine.runs import QuestionResult, TrivialWay

WAY_NAMES: Final[Mapping[str, str]] = {
    "class_prototype": N_("the mean drawing of each caption"),
    "nearest_drawings": N_("the captions of the nearest drawings"),
}


def summary(
    answers: Mapping[str, Answer],
    questions: Mapping[str, QuestionResult],
    ways: Sequence[TrivialWay],
    strength: float,
    skipped: Sequence[str],
) -> str:
    """What was done and why, in a paragraph."""
    sentences = [_one(name, answers[name], questions[name]) for name in answers]
    if strength:
        sentences.append(_("The update is kept at {strength:g} of its strength.").format(strength=strength))
    sentences.extend(
        _("{question}: {way} alone would be better (mAP {value:.3f}).").format(
            question=_(TASKS[way.question]), way=_(WAY_NAMES[way.name]), value=way.value or 0.0
        )
        for way in ways
        if way.difference.high is not None and way.difference.high < 0
    )
    fewest = min((q.queries for q in questions.values()), default=0)
    if fewest < 30:
        sentences.append(
            _(
                "With {count} questions only large gains can be told from luck; more drawings would tell more."
            ).format(count=fewest)
        )
    return " ".join([*sentences, *skipped])


def _one(name: str, answer: Answer, result: QuestionResult) -> str:
    used = [_(names.TITLES[part]) for part in names.TITLES if part in switched_on(answer.kept)]
    gain = result.difference["mAP"]
    numbers = _("mAP {base:.3f} → {adapted:.3f}, {low:+.3f} to {high:+.3f}").format(
        base=result.base["mAP"] or 0.0,
        adapted=result.adapted["mAP"] or 0.0,
        low=gain.low if gain.low is not None else 0.0,
        high=gain.high if gain.high is not None else 0.0,
    )
    task = _(TASKS[name])
    if result.verdict == "too few to measure":
        return _("{question}: too few drawings to measure; look at the results by eye.").format(question=task)
    if not used:
        return _(
            "{question}: nothing helped on drawings that were not learned from, so the base is kept."
        ).format(question=task)
    told = _("{question}: {parts} ({numbers}).").format(question=task, parts=", ".join(used), numbers=numbers)
    if result.verdict == "gain":
        return told
    return told + " " + _("This could be luck, but it does no harm that could be seen.")
