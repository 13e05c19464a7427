"""`sweep`: tries learning rates one after the other, chosen by the validation drawings alone."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from clip_atelier.cli import report
from clip_atelier.cli.arguments import add_preset, add_settings, given
from clip_atelier.cli.command import DONE, FAILED, STOPPED, Command, Outcome, Session
from clip_atelier.cli.text import table
from clip_atelier.engine.core import N_, UserError, _, duration, measured
from clip_atelier.engine.settings import written

if TYPE_CHECKING:
    from clip_atelier.engine.experiments import SweepResult, SweepTrial


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar=_("FOLDER"), help=_("the folder of drawings"))
    parser.add_argument(
        "--trials",
        type=int,
        default=8,
        metavar="N",
        help=_("how many trainings at most, earlier ones included [8]"),
    )
    parser.add_argument(
        "--budget",
        type=float,
        default=0.0,
        metavar=_("MINUTES"),
        help=_("begin no training that would end after so many minutes of training in all; 0: no limit [0]"),
    )
    parser.add_argument(
        "--ranks", default="", metavar="4,8,16", help=_("values of lora.r to try beside the learning rate")
    )
    add_preset(parser)
    add_settings(parser)


def _run(args: argparse.Namespace, session: Session) -> Outcome:
    if args.trials < 1:
        raise UserError(_("--trials must be at least 1."))
    if args.budget < 0:
        raise UserError(_("--budget must not be below 0."))
    ranks = _ranks(args.ranks)
    from clip_atelier.engine.experiments import Sweep, sweep
    from clip_atelier.engine.models import Models

    asked = Sweep(args.folder, given(args), args.preset or "", args.trials, args.budget, ranks)
    found = session.drive(sweep(asked, session.home, Models(session.home), session.control))
    code = STOPPED if found.status == "stopped" else DONE if found.best else FAILED
    return Outcome(found.as_json(), _text(found), code)


def _ranks(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise UserError(
            _("“--ranks {text}” is no list of whole numbers.").format(text=text),
            _("Write for example: --ranks 4,8,16"),
            "ranks",
        ) from error


def _text(found: SweepResult) -> str:
    names = list(dict.fromkeys(name for trial in found.trials for name in trial.values))
    rows = [
        [
            *(_value(trial, name) for name in names),
            measured(trial.score),
            duration(trial.seconds),
            trial.run or "–",
            _("chosen") if trial.number == found.chosen else report.status_word(trial.status),
        ]
        for trial in found.trials
    ]
    header = [
        *names,
        _("{metric}, validation").format(metric=found.metric) if found.metric else _("validation"),
        _("time"),
        _("training"),
        "",
    ]
    parts = [table(header, rows, right=range(len(names) + 2))]
    parts += [f"{trial.run or '–'}: {trial.error}" for trial in found.trials if trial.error]
    if found.status == "out of time":
        parts.append(_("The time is used up; with a larger --budget the same command goes on."))
    best = found.best
    if best is not None:
        parts.append(_chosen(found, best))
    return "\n\n".join(parts)


def _chosen(found: SweepResult, best: SweepTrial) -> str:
    lines = [
        _("The settings as they are did best of those tried.")
        if best.number == 0
        else _("Chosen, by validation drawings alone: {values}").format(
            values=" ".join(f"--{name} {_value(best, name)}" for name in best.values)
        )
    ]
    name = found.primary_metric
    gap = found.difference.get(name)
    if gap is None:
        lines.append(
            _("Too few drawings are left to say what it does on drawings that nothing was chosen by.")
        )
    else:
        interval = (
            f" [{gap.low:+.3f}, {gap.high:+.3f}]" if gap.low is not None and gap.high is not None else ""
        )
        told = _(
            "On drawings that nothing was chosen by, {metric}: base {base}, adapted {adapted}{interval}."
        )
        lines.append(
            told.format(
                metric=name,
                base=measured(found.base.get(name), name),
                adapted=measured(found.adapted.get(name), name),
                interval=interval,
            )
        )
    return "\n".join(lines)


def _value(trial: SweepTrial, name: str) -> str:
    value = trial.values.get(name)
    return "" if value is None else written(float(f"{value:.3g}"))


COMMAND = Command(
    "sweep",
    N_("try learning rates one after the other and choose one"),
    _arguments,
    _run,
    N_(
        "Needs Optuna (the extra “sweep”). The first training has the settings as they are; each further one a learning rate "
        "up to 30 times smaller or larger that Optuna proposes. Chosen is by the validation drawings alone: what is reported "
        "at the end comes from drawings that had no part in it. One part is kept aside in each, whatever the preset says of "
        "folds. Every one is an ordinary training in the list; the same command goes on where it was stopped. On two collections "
        "a sweep did no better than the rate of the preset Projection, beyond chance: it is for rates of your own."
    ),
)
