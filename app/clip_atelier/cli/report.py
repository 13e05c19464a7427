"""How the result of a training or an evaluation is shown to people: what the base does, what the adapted model does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clip_atelier.cli.text import duration, number, table
from clip_atelier.engine.core import _

# What is shown where not everything is asked for; `runs show` and `--json` have every metric.
_SHORT = ("R@1", "R@5", "R@10", "mAP", "MRR", "median_rank")


def metrics(result: Mapping[str, Any], everything: bool = False) -> str:
    """Base, adapted and difference of each metric, with the 95 % interval of the difference and the chance level."""
    base, adapted, difference, chance = (
        result.get(key) or {} for key in ("base", "adapted", "difference", "chance")
    )
    rows = []
    for name, value in base.items():
        if not everything and name.rpartition("/")[2] not in _SHORT:
            continue
        gap = difference.get(name) or {}
        digits = 1 if name.endswith("rank") else 3
        rows.append(
            (
                name,
                number(value, digits),
                number(adapted.get(name), digits),
                f"{gap['value']:+.{digits}f}" if gap.get("value") is not None else "",
                f"[{gap['low']:+.{digits}f}, {gap['high']:+.{digits}f}]"
                if gap.get("low") is not None
                else "",
                number(chance.get(name), digits),
            )
        )
    header = (_("metric"), _("base"), _("adapted"), _("difference"), _("95 % interval"), _("chance"))
    return "\n".join([table(header, rows, right=(1, 2, 3, 4, 5)), *_sizes(result)])


def _sizes(result: Mapping[str, Any]) -> list[str]:
    queries, gallery = result.get("queries") or {}, result.get("gallery") or {}
    return [
        _("{direction}: {queries} queries, each against {gallery} images or captions").format(
            direction=task, queries=count, gallery=gallery.get(task, "–")
        )
        for task, count in queries.items()
    ]


def verdict(result: Mapping[str, Any]) -> str:
    """What may be said about the result, in one sentence; empty where nothing was compared."""
    word, primary_metric = str(result.get("verdict") or ""), result.get("headline")
    text = verdict_word(word)
    if word and primary_metric:
        # The stored sentence is in the language of the training; this one is in the reader's.
        from clip_atelier.engine.evaluation import sentence

        before, after = result["base"][primary_metric], result["adapted"][primary_metric]
        text = sentence(word, primary_metric, before, after, result["difference"])
    return _("Verdict: {verdict}").format(verdict=text) if text else ""


def run(result: Mapping[str, Any], everything: bool = False) -> str:
    """A finished training: where it is, its metrics, the verdict."""
    seconds = result.get("seconds")
    lines = [
        _("run {run} ({status}): {path}").format(
            run=result.get("run"), status=status_word(str(result.get("status"))), path=result.get("path")
        ),
        _("{steps} steps in {time}; {count:,} trainable parameters").format(
            steps=result.get("steps"),
            time=duration(seconds or 0),
            count=result.get("trainable_parameters") or 0,
        ),
    ]
    return "\n".join([*lines, "", metrics(result, everything), "", verdict(result)]).rstrip()


def verdict_word(verdict: str) -> str:
    """A verdict in the user's language."""
    words = {
        "gain": _("a gain"),
        "loss": _("a loss"),
        "no measurable difference": _("no measurable difference"),
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
        "waiting": _("waiting"),
    }
    return words.get(status, status)
