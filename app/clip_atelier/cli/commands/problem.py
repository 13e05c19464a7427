"""`problem`: what helps to find a fault, to be read before it is given to anybody."""

from __future__ import annotations

import argparse
from pathlib import Path

from clip_atelier.cli.command import Command, Outcome, Session
from clip_atelier.cli.text import visible
from clip_atelier.engine.core import N_, _, must_be_free, paths, write_whole


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out", type=Path, metavar=_("OUT"), help=_("save it here; without it is only shown")
    )


def _run(args: argparse.Namespace, session: Session) -> Outcome:
    from clip_atelier.engine.upkeep import problem_report

    report = problem_report(session.home)
    shown = "\n".join(map(visible, report.text.splitlines()))
    if args.out is None:
        return Outcome(report.as_json() | {"text": report.text}, shown)
    must_be_free(args.out)
    write_whole(args.out, report.text.encode("utf-8", "backslashreplace"), _("Choose another place for it."))
    written = _("Written: {path}").format(path=paths.shown(args.out))
    return Outcome(report.as_json() | {"files": [str(args.out)]}, f"{shown}\n\n{written}")


COMMAND = Command(
    "problem",
    N_("put together a report of a problem, without names, captions or pictures, and show it"),
    _arguments,
    _run,
    N_(
        "Nothing is sent anywhere. Read it, write into it what happened, and give it to whom you like: it holds versions, the "
        "machine, settings, how trainings ended and the last lines of the log, with all names taken out."
    ),
)
