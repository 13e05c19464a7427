"""`repair`: mends what `verify` finds."""

from __future__ import annotations

import argparse

from clip_atelier.cli.command import Command, Outcome, Session
from clip_atelier.cli.commands.verify import repaired
from clip_atelier.engine.core import N_


def _arguments(_parser: argparse.ArgumentParser) -> None:
    pass


def _run(_args: argparse.Namespace, session: Session) -> Outcome:
    from clip_atelier.engine.upkeep import repair

    return repaired(session.drive(repair(session.home, session.control)))


COMMAND = Command(
    "repair",
    N_("fix what verify finds damaged; what cannot be fixed is set aside, nothing is deleted"),
    _arguments,
    _run,
)
