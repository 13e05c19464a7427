"""`scan`: reads a folder as a collection."""

from __future__ import annotations

import argparse
from pathlib import Path

from clip_atelier.cli.arguments import add_settings, given
from clip_atelier.cli.command import Command, Outcome, Session
from clip_atelier.cli.text import table, visible
from clip_atelier.engine import settings
from clip_atelier.engine.core import N_, _


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar=_("FOLDER"), help=_("the folder of drawings"))
    add_settings(parser, ("data",))


def _run(args: argparse.Namespace, session: Session) -> Outcome:
    from clip_atelier.engine.data import scan, scan_cache_file

    data = settings.build(given(args)).data
    cache = scan_cache_file(session.home)
    collection = session.drive(scan(args.folder, data, session.control, cache))
    summary = collection.summary()
    counts = [
        (_("images"), summary.images),
        (_("captions"), summary.captions),
        (_("captions from"), summary.caption_source),
        (_("labels"), summary.labels),
        (_("pairs"), summary.pairs),
        (_("left out"), len(summary.problems)),
        (_("groups of duplicates"), len(summary.duplicates)),
    ]
    parts = [table((_("collection"), ""), counts)]
    if summary.folders:
        folders = [
            (one.name, one.images if one.there else _("not there"), one.folder) for one in summary.folders
        ]
        parts.append(table((_("further folder"), _("images"), _("folder")), folders, right=(1,)))
    if summary.problems:
        rows = [(problem.path, problem.reason) for problem in summary.problems]
        parts.append(table((_("left out"), _("reason")), rows))
    parts += [visible(note) for note in summary.notes]
    return Outcome(summary.as_json(), "\n\n".join(parts))


COMMAND = Command(
    "scan",
    N_("read a folder: images, captions, labels, pairs, and what is left out and why"),
    _arguments,
    _run,
)
