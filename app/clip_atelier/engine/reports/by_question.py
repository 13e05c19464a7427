"""The sections of a report that go question by question: what became of each, and what each part does for it."""

from __future__ import annotations

from clip_atelier.engine.core import _, measured, with_interval
from clip_atelier.engine.evaluation import TASKS, Row
from clip_atelier.engine.parts import names as part_names
from clip_atelier.engine.reports.wording import SHOWN, View, name_of, tone_of, verdict_word
from clip_atelier.engine.runs import Difference


def questions(row: Row, *, several: bool) -> View:
    """What became of each question of a run, and what was done."""
    result = row.result
    title = _("Questions of {run}").format(run=name_of(row)) if several else _("Questions")
    lines = [
        {
            "name": _(TASKS.get(name, name)),
            "queries": f"{found.queries:,}",
            "changes": [
                {
                    "before": measured(found.base.get(metric), metric),
                    "after": measured(found.adapted.get(metric), metric),
                    "words": _interval(found.difference.get(metric), metric),
                }
                for metric in SHOWN
            ],
            "tone": tone_of(found.verdict),
            "verdict": verdict_word(found.verdict),
        }
        for name, found in sorted(result.questions.items(), key=lambda item: _place(item[0]))
    ]
    left = [sentence for sentence in result.skipped if sentence not in result.summary]
    return {
        "title": title,
        "heads": [_("Question"), _("Queries"), *SHOWN, _("Verdict")],
        "lines": lines,
        "sentences": [sentence for sentence in (result.summary, *left) if sentence],
    }


def parts(row: Row) -> View:
    """What each part does alone: a line for each, with the questions side by side."""
    found = {(part.name, part.question): part for part in row.result.parts}
    asked = sorted({question for _part, question in found}, key=_place)
    names = [name for name in part_names.TITLES if any((name, question) in found for question in asked)]
    lines = []
    for name in names:
        cells = []
        for question in asked:
            part = found.get((name, question))
            above = part is not None and part.gain.low is not None and part.gain.low > 0
            cells.append(
                {
                    "words": _interval(part.gain, "mAP") if part else "–",
                    "tone": "gain" if above else "muted",
                    "kept": part is not None and part.kept,
                }
            )
        lines.append({"name": _(part_names.TITLES[name]), "cells": cells})
    return {
        "title": _("What each part does"),
        "note": _(
            "Gain in mAP of each part alone, with its 95 % interval, on drawings that were not learned from."
        ),
        "kept": _("kept"),
        "heads": [_("Part"), *(_(TASKS.get(question, question)) for question in asked)],
        "lines": lines,
    }


def _place(question: str) -> tuple[int, str]:
    """Where a question stands among others."""
    known = list(TASKS)
    return (known.index(question) if question in TASKS else len(known), question)


def _interval(change: Difference | None, metric: str) -> str:
    return with_interval(change.value, change.low, change.high, metric) if change else "–"
