"""`runs`: the list of runs; shows, deletes, packs or adds one."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clip_atelier.cli import report
from clip_atelier.cli.arguments import add_common
from clip_atelier.cli.command import Command, Outcome, Session
from clip_atelier.cli.text import table
from clip_atelier.engine import settings
from clip_atelier.engine.core import N_, _, measured, paths
from clip_atelier.engine.settings import Settings, written

if TYPE_CHECKING:
    from clip_atelier.engine.runs import RunFolder, RunSummary

# What the default grid varies: always shown; other settings only where they are not the default.
_ALWAYS = ("lora.r", "lora.lora_alpha", "lora.target_modules")


def _arguments(parser: argparse.ArgumentParser) -> None:
    what = parser.add_subparsers(dest="what", title=_("commands"), metavar=_("COMMAND"))
    add_common(what.add_parser("list", help=_("list every run (the default)")))
    for name, text in (
        ("show", _("show one run's settings and metrics")),
        ("delete", _("delete a run and its files")),
    ):
        one = what.add_parser(name, help=text)
        add_common(one)
        one.add_argument("run", metavar=_("RUN"), help=_("the run's name, as `runs` lists it"))
    pack = what.add_parser("pack", help=_("write a run, whole, into one file for another machine"))
    add_common(pack)
    pack.add_argument("run", metavar=_("RUN"), help=_("the run's name, as `runs` lists it"))
    pack.add_argument(
        "out", type=Path, metavar=_("OUT"), help=_("the file to write, for example flowers.cliprun")
    )
    add = what.add_parser("add", help=_("add a run from such a file"))
    add_common(add)
    add.add_argument("path", type=Path, metavar=_("PATH"))


def _run(args: argparse.Namespace, session: Session) -> Outcome:
    from clip_atelier.engine.runs import Runs, run_packs

    runs = Runs(session.home)
    if args.what == "delete":
        run = runs.open(args.run)
        runs.delete(run.id)
        return Outcome({"deleted": run.id}, _("Run {run} was deleted.").format(run=run.id))
    if args.what == "show":
        return _one(runs.open(args.run))
    if args.what == "pack":
        pack = run_packs.make(runs.open(args.run), args.out)
        return Outcome({"files": [str(pack.path)]}, _("Written: {path}").format(path=paths.shown(pack.path)))
    if args.what == "add":
        return _one(run_packs.add(args.path, session.home))
    rows = [run.summary() for run in runs.list()]
    if not rows:
        return Outcome([], _("There are no runs yet. Start one with “clip-atelier train FOLDER”."))
    return Outcome([row.as_json() for row in rows], _list(rows))


def _one(run: RunFolder) -> Outcome:
    _record, result = run.record, run.result  # a damaged run is an error here, and named
    summary = run.summary()
    values = [(name, written(value)) for name, value in summary.settings.items()]
    parts = [table((_("setting"), _("value")), values)]
    if result is not None:
        parts.append(report.run(result.model_copy(update={"status": summary.status}), everything=True))
    else:
        status = (_("status"), report.status_word(summary.status))
        parts.insert(0, table((_("run"), summary.run), [status]))
    document = {**(result.as_json() if result else {}), **summary.as_json()}
    document.pop("result")
    return Outcome(document, "\n\n".join(parts))


def _list(rows: list[RunSummary]) -> str:
    primary_metric = next((row.result.primary_metric for row in reversed(rows) if row.result), "")
    lines = []
    for row in rows:
        base, adapted = (
            (row.result.base.get(primary_metric), row.result.adapted.get(primary_metric))
            if row.result
            else (None, None)
        )
        name = row.run if row.name in ("", row.run) else f"{row.run} ({row.name})"
        lines.append(
            (
                name,
                report.status_word(row.status),
                measured(base),
                measured(adapted),
                row.error or changed(row.settings),
            )
        )
    header = (
        _("run"),
        _("status"),
        _("base {metric}").format(metric=primary_metric),
        _("adapted"),
        _("settings"),
    )
    return table(header, lines, right=(2, 3))


def changed(values: Mapping[str, Any]) -> str:
    """The settings that tell runs apart, on one line."""
    defaults = settings.flat(Settings())
    told = [name for name in values if name in _ALWAYS or values[name] != defaults.get(name)]
    return " ".join(f"{name.partition('.')[2]}={written(values[name])}" for name in told)


COMMAND = Command("runs", N_("list the runs; show, delete, pack or add one"), _arguments, _run)
