"""`curves`: a training's losses and metrics by step; `runs curves` is the same."""

from __future__ import annotations

import argparse

from clip_atelier.cli import curves
from clip_atelier.cli.command import Command, Outcome, Session
from clip_atelier.engine.core import N_


def _run(args: argparse.Namespace, session: Session) -> Outcome:
    from clip_atelier.engine.runs import Runs

    return curves.outcome(Runs(session.home).open(args.run), args.out)


COMMAND = Command(
    "curves", N_("print loss and retrieval at every step as a table (CSV)"), curves.add_arguments, _run
)
