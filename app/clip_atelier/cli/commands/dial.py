"""`dial`: what each strength of a run's update gains on the collection and forgets elsewhere."""

from __future__ import annotations

import argparse
from pathlib import Path

from clip_atelier.cli.arguments import MOST_STRENGTH
from clip_atelier.cli.command import Command, Outcome, Session
from clip_atelier.cli.text import table
from clip_atelier.engine.core import N_, UserError, _, measured


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar=_("RUN"), help=_("the training's name, as `runs` lists it"))
    parser.add_argument(
        "--strengths",
        metavar="0,0.5,1",
        help=_("the strengths to measure [0, 0.25, 0.5, 0.75, 1, 1.25, 1.5]"),
    )
    parser.add_argument(
        "--control-set",
        "--probe",
        dest="control_set",
        type=Path,
        metavar=_("FOLDER"),
        help=_("images that have nothing to do with the training [the bundled ones]"),
    )


def _run(args: argparse.Namespace, session: Session) -> Outcome:
    from clip_atelier.engine.analysis import strength_sweep
    from clip_atelier.engine.evaluation import findings
    from clip_atelier.engine.models import Models

    strengths = _strengths(args.strengths) if args.strengths else strength_sweep.STRENGTHS
    work = strength_sweep.curve(
        session.home, args.run, Models(session.home), session.control, strengths, args.control_set
    )
    found = session.drive(work)
    rows = [
        (f"{p.strength:g}", measured(p.gained), measured(p.forgotten), measured(p.validation), mark)
        for p in found.points
        for mark in ["←" if p.strength == found.best else ""]
    ]
    general = " ".join((_("general drawings"), found.elsewhere.partition("/")[2]))
    header = (_("strength"), found.primary_metric, general, _("validation"), _("recommended"))
    text = table(header, rows, right=(0, 1, 2, 3))
    return Outcome(found.as_json(), "\n".join([text, "", *findings.gained_and_forgotten(found)]))


def _strengths(text: str) -> list[float]:
    try:
        strengths = [float(part) for part in text.split(",") if part.strip()]
    except ValueError:
        strengths = []
    if not strengths or not all(0 <= strength <= MOST_STRENGTH for strength in strengths):
        raise UserError(
            _("--strengths: must be numbers from 0 to {most:g}, separated by commas").format(
                most=MOST_STRENGTH
            )
        )
    return strengths


COMMAND = Command("dial", N_("measure what each strength of a training gains and forgets"), _arguments, _run)
