"""A report on one page: what the runs did for retrieval, how that was measured, and what it was measured with.

One HTML file in the current language that needs nothing else: no script, no font, no picture from outside.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from clip_atelier import __version__
from clip_atelier.engine.core import Check, Phase, UserError, Work, _, i18n, paths, write_whole
from clip_atelier.engine.evaluation import METRICS, TASKS, Mark, Row, comparison, significance
from clip_atelier.engine.reports import plots
from clip_atelier.engine.reports.plots import text
from clip_atelier.engine.reports.written import WrittenReport
from clip_atelier.engine.runs import Difference, RunFolder
from clip_atelier.engine.settings import DECLARED, written

SUFFIXES: Final = (".html", ".htm")
_SHOWN: Final = ("R@1", "mAP")  # in the table of several runs
_STYLE: Final = """
@page { size: A4; margin: 10mm; }
body { font: 12px/1.45 Pretendard, "Noto Sans KR", "Apple SD Gothic Neo", "Malgun Gothic", system-ui, sans-serif;
  color: #23211e; background: #fff; max-width: 980px; margin: 24px auto; padding: 0 16px; }
h1 { font-size: 20px; margin: 0 0 2px; } h2 { font-size: 14px; margin: 18px 0 6px; } p { margin: 0 0 6px; }
.muted { color: #6a645b; } .gain { color: #0b5fa5; } .loss { color: #b45309; } .strong { font-weight: 600; }
table { border-collapse: collapse; width: 100%; }
th { text-align: left; font-weight: 600; color: #6a645b; border-bottom: 1px solid #bdb6aa; padding: 3px 8px 3px 0; }
td { border-bottom: 1px solid #e2ddd4; padding: 3px 8px 3px 0; vertical-align: top; }
table { font-variant-numeric: tabular-nums; } td, th { white-space: nowrap; } .long { white-space: normal; }
.wide { overflow-x: auto; } .number { text-align: right; } .close td, .close th { font-size: 11px; padding-right: 6px; }
.mark { border: 1px solid #0b5fa5; border-radius: 4px; padding: 0 4px; font-size: 10px; color: #0b5fa5;
  white-space: nowrap; }
.figures { display: flex; flex-wrap: wrap; gap: 16px; } figure { margin: 0; flex: 1 1 300px; min-width: 0; }
figure svg { max-width: 100%; height: auto; } figcaption { color: #6a645b; }
code { font-family: ui-monospace, Menlo, Consolas, monospace; font-size: 11px; overflow-wrap: anywhere; }
@media print { body { font-size: 8.5px; line-height: 1.3; margin: 0; padding: 0; max-width: none; }
  h1 { font-size: 15px; } h2 { font-size: 10.5px; margin: 8px 0 2px; break-after: avoid; } p { margin: 0 0 3px; }
  td, th { padding: 1px 4px 1px 0; font-size: 7.5px; line-height: 1.25; } .mark { font-size: 7px; padding: 0 3px; }
  .close td, .close th { font-size: 7px; padding-right: 3px; } .wide { overflow: visible; }
  .figures { flex-wrap: nowrap; } figure { flex: 1 1 0; } figure svg { max-height: 172px; }
  .notes { columns: 2; column-gap: 18px; font-size: 8px; margin-top: 8px; } .notes h2:first-child { margin-top: 0; }
  .notes p { margin-bottom: 2px; } .notes td { vertical-align: top; } code { font-size: 7px; } }
"""


def report(runs: Sequence[RunFolder], out: Path, measure: str = "") -> Work[WrittenReport]:
    """Writes the report of some runs.

    Args:
        runs: The runs, in the order in which they are to stand.
        out: The HTML file.
        measure: direction/metric that the runs are judged by; the verdicts' own where left out.

    Returns:
        Where it is and what it is about.

    Raises:
        UserError: no runs, a run that cannot be read, or another kind of file.
        WorkError: the file cannot be written.
    """
    check_name(out)
    if not runs:
        raise UserError(_("There is no run to report on."), _("Train one first."), "run")
    yield Phase(name="report", title=_("Writing the report"))
    page, key = document(runs, measure)
    write_whole(out, page.encode("utf-8"), _("Choose another place for it."))
    return WrittenReport(path=str(out), runs=tuple(run.id for run in runs), measure=key)


def check_name(out: Path) -> None:
    """Refuses a file that is no HTML by its name, before any work is done for it.

    Raises:
        UserError: the suffix is not .html.
    """
    if out.suffix.lower() not in SUFFIXES:
        raise UserError(
            _("“{path}” does not end in .html.").format(path=paths.shown(out)),
            _("The report is one HTML page; name it so."),
        )


def document(runs: Sequence[RunFolder], measure: str = "") -> tuple[str, str]:
    """The page, and the measure its runs are judged by.

    Raises:
        UserError: a run cannot be read.
    """
    rows = [comparison.row(run) for run in runs]
    headlines = Counter(row.primary_metric for row in rows if row.primary_metric)
    key = measure or (headlines.most_common(1)[0][0] if headlines else "")
    marks = comparison.marks(rows, key)
    curves = {run.id: _curve(run, key) for run in runs}
    leading = next((row for row in rows if marks.get(row.run) == "best"), None)
    leading = leading or next((row for row in rows if row.measured), rows[0])
    parts = [
        _head(rows),
        _verdict(rows, key, marks, leading),
        _table(rows, key, marks) if len(rows) > 1 else "",
        _figures(rows, key, marks, curves),
        _metrics(leading, several=len(rows) > 1),
        f"<section class='notes'>{_settings(rows)}{_method(rows, key)}{_origins(rows)}</section>",
    ]
    page = (
        f"<!doctype html><html lang='{i18n.language()}'><head><meta charset='utf-8'>"
        "<meta http-equiv='Content-Security-Policy' content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>{text(_title(rows))}</title><style>{_STYLE}</style></head><body>{''.join(parts)}</body></html>\n"
    )
    return page, key


# Parts of the page


def _title(rows: Sequence[Row]) -> str:
    names = dict.fromkeys(Path(row.folder).name for row in rows)
    return _("What the adaptation did: {collection}").format(collection=", ".join(names))


def _head(rows: Sequence[Row]) -> str:
    when = time.strftime("%Y-%m-%d %H:%M")
    line = _("{count} runs, written {when} by CLIP Atelier {version}") if len(rows) > 1 else _(
        "1 run, written {when} by CLIP Atelier {version}"
    )  # fmt: skip
    words = line.format(count=len(rows), when=when, version=__version__)
    return f"<h1>{text(_title(rows))}</h1><p class='muted'>{text(words)}</p>"


def _verdict(rows: Sequence[Row], key: str, marks: Mapping[str, Mark], leading: Row) -> str:
    said = [comparison.conclusion(rows, key, marks)] if len(rows) > 1 else []
    word = leading.verdict(key) if key else ""
    if word:
        change = leading.difference(key)
        said.append(
            significance.sentence(
                word, key, leading.value(key, "base"), leading.value(key),
                dict(leading.result.difference)
                | {key: Difference(value=change.value, low=change.low, high=change.high)},
            )
        )  # fmt: skip
    else:
        said.append(_("Base and adapted model were not compared: the run did not come to its end."))
    return "".join(f"<p class='strong'>{text(sentence)}</p>" for sentence in said if sentence)


def _table(rows: Sequence[Row], key: str, marks: Mapping[str, Mark]) -> str:
    names = comparison.varied(rows)
    task = key.rpartition("/")[0]
    measured = [f"{task}/{metric}" for metric in _SHOWN]
    if key and key not in measured:
        measured.insert(0, key)
    measured = [one for one in measured if any(math.isfinite(row.value(one)) for row in rows)]
    heads = [_("Run"), *(_short(name) for name in names), _("Parameters"), _("Seconds")]
    heads += [one.rpartition("/")[2] for one in measured]
    lines = [_cells([(head, "") for head in [*heads, _("Verdict")]], "th")]
    for row in rows:
        mark = {"best": _("best"), "as good": _("as good")}.get(marks.get(row.run, ""), "")
        plate = f" <span class='mark'>{text(mark)}</span>" if mark else ""
        cells = [f"<td class='long'>{text(_name(row))}{plate}</td>"]
        cells += [f"<td>{text(written(row.settings.get(name)))}</td>" for name in names]
        count, seconds = row.result.trainable_parameters, row.result.seconds
        cells += [
            f"<td class='number'>{text(f'{count:,}' if row.measured else '–')}</td>",
            f"<td class='number'>{text(f'{seconds:,.1f}' if row.measured else '–')}</td>",
            *(_change(row, one) for one in measured),
        ]
        word = row.verdict(key)
        cells.append(f"<td class='long {_tone(word)}'>{text(_word(word))}</td>")
        lines.append(f"<tr>{''.join(cells)}</tr>")
    title = _("The runs, judged by {measure}").format(measure=_measure(key))
    return _heading(title) + f"<section class='wide'><table>{''.join(lines)}</table></section>"


def _change(row: Row, key: str) -> str:
    if not math.isfinite(row.value(key)):
        return "<td>–</td>"
    metric = key.rpartition("/")[2]
    before, after = _value(row.value(key, "base"), metric), _value(row.value(key), metric)
    return (
        f"<td>{text(before)} → <span class='strong'>{text(after)}</span><br>"
        f"<span class='{_tone(row.verdict(key)) or 'muted'}'>{text(comparison.spoken(row.difference(key), key))}</span></td>"
    )


def _figures(
    rows: Sequence[Row],
    key: str,
    marks: Mapping[str, Mark],
    curves: Mapping[str, tuple[plots.Curve, float | None]],
) -> str:
    if not key:
        return ""
    metric = METRICS.get(key.rpartition("/")[2])
    better = 1 if metric is None or metric.direction == "up" else -1
    words = {"best": _("best"), "as good": _("as good")}
    bars = []
    for row in rows:
        change = row.difference(key)
        bars.append(
            plots.Bar(
                _name(row),
                change.value,
                change.low,
                change.high,
                better,
                words.get(marks.get(row.run, ""), ""),
            )
        )
    drawn = [curve for curve, _base in curves.values() if curve.x]
    bases = {base for _curve, base in curves.values() if base is not None}
    level = bases.pop() if len(bases) == 1 else None
    one = _("Difference to the untouched base, with its 95 % interval: {measure}").format(
        measure=_measure(key)
    )
    two = _("On the validation images while learning, by epoch; a dot marks the checkpoint that was kept, the dashed line the untouched base: {measure}").format(
        measure=_measure(key)
    )  # fmt: skip
    if len(drawn) > len(plots.SERIES):
        two += " " + _("The first {count} runs are drawn.").format(count=len(plots.SERIES))
    found = [f"<figure>{plots.intervals(bars, one)}<figcaption>{text(one)}</figcaption></figure>"]
    if drawn:
        plot = plots.curves(drawn, two, level)
        found.append(f"<figure>{plot}<figcaption>{text(two)}</figcaption></figure>")
    return _heading(_("In pictures")) + f"<div class='figures'>{''.join(found)}</div>"


def _metrics(row: Row, *, several: bool) -> str:
    """Every metric of one run: a line for each, with the questions side by side."""
    if not row.measured:
        return ""
    title = _("All measures of {run}").format(run=_name(row)) if several else _("All measures")
    directions = dict.fromkeys(key.rpartition("/")[0] for key in row.result.base)
    metrics = dict.fromkeys(key.rpartition("/")[2] for key in row.result.base)
    chance, queries = row.result.chance, row.result.queries
    measure = _("Measure")
    top, heads = ["<th></th>"], [f"<th>{text(measure)}</th>"]
    for task in directions:
        gallery = row.result.gallery.get(task, "–")
        words = _("{direction} ({queries} queries, {gallery} to choose from)").format(
            direction=_(TASKS.get(task, task)),
            queries=queries.get(task, "–"),
            gallery=gallery,
        )
        top.append(f"<th colspan='3'>{text(words)}</th>")
        three = (_("Chance"), _("Base → adapted"), _("Difference (95 % interval)"))
        heads += [f"<th>{text(head)}</th>" for head in three]
    lines = [f"<tr>{''.join(top)}</tr>", f"<tr>{''.join(heads)}</tr>"]
    for metric in metrics:
        cells = [f"<td>{text(metric)}</td>"]
        for task in directions:
            key = f"{task}/{metric}"
            change = comparison.spoken(row.difference(key), key) if math.isfinite(row.value(key)) else ""
            before, after = _value(row.value(key, "base"), metric), _value(row.value(key), metric)
            cells += [
                f"<td class='muted'>{text(_value(chance.get(key), metric))}</td>",
                f"<td>{text(before)} → <span class='strong'>{text(after)}</span></td>",
                f"<td class='{_tone(row.verdict(key))}'>{text(change)}</td>",
            ]
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return _heading(title) + f"<section class='wide'><table class='close'>{''.join(lines)}</table></section>"


def _settings(rows: Sequence[Row]) -> str:
    """What all runs share; where they differ stands in the table."""
    differing = set(comparison.varied(rows))
    names = [name for name in DECLARED if name not in differing and name in rows[0].settings]
    values = [f"{text(name)} = {text(_setting(rows[0], name))}" for name in names]
    if not values:
        return ""
    title = _("Settings that all runs share") if len(rows) > 1 else _("Settings")
    return _heading(title) + f"<p><code>{'; '.join(values)}</code></p>"


def _setting(row: Row, name: str) -> str:
    value = written(row.settings[name])
    # A report is handed on; where things lie on this machine is nobody's business.
    return Path(value).name if name == "model.name" else value or "–"


def _method(rows: Sequence[Row], key: str) -> str:
    said = [*dict.fromkeys(_split(row) for row in rows if row.measured)]
    said += [
        _(
            "The untouched base answers the very same questions: the difference is paired by query. Its interval holds the "
            "middle 95 % of 2,000 resamples of the queries, drawn together where they belong together (captions of one "
            "image, the halves of a pair, near-duplicates)."
        ),
        _(
            "“Best” is said only where the interval excludes zero. “As good” are runs that also gained, and whose difference "
            "to the best, paired by query, has an interval that holds zero. Only runs with the same questions are compared."
        ),
    ]
    if sum(row.measured for row in rows) > 1:
        said.append(
            _("The best of several runs is also a little lucky: expect somewhat less of it on new images.")
        )
    alike: dict[str, list[str]] = {}
    for name in _named(rows, key):
        alike.setdefault(METRICS[name].explanation, []).append(name)
    said += [f"{', '.join(names)}: {_(explanation)}" for explanation, names in alike.items()]
    said.append(_("Chance is what a random order of the same gallery would reach on average."))
    return _heading(_("How it was measured")) + "".join(f"<p>{text(one)}</p>" for one in said)


def _named(rows: Sequence[Row], key: str) -> list[str]:
    names = dict.fromkeys(
        [key.rpartition("/")[2], *(one.rpartition("/")[2] for one in comparison.keys(rows))]
    )
    return [name for name in names if name in METRICS]


def _split(row: Row) -> str:
    split = row.result.split
    counts = {"train": split.train, "validation": split.validation, "test": split.test}
    if row.result.measured_on == "test":
        return _(
            "{train} images were trained on, {validation} chose the checkpoint and the strength, and all numbers in the "
            "tables come from {test} images that took no part in either."
        ).format(**counts)
    return _(
        "{train} images were trained on. The {validation} images that are measured also chose the checkpoint and the "
        "strength, because the collection is too small to keep others: expect a little less on new images."
    ).format(**counts)


def _origins(rows: Sequence[Row]) -> str:
    models = {row.model.fingerprint: row.model.name for row in rows if row.model}
    said = [
        (_("Base model"), f"{paths.shown(Path(name).name)} · {fingerprint}")
        for fingerprint, name in models.items()
    ]
    collections = {row.collection: Path(row.folder).name for row in rows if row.collection}
    said += [(_("Collection"), f"{name} · {fingerprint}") for fingerprint, name in collections.items()]
    proofs = [row.result.base_untouched for row in rows if row.measured]
    if proofs:
        words = (
            _("after each training the base gave the same embeddings bit for bit")
            if all(proofs)
            else _("the base's embeddings could not be reproduced bit for bit in every run")
        )
        said.append((_("Untouched base"), words))
    for versions in dict.fromkeys(tuple(sorted(row.versions.items())) for row in rows if row.versions):
        said.append((_("Versions"), ", ".join(f"{name} {number}" for name, number in versions)))
    said.append((_("Runs"), ", ".join(row.run for row in rows)))
    lines = [
        f"<tr><td class='muted'>{text(a)}</td><td class='long'><code>{text(b)}</code></td></tr>"
        for a, b in said
    ]
    return _heading(_("What it was measured with")) + f"<table>{''.join(lines)}</table>"


# Words and numbers


def _curve(run: RunFolder, key: str) -> tuple[plots.Curve, float | None]:
    """A run's held-out values by epoch, and the untouched base's."""
    checks: dict[int, Check] = {}
    for event in run.events():
        if isinstance(event, Check) and key in event.metrics:
            checks[event.step] = event  # a resumed run repeats some
    ordered = [checks[step] for step in sorted(checks)]
    best = next((check for check in reversed(ordered) if check.best), None)
    curve = plots.Curve(
        run.name,
        tuple(check.epoch for check in ordered),
        tuple(check.metrics[key] for check in ordered),
        (best.epoch, best.metrics[key]) if best is not None else None,
    )
    return curve, ordered[0].metrics[key] if ordered and ordered[0].step == 0 else None


def _heading(words: str) -> str:
    return f"<h2>{text(words)}</h2>"


def _cells(cells: Iterable[tuple[str, str]], tag: str) -> str:
    return "<tr>" + "".join(f"<{tag} class='{kind}'>{text(words)}</{tag}>" for words, kind in cells) + "</tr>"


def _name(row: Row) -> str:
    return row.name or row.run


def _short(name: str) -> str:
    return name.rpartition(".")[2] if name.startswith("lora.") else _(DECLARED[name].title)


def _measure(key: str) -> str:
    task, _slash, metric = key.rpartition("/")
    return f"{_(TASKS.get(task, task))} {metric}"


def _value(value: Any, metric: str) -> str:
    if not isinstance(value, int | float) or not math.isfinite(value):
        return "–"
    return f"{value:.1f}" if metric == "median_rank" else f"{value:.3f}"


def _tone(word: str) -> str:
    return word if word in ("gain", "loss") else ""


def _word(word: str) -> str:
    words = {"gain": _("helped"), "loss": _("made it worse"), "no measurable difference": _("not measurable")}
    return words.get(word, "–")
