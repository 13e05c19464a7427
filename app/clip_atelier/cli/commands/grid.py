"""`grid`: fills the table; every combination of the varied settings is trained and compared."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clip_atelier.cli import report
from clip_atelier.cli.arguments import add_preset, add_settings, given, parsed
from clip_atelier.cli.command import DONE, FAILED, STOPPED, Command, Outcome, Session
from clip_atelier.cli.text import table
from clip_atelier.engine import settings
from clip_atelier.engine.core import N_, UserError, _, duration, measured
from clip_atelier.engine.settings import DECLARED, written

if TYPE_CHECKING:
    from clip_atelier.engine.experiments import GridTable


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar=_("FOLDER"), help=_("the folder of drawings"))
    parser.add_argument(
        "--vary",
        action="append",
        default=[],
        metavar="lora.r=8,16",
        help=_(
            "a setting, or “preset”, with the values to try; give it several times for every combination. Lists are "
            "joined with +: lora.target_modules=q_proj+v_proj,visual_projection. Without it: the presets "
            "attention and projection, each with r 8 and 16 and lora_alpha 16 and 32"
        ),
    )
    parser.add_argument(
        "--seeds", type=int, default=1, metavar="N", help=_("train every cell with this many seeds [1]")
    )
    parser.add_argument(
        "--out", type=Path, metavar=_("FILE"), help=_("also write the table: .csv, .md or .tex")
    )
    add_preset(parser)
    add_settings(parser)


def _run(args: argparse.Namespace, session: Session) -> Outcome:
    from clip_atelier.engine import experiments
    from clip_atelier.engine.core import tables
    from clip_atelier.engine.models import Models

    if args.out is not None:
        tables.check_name(args.out)
    values = given(args)
    vary = _varied(args.vary) or experiments.DEFAULT_GRID
    seeds = _seeds(args.seeds, values)
    grid = experiments.Grid(args.folder, values, vary, seeds, args.preset or "")
    result = session.drive(experiments.fill(grid, session.home, Models(session.home), session.control))
    if args.out is not None:
        tables.write(args.out, *experiments.table(result))
    code = STOPPED if result.status == "stopped" else DONE
    if code == DONE and all(row.status == "failed" for row in result.rows):
        code = FAILED
    return Outcome(result.as_json(), _text(result), code)


def _varied(asked: Sequence[str]) -> dict[str, list[Any]]:
    vary: dict[str, list[Any]] = {}
    for text in asked:
        name, equals, values = text.partition("=")
        if not equals or not values:
            raise UserError(
                _("“--vary {text}” names no values.").format(text=text),
                _("Write for example: --vary lora.r=8,16"),
                name,
            )
        parts = [part for part in values.split(",") if part]
        # Unknown names are refused by the grid itself, which names them.
        vary[name] = [parsed(name, part) if name in DECLARED else part for part in parts]
    return vary


def _seeds(count: int, values: Mapping[str, Any]) -> tuple[int, ...]:
    if count < 1:
        raise UserError(_("--seeds must be at least 1."))
    first = settings.build({k: v for k, v in values.items() if k == "train.seed"}).train.seed
    return tuple(range(first, first + count)) if count > 1 else ()


def _text(result: GridTable) -> str:
    """One line per cell for the headline metric; `--out` and `--json` have all of them."""
    primary_metric, rows = result.primary_metric, result.rows
    varied = list(dict.fromkeys(name for row in rows for name in row.settings))
    several = any(row.spread for row in rows)
    lines = []
    for row in rows:
        gap = row.difference.get(primary_metric)
        lines.append(
            [
                *(written(row.settings.get(name, "")) for name in varied),
                measured(row.base.get(primary_metric)),
                measured(row.metrics.get(primary_metric)),
                *([measured(row.spread.get(primary_metric))] if several else []),
                f"[{gap.low:+.3f}, {gap.high:+.3f}]" if gap and gap.low is not None else "",
                f"{row.trainable_parameters or 0:,}",
                duration(row.seconds) if row.seconds is not None else "",
                report.verdict_word(row.verdict) or report.status_word(row.status),
            ]
        )
    header = [
        *varied,
        _("base {metric}").format(metric=primary_metric),
        _("adapted"),
        *(
            [_("spread over {count} seeds").format(count=max(len(row.runs) for row in rows))]
            if several
            else []
        ),
        _("95 % interval"),
        _("trainable"),
    ]
    header += [_("time"), _("verdict")]
    first = len(varied)
    parts = [table(header, lines, right=range(first, first + 5 + several))]
    errors = [f"{run.run or '–'}: {run.error}" for row in rows for run in row.runs if run.error]
    return "\n\n".join([*parts, *errors])


COMMAND = Command(
    "grid",
    N_("fill the table: train and compare every combination of settings"),
    _arguments,
    _run,
    N_("The same command goes on where it was stopped; a training that fails does not end the grid."),
)
