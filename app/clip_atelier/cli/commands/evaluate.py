"""`evaluate`: measures a run on another collection."""

from __future__ import annotations

import argparse
from pathlib import Path

from clip_atelier.cli import report
from clip_atelier.cli.arguments import add_strength, strength
from clip_atelier.cli.command import Command, Outcome, Session
from clip_atelier.engine.core import N_, _


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar=_("RUN"), help=_("the training's name, as `runs` lists it"))
    parser.add_argument("folder", type=Path, metavar=_("FOLDER"), help=_("the folder of drawings"))
    add_strength(parser)


def _run(args: argparse.Namespace, session: Session) -> Outcome:
    from clip_atelier.engine.models import Models
    from clip_atelier.engine.parts import run_evaluation

    work = run_evaluation.evaluate(
        session.home, args.run, args.folder, Models(session.home), session.control, strength=strength(args)
    )
    result = session.drive(work)
    return Outcome(result.as_json(), f"{report.metrics(result)}\n\n{report.verdict(result)}".rstrip())


COMMAND = Command(
    "evaluate", N_("measure a training on another collection, against the base"), _arguments, _run
)
