"""`intake`: cuts the drawings out of photographed or scanned sketchbook pages."""

from __future__ import annotations

import argparse
from pathlib import Path

from clip_atelier.cli.command import Command, Outcome, Session
from clip_atelier.cli.text import table
from clip_atelier.engine.core import N_, UserError, _, paths

_CLOSEST, _FURTHEST = 0.5, 30.0


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "pages",
        type=Path,
        nargs="+",
        metavar=_("PAGE"),
        help=_("photographs or scans of pages, PDF files, or folders of them"),
    )
    parser.add_argument(
        "--into",
        type=Path,
        required=True,
        metavar=_("FOLDER"),
        help=_("the folder for the drawings, such as one in your collection; nothing is overwritten"),
    )
    parser.add_argument(
        "--gap",
        type=float,
        default=5.0,
        metavar=_("PERCENT"),
        help=_("how near the parts of one drawing lie, in percent of the page's shorter side [5]"),
    )
    parser.add_argument(
        "--keep-paper",
        action="store_true",
        help=_("leave the paper as it is, instead of making it even white"),
    )


def _run(args: argparse.Namespace, session: Session) -> Outcome:
    from clip_atelier.engine.intake import take_pages

    if not _CLOSEST <= args.gap <= _FURTHEST:
        raise UserError(
            _("--gap must be from {least} to {most}.").format(least=_CLOSEST, most=_FURTHEST),
            _("Leave it out for 5."),
            "gap",
        )
    found = session.drive(
        take_pages(args.pages, args.into, session.control, gap=args.gap / 100, even=not args.keep_paper)
    )
    text = _("{drawings} drawings of {pages} pages are in {folder}.").format(
        drawings=found.drawings, pages=found.pages, folder=paths.shown(found.folder)
    )
    if found.already:
        text += "\n" + _("Taken in before, and left as they are: {count}").format(count=len(found.already))
    if found.problems:
        rows = [(one.path, one.reason) for one in found.problems]
        text += "\n\n" + table((_("left out"), _("reason")), rows)
    return Outcome(found.as_json(), text)


COMMAND = Command(
    "intake",
    N_("cut the drawings out of photographed or scanned sketchbook pages"),
    _arguments,
    _run,
)
