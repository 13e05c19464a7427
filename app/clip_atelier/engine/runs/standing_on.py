"""What stands on a run or a model: asked before either is deleted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from clip_atelier.engine.core import _
from clip_atelier.engine.runs.results import RunSummary

_NAMED = 3


def built_on(runs: Sequence[str], among: Iterable[RunSummary]) -> list[RunSummary]:
    """The runs whose base model has the update of one of `runs` in its weights, those of `runs` left out."""
    return [one for one in among if one.run not in runs and set(one.bases) & set(runs)]


def run_warning(runs: Sequence[str], among: Iterable[RunSummary]) -> str:
    """A sentence where others were trained on from runs that are to be deleted; else ""."""
    found = built_on(runs, among)
    if not found:
        return ""
    return _(
        "Trained on from it: {runs}. They stay usable, since its update is part of their model; what it learned from and how can "
        "then no longer be looked up."
    ).format(runs=_named(found))


def model_warning(model: str, among: Iterable[RunSummary]) -> str:
    """A sentence where runs need a model that is to be removed; else ""."""
    found = [one for one in among if one.settings.get("model.name") == model]
    if not found:
        return ""
    return _(
        "These trainings need “{model}”: {runs}. Without it they cannot be searched with, measured or exported."
    ).format(model=model, runs=_named(found))


def _named(found: Sequence[RunSummary]) -> str:
    names = ", ".join(f"“{one.name or one.run}”" for one in found[:_NAMED])
    more = len(found) - _NAMED
    return _("{names} and {count} more").format(names=names, count=more) if more > 0 else names
