"""What the folds say of each question: what each of them chose, what that was worth on it, and what is kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from clip_atelier.engine.evaluation import Interval, bootstrap
from clip_atelier.engine.parts.arrays import FloatArray, IntArray
from clip_atelier.engine.parts.cross_fitting import CrossFit
from clip_atelier.engine.parts.picture_head import PictureSetting
from clip_atelier.engine.parts.selection import CAUTION, Setting, choose, eligible
from clip_atelier.engine.parts.variants import PLAIN

PRIOR: Final = 0.5
"""The strength of an update that was trained long enough, until evidence moves it (WiSE-FT, arXiv:2109.01903)."""

PARTS: Final = ("mean_removal", "hub_correction", "several_views", "learned_words", "picture_head", "lora")
"""Names of the parts, in the order of their cost."""


@dataclass(frozen=True)
class Answer:
    """One question, measured out-of-fold.

    Attributes:
        base: Metric -> value of each query with the untouched model [Q].
        adapted: The same with what the folds chose; the base's own where the parts are withdrawn.
        clusters: Queries of one cluster are not independent [Q].
        gallery: Drawings or captions that a query is looked for in: the mean over the folds.
        gain: What is handed over against the base, in mAP.
        measured: What the folds' choices gained in mAP, before anything was withdrawn.
        parts: Part -> its gain in mAP where it was chosen alone.
        chosen: What each fold chose.
        kept: What is handed over, learned from everything.
    """

    base: Mapping[str, FloatArray]
    adapted: Mapping[str, FloatArray]
    clusters: IntArray
    gallery: float
    gain: Interval
    measured: Interval
    parts: Mapping[str, Interval]
    chosen: tuple[Setting, ...]
    kept: Setting

    @property
    def untouched(self) -> bool:
        """Whether every fold chose the base."""
        return all(s == _base_of(s) for s in self.chosen)


def switched_on(setting: Setting) -> frozenset[str]:
    """The parts that a setting uses."""
    if isinstance(setting, PictureSetting):
        used = {"picture_head": setting.weight}
    else:
        used = {
            "learned_words": setting.learned,
            "hub_correction": setting.hub,
            "mean_removal": setting.mean,
        }
    used |= {"several_views": float(setting.variant.views), "lora": setting.variant.strength}
    return frozenset(part for part, value in used.items() if value)


def answered(fit: CrossFit, joint: bool) -> dict[str, Answer]:
    """Puts the folds together.

    Args:
        fit: The tables of all folds.
        joint: Whether one choice serves all questions (an update alone, which every question goes through), so that it may
            let none of them fall. Otherwise every question chooses its own parts, and only the update's strength is common.

    Returns:
        Question -> answer. Where what the folds chose did not help when it was measured, the base is kept and reported.
    """
    inside = {k: {q: fit.inside(q, k) for q in fit.questions} for k in fit.folds}
    outside = {q: fit.outside(q) for q in fit.questions}

    def choose_all(tables: Mapping[str, FloatArray]) -> dict[str, int]:
        return _jointly(fit, tables) if joint else _by_question(fit, tables)

    chosen = {k: choose_all(inside[k]) for k in fit.folds}
    kept = choose_all(outside)
    found = {q: _answer(fit, q, {k: chosen[k][q] for k in fit.folds}, kept[q], inside) for q in fit.questions}
    if not joint:
        # What the folds chose may not help when it is measured; such a question keeps its base.
        return {
            q: _withdrawn(a) if a.measured.value <= 0 and not a.untouched else a for q, a in found.items()
        }
    harmed = any(a.measured.high < 0 for a in found.values())
    helped = np.mean([a.measured.value for a in found.values()]) > 0
    if harmed or not helped or not any(kept.values()):
        # Every question goes through the update: where it harms one after all, none gets it.
        return {q: _withdrawn(a) for q, a in found.items()}
    return found


def _by_question(fit: CrossFit, tables: Mapping[str, FloatArray]) -> dict[str, int]:
    """Row of each question's choice; of the update's strengths, the one that all questions together gain most with."""
    strengths = {s.variant.strength for q in fit.questions for s in fit.settings[q]} - {0.0}
    best: dict[str, int] = {}
    most = -1.0
    for strength in sorted(strengths) or [0.0]:
        rows = {
            q: choose(
                tables[q],
                [
                    n
                    for n, s in enumerate(fit.settings[q])
                    if s.variant.strength in (0.0, strength) and eligible(s)
                ],
            )
            for q in fit.questions
        }
        gain = float(np.mean([_mean_gain(tables[q], row) for q, row in rows.items()]))
        if gain > most:
            best, most = rows, gain
    return best


def _mean_gain(table: FloatArray, row: int) -> float:
    return float((table[row] - table[0]).mean()) if table.shape[1] else 0.0


def _jointly(fit: CrossFit, tables: Mapping[str, FloatArray]) -> dict[str, int]:
    """The same row for every question: the update's strength, half as long as nothing speaks against it.

    It falls where a question falls by more than a standard error, to nothing where even the least harms; it rises where
    that helps all questions together by more than a standard error and lets none fall.
    """
    strengths = [s.variant.strength for s in next(iter(fit.settings.values()))]
    order = sorted(range(len(strengths)), key=lambda row: strengths[row])
    asked = [t for t in tables.values() if t.shape[1] >= 2]
    place = next(n for n, row in enumerate(order) if strengths[row] >= min(PRIOR, max(strengths)))

    def falls(row: int) -> bool:
        return any(_cautious(t[row] - t[0], -1.0) < 0 for t in asked)

    lowered = place
    while lowered and falls(order[lowered]):
        lowered -= 1
    if lowered == place:
        for higher in range(place + 1, len(order)):
            steps = [t[order[higher]] - t[order[place]] for t in asked]
            if not falls(order[higher]) and steps and np.mean([_cautious(d, CAUTION) for d in steps]) > 0:
                lowered = place = higher
    return dict.fromkeys(fit.questions, order[lowered])


def _cautious(difference: FloatArray, errors: float) -> float:
    """The mean of differences [Q] less some standard errors of it."""
    return float(difference.mean() - errors * difference.std(ddof=1) / np.sqrt(len(difference)))


def _answer(
    fit: CrossFit,
    question: str,
    rows: Mapping[int, int],
    kept: int,
    inside: Mapping[int, Mapping[str, FloatArray]],
) -> Answer:
    settings = fit.settings[question]
    folds = fit.asked(question)
    clusters = np.concatenate([fit.asking[k].questions.task(question).clusters for k in folds])
    galleries = [len(fit.asking[k].questions.task(question).gallery) for k in folds]

    def values(row_of: Callable[[int], int]) -> dict[str, FloatArray]:
        of_folds = [fit.asking[k].values(question, settings[row_of(k)]) for k in folds]
        common = [name for name in of_folds[0] if all(name in found for found in of_folds)]
        return {name: np.concatenate([found[name] for found in of_folds]) for name in common}

    def gain(row_of: Callable[[int], int]) -> Interval:
        base = np.concatenate([fit.outer[k][question][0] for k in folds])
        adapted = np.concatenate([fit.outer[k][question][row_of(k)] for k in folds])
        return bootstrap.paired_bootstrap(base, adapted, clusters)

    parts = {}
    for part in PARTS:
        alone = [n for n, s in enumerate(settings) if switched_on(s) == {part}]
        if alone:
            choice = {k: choose(inside[k][question], alone) for k in folds}
            parts[part] = gain(choice.__getitem__)
    base = values(lambda k: 0)
    measured = gain(rows.__getitem__)
    return Answer(
        base, values(rows.__getitem__), clusters, float(np.mean(galleries)), measured, measured, parts,
        tuple(settings[rows[k]] for k in fit.folds), settings[kept],
    )  # fmt: skip


def _withdrawn(answer: Answer) -> Answer:
    """The same question with the base handed over."""
    base = answer.base["mAP"]
    nothing = bootstrap.paired_bootstrap(base, base, answer.clusters)
    return replace(answer, adapted=answer.base, gain=nothing, kept=_base_of(answer.kept))


def _base_of(setting: Setting) -> Setting:
    return type(setting)(variant=PLAIN)


def used_parts(answers: Mapping[str, Answer]) -> frozenset[str]:
    """The parts that any question keeps."""
    return frozenset().union(*(switched_on(a.kept) for a in answers.values()))


def kept_strength(answers: Mapping[str, Answer]) -> float:
    """The strength of the update that the questions which use it agree on; 0 where none does."""
    return max((a.kept.variant.strength for a in answers.values()), default=0.0)


def share_of_folds(chosen: Sequence[Setting], part: str) -> float:
    """The share of the folds that chose a part."""
    return sum(part in switched_on(s) for s in chosen) / max(1, len(chosen))
