"""`estimate`: time and memory of a training before it begins."""

from __future__ import annotations

import argparse
from pathlib import Path

from clip_atelier.cli.arguments import add_preset, add_settings, given
from clip_atelier.cli.command import Command, Outcome, Session
from clip_atelier.engine import settings
from clip_atelier.engine.core import N_, _


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar=_("FOLDER"), help=_("the folder of drawings"))
    add_preset(parser)
    add_settings(parser)


def _run(args: argparse.Namespace, session: Session) -> Outcome:
    chosen = settings.build(given(args), args.preset)
    from clip_atelier.engine.models import Models
    from clip_atelier.engine.training import estimate

    found = session.drive(estimate(args.folder, chosen, session.home, Models(session.home), session.control))
    lines = [
        _("About {seconds:.0f} seconds for {steps} steps on {device}, measuring not included.").format(
            **found.as_json()
        ),
    ]
    if found.trainings > 1:
        lines.append(
            _("These are {count} trainings of {steps} steps: one for each of {folds} folds, and one on everything.").format(
                count=found.trainings, steps=found.steps // found.trainings, folds=found.trainings - 1
            )
        )  # fmt: skip
    lines += [
        _("Memory at the peak of a step: {memory:.1f} GB of {available:.1f} GB.").format(
            memory=found.memory / 1e9, available=found.available / 1e9
        ),
    ]
    if not found.fits:
        lines.append(
            _("That does not fit. Set train.chunk_size to {size}: the same result in less memory.").format(
                size=found.chunk_size
            )
        )
    if found.gradient_checkpointing:
        lines.append(_("Setting train.gradient_checkpointing to true saves memory too, for more time."))
    return Outcome(found.as_json(), "\n".join(lines))


COMMAND = Command(
    "estimate", N_("reckon the time and memory of a training from one probed step"), _arguments, _run
)
