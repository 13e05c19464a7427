"""`train`: adapts a model to a folder of drawings."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from clip_atelier.cli import report
from clip_atelier.cli.arguments import add_preset, add_settings, given
from clip_atelier.cli.command import STOPPED, Command, Outcome, Session
from clip_atelier.cli.settings_file import stored
from clip_atelier.engine import settings
from clip_atelier.engine.core import N_, UserError, _

if TYPE_CHECKING:
    from clip_atelier.engine.core import Work
    from clip_atelier.engine.models import Models
    from clip_atelier.engine.runs import TrainResult
    from clip_atelier.engine.training import Group


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar=_("FOLDER"), help=_("the folder of drawings"))
    parser.add_argument("--name", default="", metavar=_("NAME"), help=_("a name for the training"))
    parser.add_argument(
        "--base",
        metavar=_("RUN"),
        help=_(
            "train on from a training: its update is added to its model, and the result is the model to adapt"
        ),
    )
    parser.add_argument(
        "--settings",
        type=Path,
        metavar=_("FILE"),
        help=_("settings from a TOML or JSON file, or from a training's run.json; flags come before it"),
    )
    parser.add_argument(
        "--from-run", metavar=_("RUN"), help=_("the settings of an earlier training; flags come before them")
    )
    add_preset(parser)
    add_settings(parser)


def _run(args: argparse.Namespace, session: Session) -> Outcome:
    values = stored(args, session.home) | given(args)
    if args.base and "model.name" in values:
        raise UserError(
            _("Both a training to train on from and a model are given."), _("Leave one out."), "base"
        )
    chosen = settings.build(values, args.preset)
    from clip_atelier.engine import training

    def work(models: Models, group: Group | None) -> Work[TrainResult]:
        found = chosen
        if args.base:
            from clip_atelier.engine.reports import merged_as_base
            from clip_atelier.engine.runs import Runs

            run = Runs(session.home).open(args.base)
            base = yield from merged_as_base(run, models, session.control)
            found = settings.build(values | {"model.name": base.name}, args.preset)
        plan = training.Plan(args.folder, found, session.home, args.name)
        return (yield from training.train(plan, models, session.control, group))

    return shared(session, work)


def shared(session: Session, work: Callable[[Models, Group | None], Work[TrainResult]]) -> Outcome:
    """Training by this process, and by all others that a launcher started with it."""
    from clip_atelier.engine.models import Models
    from clip_atelier.engine.training import joined

    models = Models(session.home)
    with joined(session.control) as group:
        if group is None or group.leads:
            return finished(session.drive(work(models, group)))
        from clip_atelier.engine.training import follow

        follow(group, session.home, models, session.control)
    return Outcome(None, "")


def finished(result: TrainResult) -> Outcome:
    """The outcome of a training that ended by itself or was stopped."""
    return Outcome(result.as_json(), report.run(result), STOPPED if result.status == "stopped" else 0)


COMMAND = Command(
    "train",
    N_("adapt a model to a folder of drawings, and measure what it gained"),
    _arguments,
    _run,
    N_(
        "Every setting below can be given; those that are not come from the preset, else from the default in brackets."
    ),
)
