"""What the dial and the words say, in plain words. Made from their results alone: no model, no torch."""

from __future__ import annotations

from clip_atelier.engine.core import _
from clip_atelier.engine.evaluation import bootstrap
from clip_atelier.engine.evaluation.bootstrap import Interval, Verdict
from clip_atelier.engine.evaluation.measurements import GainedForgotten, SweepPoint, WordChanges
from clip_atelier.engine.evaluation.sets import TASKS
from clip_atelier.engine.runs import Difference


def gained_and_forgotten(result: GainedForgotten) -> list[str]:
    """What a curve of gained against forgotten says: one sentence each, in the user's language.

    Args:
        result: Every strength, measured.
    """
    points = result.by_strength
    base, best = points[0.0], points[result.best]
    said = []
    if result.best == 0:
        said.append(
            _(
                "No strength helped on the drawings it is chosen by, so the training recommends 0: the untouched base."
            )
        )
        told = points.get(1.0, max(result.points, key=lambda point: point.gained or 0.0))
    else:
        told = best
    task = result.primary_metric.partition("/")[0]
    gained, forgotten = _judged(told.gained_difference), _judged(told.forgotten_difference)
    said.append(
        _("At strength {strength:g} the right answer comes first for {after:.1%} of the questions to your drawings ({direction}), for {before:.1%} without the adaptation: {verdict}.").format(
            strength=told.strength, after=told.gained or 0.0, before=base.gained or 0.0,
            direction=_(TASKS.get(task, task)), verdict=_gained(gained),
        )
    )  # fmt: skip
    if result.elsewhere.endswith("/R@1"):
        general = _("On general drawings it comes first for {after:.1%} instead of {before:.1%}: {verdict}.")
    else:
        general = _(
            "On general drawings it is among the first 10 for {after:.1%} instead of {before:.1%}: {verdict}."
        )
    said.append(
        general.format(
            after=told.forgotten or 0.0, before=base.forgotten or 0.0, verdict=_forgotten(forgotten)
        )
    )
    if (base.forgotten or 0.0) < 2 * (result.chance or 0.0):
        said.append(
            _("The base itself finds hardly any of the general drawings, so nothing much could be forgotten.")
        )
    if forgotten == "loss" and (milder := _mildest(result)) is not None and milder is not told:
        said.append(
            _("Strength {strength:g} forgets nothing measurable and still finds {after:.1%} of your drawings at once.").format(
                strength=milder.strength, after=milder.gained or 0.0
            )
        )  # fmt: skip
    if result.measured_on == "validation":
        said.append(_("Your drawings here are those that also chose the strength: expect a little less."))
    if result.measured_on == "learned":
        said.append(
            _("The training has learned from all these drawings: with new ones it does less well than here. The table of its own result was measured on drawings not learned from.")
        )  # fmt: skip
    if result.changed:
        said.append(
            _("The collection has changed since this training: some images may have been trained on.")
        )
    return said


def _mildest(result: GainedForgotten) -> SweepPoint | None:
    """The strength that gains most among those that gain measurably and forget nothing measurable."""
    free = [
        point
        for point in result.points
        if _judged(point.gained_difference) == "gain" and _judged(point.forgotten_difference) != "loss"
    ]
    return max(free, key=lambda point: point.gained or 0.0, default=None)


def words(result: WordChanges) -> list[str]:
    """What the moved words say: one sentence each, in the user's language.

    Args:
        result: The words and how far each moved.
    """
    moved = [entry.moved for entry in result.words]
    up, down = sum(m > 0 for m in moved), sum(m < 0 for m in moved)
    said = [
        _("Of {count:,} words, {up:,} find their first right image further up at strength {strength:g}, {down:,} further down, {same:,} at the same place.").format(
            count=len(moved), up=up, down=down, same=len(moved) - up - down, strength=result.strength
        )
    ]  # fmt: skip
    average = result.average
    verdict = _judged(average)
    opening = {
        "gain": _("On average words were learned"),
        "loss": _("On average words were lost"),
    }.get(verdict, _("On average nothing measurable moved"))
    said.append(
        _("{opening}: {value:+.2f} octaves (95 % interval {low:+.2f} to {high:+.2f}; one octave halves the place).").format(
            opening=opening, value=average.value or 0.0, low=average.low or 0.0, high=average.high or 0.0
        )
    )  # fmt: skip
    if result.best == 0:
        said.append(_("The training itself recommends strength 0, the untouched base."))
    if result.templates:
        said.append(wording(result))
    return said


def wording(result: WordChanges) -> str:
    """How much the sentence around a word matters, before and after."""
    before, after = (
        max(scores) - min(scores)
        for scores in ([t.base for t in result.templates], [t.adapted for t in result.templates])
    )
    return _("Between the best and the worst wording lie {before:.3f} of R@1 before the adaptation and {after:.3f} after.").format(
        before=before, after=after
    )  # fmt: skip


def _judged(difference: Difference) -> Verdict:
    if difference.value is None or difference.low is None or difference.high is None:
        return "no measurable difference"
    return bootstrap.verdict(Interval(difference.value, difference.low, difference.high))


def _gained(verdict: Verdict) -> str:
    return {"gain": _("a gain"), "loss": _("a loss")}.get(verdict, _("no measurable difference"))


def _forgotten(verdict: Verdict) -> str:
    return {"gain": _("better there too"), "loss": _("something was forgotten")}.get(
        verdict, _("nothing measurable was forgotten")
    )
