"""`runs`: the list of runs; shows, names, compares, archives, deletes, packs or adds one."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clip_atelier.cli import curves, report
from clip_atelier.cli.arguments import add_common
from clip_atelier.cli.command import Command, Outcome, Session
from clip_atelier.cli.text import table
from clip_atelier.engine import settings
from clip_atelier.engine.core import N_, _, measured, paths
from clip_atelier.engine.models import lineage_words
from clip_atelier.engine.settings import PRESETS, Settings, written

if TYPE_CHECKING:
    from clip_atelier.engine.runs import RunFolder, RunSummary

_SAID = {"rename": "name", "note": "note", "tag": "tag"}  # command -> what of a run's label it changes
# What the default grid varies: always shown; other settings only where they are not as in the nearest preset.
_ALWAYS = ("lora.r", "lora.lora_alpha", "lora.target_modules")


def _arguments(parser: argparse.ArgumentParser) -> None:
    what = parser.add_subparsers(dest="what", title=_("commands"), metavar=_("COMMAND"))
    every = what.add_parser("list", help=_("list the trainings (the default)"))
    add_common(every)
    every.add_argument("--archived", action="store_true", help=_("those that are archived, too"))
    for name, text in (
        ("show", _("show one training's settings and metrics")),
        ("delete", _("put a training into the trash")),
    ):
        one = what.add_parser(name, help=text)
        add_common(one)
        one.add_argument("run", metavar=_("RUN"), help=_("the training's name, as `runs` lists it"))
    curves.add_to(what)
    _label_arguments(what)
    pack = what.add_parser("pack", help=_("write a training, whole, into one file for another machine"))
    add_common(pack)
    pack.add_argument("run", metavar=_("RUN"), help=_("the training's name, as `runs` lists it"))
    pack.add_argument(
        "out", type=Path, metavar=_("OUT"), help=_("the file to write, for example flowers.cliprun")
    )
    add = what.add_parser("add", help=_("add a training from such a file"))
    add_common(add)
    add.add_argument("path", type=Path, metavar=_("PATH"))


def _label_arguments(what: Any) -> None:
    """What is said of a run, and in what two differ."""
    from clip_atelier.engine.runs import TAGS

    for name, text, said, told in (
        (
            "rename",
            _("give a training another name"),
            "name",
            _("the new name; empty for the one it was begun with"),
        ),
        ("note", _("write a note on a training"), "note", _("the note; empty takes it away")),
        (
            "tag",
            _("give a training a colour"),
            "tag",
            _("one of: {tags}; empty takes it away").format(tags=", ".join(TAGS[1:])),
        ),
        ("archive", _("leave a training out of lists; nothing is deleted"), "", ""),
        ("unarchive", _("take a training back into lists"), "", ""),
    ):
        one = what.add_parser(name, help=text)
        add_common(one)
        one.add_argument("run", metavar=_("RUN"), help=_("the training's name, as `runs` lists it"))
        if said:
            one.add_argument(said, metavar=said.upper(), help=told)
    diff = what.add_parser("diff", help=_("in what the settings of two trainings differ"))
    add_common(diff)
    diff.add_argument("run", metavar=_("RUN"), help=_("the training's name, as `runs` lists it"))
    diff.add_argument("other", metavar=_("OTHER"), help=_("the training to compare it with"))


def _labelled(run: RunFolder, changes: Mapping[str, Any]) -> Outcome:
    from clip_atelier.engine.runs import relabel

    label = relabel(run.path, **changes)
    lines = [(_("name"), run.name), (_("note"), label.note), (_("colour"), label.tag)]
    lines.append((_("archived"), _("yes") if label.archived else _("no")))
    return Outcome({"run": run.id, **label.as_json()}, table((_("training"), run.id), lines))


def _differing(run: RunFolder, other: RunFolder) -> Outcome:
    from clip_atelier.engine.runs import difference

    found = difference(run, other)
    lines = [(one.setting, one.first, one.second) for one in found.settings]
    text = table((_("setting"), run.name, other.name), lines) if lines else _("Their settings are the same.")
    if found.same_collection is False:
        text += "\n\n" + _("They learned from different drawings or captions.")
    return Outcome(found.as_json(), text)


def _run(args: argparse.Namespace, session: Session) -> Outcome:
    from clip_atelier.engine.runs import Runs, run_packs, run_warning

    runs = Runs(session.home)
    if args.what == "delete":
        chosen = runs.open(args.run)
        warning = run_warning([chosen.id], (run.summary() for run in runs.list()))
        gone = runs.delete(args.run)
        text = _("Training {run} is in the trash; “clip-atelier trash restore {number}” puts it back.")
        said = text.format(run=gone.name, number=gone.number)
        document = {"deleted": gone.name, "warning": warning}
        return Outcome(document, f"{said}\n{warning}".rstrip())
    if args.what == "show":
        return _one(runs.open(args.run))
    if args.what == "curves":
        return curves.outcome(runs.open(args.run), args.out)
    if args.what == "diff":
        return _differing(runs.open(args.run), runs.open(args.other))
    if args.what in _SAID:
        return _labelled(runs.open(args.run), {_SAID[args.what]: getattr(args, _SAID[args.what])})
    if args.what in ("archive", "unarchive"):
        return _labelled(runs.open(args.run), {"archived": args.what == "archive"})
    if args.what == "pack":
        pack = run_packs.make(runs.open(args.run), args.out)
        return Outcome({"files": [str(pack.path)]}, _("Written: {path}").format(path=paths.shown(pack.path)))
    if args.what == "add":
        return _one(run_packs.add(args.path, session.home))
    every = [run.summary() for run in runs.list()]
    rows = [row for row in every if not row.archived or getattr(args, "archived", False)]
    if not rows and every:
        return Outcome([], _("All trainings are archived; “clip-atelier runs list --archived” lists them."))
    if not rows:
        return Outcome([], _("There are no trainings yet. Start one with “clip-atelier train FOLDER”."))
    return Outcome([row.as_json() for row in rows], _list(rows))


def _one(run: RunFolder) -> Outcome:
    record, result = run.record, run.result  # a damaged run is an error here, and named
    summary = run.summary()
    values = [(name, written(value)) for name, value in summary.settings.items()]
    if record.model and record.model.lineage:
        values.append((_("its model was made from"), lineage_words(record.model.lineage)))
    parts = [table((_("setting"), _("value")), values)]
    if result is not None:
        parts.append(report.run(result.model_copy(update={"status": summary.status}), everything=True))
    else:
        status = (_("status"), report.status_word(summary.status))
        parts.insert(0, table((_("training"), summary.run), [status]))
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
        _("training"),
        _("status"),
        _("base {metric}").format(metric=primary_metric),
        _("adapted"),
        _("settings"),
    )
    return table(header, lines, right=(2, 3))


def changed(values: Mapping[str, Any]) -> str:
    """The settings that tell runs apart, on one line: the preset that is nearest, and what is not as it has it.

    Those of LoRA stand by their short names, as PEFT has them.
    """
    other = {name: _unlike(values, start) for name, start in _starts().items()}
    nearest = min(other, key=lambda name: len(other[name]))
    told = [name for name in _ALWAYS if name in values]
    told += [name for name in other[nearest] if name not in _ALWAYS]
    parts = [f"{name.removeprefix('lora.')}={written(values[name])}" for name in told]
    return " ".join([nearest, *parts] if nearest else parts)


@cache
def _starts() -> dict[str, Mapping[str, Any]]:
    """What each preset sets, "" for none."""
    built = {"": Settings()} | {name: settings.build(preset.values) for name, preset in PRESETS.items()}
    return {name: settings.flat(start) for name, start in built.items()}


def _unlike(values: Mapping[str, Any], start: Mapping[str, Any]) -> list[str]:
    return [name for name in values if written(values[name]) != written(start.get(name))]


COMMAND = Command(
    "runs", N_("list the trainings; show, name, compare, archive, delete, pack or add one"), _arguments, _run
)
