"""`resume`: goes on with a run exactly where it stopped."""

from __future__ import annotations

import argparse

from clip_atelier.cli.command import Command, Outcome, Session
from clip_atelier.cli.commands.train import shared
from clip_atelier.engine.core import N_, _


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar=_("RUN"), help=_("the training's name, as `runs` lists it"))


def _run(args: argparse.Namespace, session: Session) -> Outcome:
    from clip_atelier.engine import training

    return shared(
        session,
        lambda models, group: training.resume(session.home, args.run, models, session.control, group),
    )


COMMAND = Command(
    "resume", N_("go on with a stopped or interrupted training, exactly where it stopped"), _arguments, _run
)
