"""`import`: makes a folder of drawings of what other programs keep in one file for many."""

from __future__ import annotations

import argparse
from pathlib import Path

from clip_atelier.cli.command import Command, Outcome, Session
from clip_atelier.cli.text import table
from clip_atelier.engine.core import N_, _, paths


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "sources",
        type=Path,
        nargs="+",
        metavar=_("SOURCE"),
        help=_("WebDataset shards (.tar), Parquet or Arrow files with pictures, or folders of them"),
    )
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar=_("FOLDER"),
        help=_("the folder to make; an import that was stopped goes on in it"),
    )


def _run(args: argparse.Namespace, session: Session) -> Outcome:
    from clip_atelier.engine.data import import_drawings

    found = session.drive(import_drawings(args.sources, args.out, session.control))
    text = _("{drawings} drawings with {captions} captions are in {folder}.").format(
        drawings=found.drawings, captions=found.captions, folder=paths.shown(found.folder)
    )
    if found.problems:
        rows = [(one.path, one.reason) for one in found.problems]
        text += "\n\n" + table((_("left out"), _("reason")), rows)
    return Outcome(found.as_json(), text)


COMMAND = Command(
    "import",
    N_("make a folder of drawings of WebDataset shards, Parquet files or saved datasets"),
    _arguments,
    _run,
)
