"""A report on one page: what the runs did for retrieval, how that was measured, and what it was measured with.

One HTML file in the current language that needs nothing else: no script, no font, no picture from outside.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from markupsafe import Markup

from clip_atelier import __version__
from clip_atelier.engine.core import (
    Check,
    Phase,
    UserError,
    Work,
    _,
    i18n,
    measured,
    paths,
    write_whole,
)
from clip_atelier.engine.evaluation import METRICS, TASKS, Mark, Row, comparison, significance
from clip_atelier.engine.models import lineage_words
from clip_atelier.engine.parts import names as part_names
from clip_atelier.engine.reports import by_question, plots
from clip_atelier.engine.reports.plots import text
from clip_atelier.engine.reports.wording import SHOWN, View, name_of, tone_of, verdict_word
from clip_atelier.engine.reports.written import WrittenReport
from clip_atelier.engine.runs import RunFolder
from clip_atelier.engine.settings import DECLARED, written

if TYPE_CHECKING:
    from jinja2 import Template

SUFFIXES: Final = (".html", ".htm")


def report(runs: Sequence[RunFolder], out: Path, measure: str = "") -> Work[WrittenReport]:
    """Writes the report of some runs.

    Args:
        runs: The runs, in the order in which they are to stand.
        out: The HTML file.
        measure: task/metric that the runs are judged by; the verdicts' own where left out.

    Returns:
        Where it is and what it is about.

    Raises:
        UserError: no runs, a run that cannot be read, or another kind of file.
        WorkError: the file cannot be written.
    """
    check_name(out)
    if not runs:
        raise UserError(_("There is no training to report on."), _("Train one first."), "run")
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
    page = _template().render(
        language=i18n.language(),
        title=_title(rows),
        written=_written(rows),
        verdict=_verdict(rows, key, marks, leading),
        table=_table(rows, key, marks) if len(rows) > 1 else None,
        figures=_figures(rows, key, marks, curves) if key else None,
        questions=by_question.questions(leading, several=len(rows) > 1) if leading.result.questions else None,
        parts=by_question.parts(leading) if leading.result.parts else None,
        metrics=_metrics(leading, several=len(rows) > 1) if leading.measured else None,
        settings=_settings(rows),
        method=_method(rows, key),
        origins=_origins(rows),
    )
    return page, key


def _template() -> Template:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(paths.resources() / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        # Drawings come as Markup; everything else is text, whatever characters it holds.
        finalize=lambda value: value if isinstance(value, Markup) else Markup(text(value)),
    )
    return environment.get_template("report.html")


# Parts of the page


def _title(rows: Sequence[Row]) -> str:
    names = dict.fromkeys(Path(row.folder).name for row in rows)
    return _("What the adaptation did: {collection}").format(collection=", ".join(names))


def _written(rows: Sequence[Row]) -> str:
    when = time.strftime("%Y-%m-%d %H:%M")
    line = _("{count} trainings, written {when} by CLIP Atelier {version}") if len(rows) > 1 else _(
        "1 training, written {when} by CLIP Atelier {version}"
    )  # fmt: skip
    return line.format(count=len(rows), when=when, version=__version__)


def _verdict(rows: Sequence[Row], key: str, marks: Mapping[str, Mark], leading: Row) -> list[str]:
    said = [comparison.conclusion(rows, key, marks)] if len(rows) > 1 else []
    word = leading.verdict(key) if key else ""
    if word:
        change = leading.difference(key)
        said.append(
            significance.sentence(
                word, key, leading.value(key, "base"), leading.value(key),
                dict(leading.result.difference)
                | {key: significance.difference_of(change)},
            )
        )  # fmt: skip
    else:
        said.append(_("Base and adapted model were not compared: the training did not come to its end."))
    return [sentence for sentence in said if sentence]


def _table(rows: Sequence[Row], key: str, marks: Mapping[str, Mark]) -> View:
    names = comparison.varied(rows)
    task = key.rpartition("/")[0]
    columns = [f"{task}/{metric}" for metric in SHOWN]
    if key and key not in columns:
        columns.insert(0, key)
    columns = [one for one in columns if any(math.isfinite(row.value(one)) for row in rows)]
    heads = [_("Training"), *(_short(name) for name in names), _("Parameters"), _("Seconds")]
    heads += [one.rpartition("/")[2] for one in columns]
    plates = {"best": _("best"), "as good": _("as good")}
    lines = [
        {
            "name": name_of(row),
            "mark": plates.get(marks.get(row.run, ""), ""),
            "settings": [written(row.settings.get(name)) for name in names],
            "parameters": f"{row.result.trainable_parameters:,}" if row.measured else "–",
            "seconds": f"{row.result.seconds:,.1f}" if row.measured else "–",
            "changes": [_change(row, one) for one in columns],
            "tone": tone_of(row.verdict(key)),
            "verdict": verdict_word(row.verdict(key)),
        }
        for row in rows
    ]
    title = _("The trainings, judged by {measure}").format(measure=_measure(key))
    return {"title": title, "heads": [*heads, _("Verdict")], "rows": lines}


def _change(row: Row, key: str) -> View:
    """One metric of one run, before and after."""
    metric, there = key.rpartition("/")[2], math.isfinite(row.value(key))
    return {
        "measured": there,
        "before": measured(row.value(key, "base"), metric),
        "after": measured(row.value(key), metric),
        "chance": measured(row.result.chance.get(key), metric),
        "tone": tone_of(row.verdict(key)),
        "words": comparison.spoken(row.difference(key), key) if there else "",
    }


def _figures(
    rows: Sequence[Row],
    key: str,
    marks: Mapping[str, Mark],
    curves: Mapping[str, tuple[plots.Curve, float | None]],
) -> View:
    metric = METRICS.get(key.rpartition("/")[2])
    better = 1 if metric is None or metric.direction == "up" else -1
    words = {"best": _("best"), "as good": _("as good")}
    bars = []
    for row in rows:
        change = row.difference(key)
        bars.append(
            plots.Bar(
                name_of(row),
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
        two += " " + _("The first {count} trainings are drawn.").format(count=len(plots.SERIES))
    found = [{"svg": Markup(plots.intervals(bars, one)), "words": one}]
    if drawn:
        found.append({"svg": Markup(plots.curves(drawn, two, level)), "words": two})
    return {"title": _("In pictures"), "drawn": found}


def _metrics(row: Row, *, several: bool) -> View:
    """Every metric of one run: a line for each, with the questions side by side."""
    title = _("All measures of {run}").format(run=name_of(row)) if several else _("All measures")
    tasks = dict.fromkeys(key.rpartition("/")[0] for key in row.result.base)
    names = dict.fromkeys(key.rpartition("/")[2] for key in row.result.base)
    told = [
        _("{direction} ({queries} queries, {gallery} to choose from)").format(
            direction=_(TASKS.get(task, task)),
            queries=row.result.queries.get(task, "–"),
            gallery=row.result.gallery.get(task, "–"),
        )
        for task in tasks
    ]
    return {
        "title": title,
        "measure": _("Measure"),
        "tasks": told,
        "heads": [_("Chance"), _("Base → adapted"), _("Difference (95 % interval)")],
        "lines": [
            {"name": name, "changes": [_change(row, f"{task}/{name}") for task in tasks]} for name in names
        ],
    }


def _settings(rows: Sequence[Row]) -> View | None:
    """What all runs share; where they differ stands in the table."""
    differing = set(comparison.varied(rows))
    names = [name for name in DECLARED if name not in differing and name in rows[0].settings]
    values = [f"{name} = {_setting(rows[0], name)}" for name in names]
    if not values:
        return None
    title = _("Settings that all trainings share") if len(rows) > 1 else _("Settings")
    return {"title": title, "lines": values}


def _setting(row: Row, name: str) -> str:
    value = written(row.settings[name])
    # A report is handed on; where things lie on this machine is nobody's business.
    return Path(value).name if name == "model.name" else value or "–"


def _method(rows: Sequence[Row], key: str) -> View:
    said = [*dict.fromkeys(_split(row) for row in rows if row.measured)]
    said += [
        _(
            "The untouched base answers the very same questions: the difference is paired by query. Its interval holds the "
            "middle 95 % of 2,000 resamples of the queries, drawn together where they belong together (captions of one "
            "image, the halves of a pair, near-duplicates)."
        ),
        _(
            "“Best” is said only where the interval excludes zero. “As good” are trainings that also gained, and whose difference "
            "to the best, paired by query, has an interval that holds zero. Only trainings with the same questions are compared."
        ),
    ]
    if sum(row.measured for row in rows) > 1:
        said.append(
            _(
                "The best of several trainings is also a little lucky: expect somewhat less of it on new images."
            )
        )
    alike: dict[str, list[str]] = {}
    for name in _named(rows, key):
        alike.setdefault(METRICS[name].explanation, []).append(name)
    said += [f"{', '.join(names)}: {_(explanation)}" for explanation, names in alike.items()]
    said.append(_("Chance is what a random order of the same gallery would reach on average."))
    return {"title": _("How it was measured"), "sentences": said}


def _named(rows: Sequence[Row], key: str) -> list[str]:
    names = dict.fromkeys(
        [key.rpartition("/")[2], *(one.rpartition("/")[2] for one in comparison.keys(rows))]
    )
    return [name for name in names if name in METRICS]


def _split(row: Row) -> str:
    split = row.result.split
    counts = {"train": split.train, "validation": split.validation, "test": split.test}
    if row.result.measured_on == "folds":
        return part_names.measured_by_folds(row.result.folds)
    if row.result.measured_on == "test":
        return _(
            "{train} images were trained on, {validation} chose the checkpoint and the strength, and all numbers in the "
            "tables come from {test} images that took no part in either."
        ).format(**counts)
    return _(
        "{train} images were trained on. The {validation} images that are measured also chose the checkpoint and the "
        "strength, because the collection is too small to keep others: expect a little less on new images."
    ).format(**counts)


def _origins(rows: Sequence[Row]) -> View:
    models = {row.model.fingerprint: row.model for row in rows if row.model}
    said = []
    for fingerprint, model in models.items():
        said.append((_("Base model"), f"{paths.shown(Path(model.name).name)} · {fingerprint}"))
        if model.lineage:
            said.append((_("It was made from"), lineage_words(model.lineage)))
    collections = {row.collection: Path(row.folder).name for row in rows if row.collection}
    said += [(_("Collection"), f"{name} · {fingerprint}") for fingerprint, name in collections.items()]
    proofs = [row.result.base_untouched for row in rows if row.measured]
    if proofs:
        words = (
            _("after each training the base gave the same embeddings bit for bit")
            if all(proofs)
            else _("the base's embeddings could not be reproduced bit for bit in every training")
        )
        said.append((_("Untouched base"), words))
    for versions in dict.fromkeys(tuple(sorted(row.versions.items())) for row in rows if row.versions):
        said.append((_("Versions"), ", ".join(f"{name} {number}" for name, number in versions)))
    said.append((_("Trainings"), ", ".join(row.run for row in rows)))
    return {"title": _("What it was measured with"), "lines": said}


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


def _short(name: str) -> str:
    return name.rpartition(".")[2] if name.startswith("lora.") else _(DECLARED[name].title)


def _measure(key: str) -> str:
    task, _slash, metric = key.rpartition("/")
    return f"{_(TASKS.get(task, task))} {metric}"
