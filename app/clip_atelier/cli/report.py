"""How the result of a training or an evaluation is shown to people: what the base does, what the adapted model does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clip_atelier.cli.text import table
from clip_atelier.engine.core import _, duration, measured, signed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from clip_atelier.engine.runs import Comparison, CrossValidation, PartGain, QuestionResult, TrainResult

# What is shown where not everything is asked for; `runs show` and `--json` have every metric.
_SHORT = ("R@1", "R@5", "R@10", "mAP", "MRR", "median_rank")


def metrics(result: Comparison, everything: bool = False) -> str:
    """Base, adapted and difference of each metric, with the 95 % interval of the difference and the chance level."""
    base, adapted, difference, chance = result.base, result.adapted, result.difference, result.chance
    rows = []
    for name, value in base.items():
        if not everything and name.rpartition("/")[2] not in _SHORT:
            continue
        gap = difference.get(name)
        rows.append(
            (
                name,
                measured(value, name),
                measured(adapted.get(name), name),
                signed(gap.value, name) if gap and gap.value is not None else "",
                f"[{signed(gap.low, name)}, {signed(gap.high, name)}]" if gap and gap.low is not None else "",
                measured(chance.get(name), name),
            )
        )
    header = (_("metric"), _("base"), _("adapted"), _("difference"), _("95 % interval"), _("chance"))
    return "\n".join([table(header, rows, right=(1, 2, 3, 4, 5)), *_sizes(result)])


def _sizes(result: Comparison) -> list[str]:
    return [
        _("{direction}: {queries} queries, each against {gallery} images or captions").format(
            direction=task, queries=count, gallery=result.gallery.get(task, "–")
        )
        for task, count in result.queries.items()
    ]


def verdict(result: Comparison) -> str:
    """What may be said about the result, in one sentence; empty where nothing was compared."""
    word, primary_metric = result.verdict, result.primary_metric
    text = verdict_word(word)
    if word and primary_metric:
        # The stored sentence is in the language of the training; this one is in the reader's.
        from clip_atelier.engine.evaluation import sentence

        before, after = (side.get(primary_metric) for side in (result.base, result.adapted))
        text = sentence(word, primary_metric, before or 0.0, after or 0.0, result.difference)
    return _("Verdict: {verdict}").format(verdict=text) if text else ""


def run(result: TrainResult, everything: bool = False) -> str:
    """A finished training: where it is, its metrics, the verdict."""
    lines = [
        _("training {run} ({status}): {path}").format(
            run=result.run, status=status_word(result.status), path=result.path
        ),
        _("{steps} steps in {time}; {count:,} trainable parameters").format(
            steps=result.steps,
            time=duration(result.seconds),
            count=result.trainable_parameters,
        ),
    ]
    if result.verdict == "too few to measure" and not everything:
        return "\n".join([*lines, "", verdict(result)])  # numbers of a handful of drawings would only mislead
    return "\n".join([*lines, "", metrics(result, everything), "", verdict(result)]).rstrip()


def by_folds(result: CrossValidation) -> str:
    """A comparison by folds: its questions, what each part does, and what it comes to in a paragraph."""
    lines = [result.protocol, "", questions(result.questions)]
    if result.parts:
        lines += ["", parts(result.parts)]
    return "\n".join([*lines, "", result.summary]).rstrip()


def questions(found: Mapping[str, QuestionResult]) -> str:
    """One line a question: mAP with its interval, and R@1."""
    rows = []
    for name, one in found.items():
        gap = one.difference.get("mAP")
        rows.append(
            (
                name,
                str(one.queries),
                measured(one.base.get("mAP"), "mAP"),
                measured(one.adapted.get("mAP"), "mAP"),
                signed(gap.value, "mAP") if gap and gap.value is not None else "",
                f"[{signed(gap.low, 'mAP')}, {signed(gap.high, 'mAP')}]"
                if gap and gap.low is not None
                else "",
                f"{measured(one.base.get('R@1'), 'R@1')} → {measured(one.adapted.get('R@1'), 'R@1')}",
                verdict_word(one.verdict),
            )
        )
    header = (
        _("question"), _("asked"), _("base mAP"), _("adapted"), _("difference"), _("95 % interval"), "R@1", _("verdict"),
    )  # fmt: skip
    return table(header, rows, right=(1, 2, 3, 4, 5, 6))


def parts(found: Sequence[PartGain]) -> str:
    """What each part alone does for each question."""
    rows = [
        (
            one.name,
            one.question,
            signed(one.gain.value, "mAP") if one.gain.value is not None else "",
            f"[{signed(one.gain.low, 'mAP')}, {signed(one.gain.high, 'mAP')}]"
            if one.gain.low is not None
            else "",
            _("kept") if one.kept else "",
        )
        for one in found
    ]
    return table((_("part"), _("question"), _("gain alone"), _("95 % interval"), ""), rows, right=(2, 3))


def verdict_word(verdict: str) -> str:
    """A verdict in the user's language."""
    words = {
        "gain": _("a gain"),
        "loss": _("a loss"),
        "no measurable difference": _("no measurable difference"),
        "too few to measure": _("too few to measure"),
    }
    return words.get(verdict, verdict)


def status_word(status: str) -> str:
    """A run's status in the user's language."""
    words = {
        "running": _("running"),
        "done": _("done"),
        "stopped": _("stopped"),
        "failed": _("failed"),
        "interrupted": _("interrupted"),
        "damaged": _("damaged"),
        "waiting": _("waiting"),
    }
    return words.get(status, status)
