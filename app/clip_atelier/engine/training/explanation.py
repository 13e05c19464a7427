"""What the folds found, in words: how it was measured, what is kept and why, and where a trivial way is better."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from clip_atelier.engine.core import N_, _
from clip_atelier.engine.evaluation import TASKS
from clip_atelier.engine.parts import names
from clip_atelier.engine.runs import CrossValidation, Difference, QuestionResult, TrainResult, TrivialWay

WAY_NAMES: Final[Mapping[str, str]] = {
    "class_prototype": N_("the mean drawing of each caption"),
    "nearest_drawings": N_("the captions of the nearest drawings"),
}


def told(result: TrainResult | CrossValidation) -> str:
    """What was done by folds and why, in a paragraph of the current language; what was shortened, as it was written then.

    Args:
        result: Of a run that was measured by folds.
    """
    kept = {
        name: {one.name for one in result.parts if one.question == name and one.kept}
        for name in result.questions
    }
    return summary(kept, result.questions, result.trivial, result.strength, result.skipped)


def summary(
    kept: Mapping[str, Collection[str]],
    questions: Mapping[str, QuestionResult],
    ways: Sequence[TrivialWay],
    strength: float,
    skipped: Sequence[str],
) -> str:
    """What was done and why, in a paragraph.

    Args:
        kept: Question -> the parts that it keeps.
        questions: Their comparisons.
        ways: The trivial ways on the same queries.
        strength: Of the update that is kept.
        skipped: What was shortened or left out, in sentences.
    """
    sentences = [_one(name, kept[name], questions[name]) for name in questions]
    if strength:
        sentences.append(_("The update is kept at {strength:g} of its strength.").format(strength=strength))
    sentences.extend(
        _("{question}: {way} alone would be better (mAP {value:.3f}).").format(
            question=_(TASKS.get(way.question, way.question)),
            way=_(WAY_NAMES.get(way.name, way.name)),
            value=way.value or 0.0,
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


def _one(name: str, kept: Collection[str], result: QuestionResult) -> str:
    used = [_(names.TITLES[part]) for part in names.TITLES if part in kept]
    gain = result.difference.get("mAP", Difference())
    numbers = _("mAP {base:.3f} → {adapted:.3f}, {low:+.3f} to {high:+.3f}").format(
        base=result.base.get("mAP") or 0.0,
        adapted=result.adapted.get("mAP") or 0.0,
        low=gain.low if gain.low is not None else 0.0,
        high=gain.high if gain.high is not None else 0.0,
    )
    task = _(TASKS.get(name, name))
    if result.verdict == "too few to measure":
        return _("{question}: too few drawings to measure; look at the results by eye.").format(question=task)
    if not used:
        return _(
            "{question}: nothing helped on drawings that were not learned from, so the base is kept."
        ).format(question=task)
    helped = _("{question}: {parts} ({numbers}).").format(
        question=task, parts=", ".join(used), numbers=numbers
    )
    if result.verdict == "gain":
        return helped
    return helped + " " + _("This could be luck, but it does no harm that could be seen.")
