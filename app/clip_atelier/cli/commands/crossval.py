"""`crossval`: what an adaptation would do, measured by folds; nothing is kept."""

from __future__ import annotations

import argparse
from pathlib import Path

from clip_atelier.cli import report
from clip_atelier.cli.arguments import add_preset, add_settings, given
from clip_atelier.cli.command import Command, Outcome, Session
from clip_atelier.engine import settings
from clip_atelier.engine.core import N_, _


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar=_("FOLDER"), help=_("the folder of drawings"))
    parser.add_argument("--folds", type=int, metavar=_("COUNT"), help=_("how many folds (5)"))
    add_preset(parser)
    add_settings(parser)


def _run(args: argparse.Namespace, session: Session) -> Outcome:
    values = given(args)
    if args.folds is not None:
        values["evaluation.folds"] = args.folds
    chosen = settings.build({"evaluation.folds": 5} | values, args.preset or "auto")
    from clip_atelier.engine.models import Models
    from clip_atelier.engine.training import crossval

    result = session.drive(crossval(args.folder, chosen, session.home, Models(session.home), session.control))
    return Outcome(result.as_json(), report.by_folds(result))


COMMAND = Command(
    "crossval",
    N_("measure by folds what an adaptation would do; nothing is kept"),
    _arguments,
    _run,
    N_(
        "Every drawing is a question once, put to a model that has not learned from it. Every setting below can be given; "
        "those that are not come from the preset, else from the default in brackets."
    ),
)
