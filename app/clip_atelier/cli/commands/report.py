"""`report`: one page on some runs, or on all of them."""

from __future__ import annotations

import argparse
from pathlib import Path

from clip_atelier.cli import console
from clip_atelier.cli.command import Command, Outcome, Session
from clip_atelier.engine.core import N_, UserError, _


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "runs",
        nargs="*",
        metavar=_("RUN"),
        help=_(
            "the trainings, as `runs` lists them [every training that has been measured]; - reads a list of them from standard input"
        ),
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.html", help=_("the page to write"))
    parser.add_argument(
        "--measure",
        default="",
        metavar="sketch_to_artwork/R@1",
        help=_("what the trainings are judged by [the measure of their verdicts]"),
    )


def _run(args: argparse.Namespace, session: Session) -> Outcome:
    from clip_atelier.engine.reports import page
    from clip_atelier.engine.runs import Runs

    page.check_name(args.out)
    home = Runs(session.home)
    runs = [home.open(run) for run in console.from_list(args.runs)]
    if not args.runs:
        runs = [run for run in home.list() if run.result]
    if args.measure and not any(args.measure in run.result.base for run in runs if run.result):
        raise UserError(
            _("No training was measured by “{measure}”.").format(measure=args.measure),
            _("`runs show RUN` lists the measures of a training."),
            "--measure",
        )
    result = session.drive(page.report(runs, args.out, args.measure))
    return Outcome(result.as_json(), _("written: {path}").format(path=result.path))


COMMAND = Command(
    "report", N_("write one page with table, plots and method on some trainings"), _arguments, _run
)
