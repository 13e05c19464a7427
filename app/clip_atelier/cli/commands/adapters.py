"""`adapters`: opens an adapter that was made elsewhere as a run."""

from __future__ import annotations

import argparse
from pathlib import Path

from clip_atelier.cli.arguments import add_common
from clip_atelier.cli.command import Command, Outcome, Session
from clip_atelier.engine.core import N_, _


def _arguments(parser: argparse.ArgumentParser) -> None:
    what = parser.add_subparsers(dest="what", title=_("commands"), metavar=_("COMMAND"), required=True)
    add = what.add_parser(
        "add", help=_("open a PEFT LoRA folder as a training, to search with and to measure")
    )
    add_common(add)
    add.add_argument("path", type=Path, metavar=_("PATH"), help=_("the folder with adapter_config.json"))
    add.add_argument(
        "--model", default="starter", metavar=_("MODEL"), help=_("the model it was made for (starter)")
    )
    add.add_argument("--name", default="", metavar=_("NAME"), help=_("what to call the training"))


def _run(args: argparse.Namespace, session: Session) -> Outcome:
    from clip_atelier.engine.models import Models
    from clip_atelier.engine.runs import add_adapter

    run = add_adapter(args.path, args.model, session.home, Models(session.home), args.name)
    result = run.result
    trained = result.trainable_parameters if result else 0
    document = {
        "run": run.id, "path": str(run.path), "name": run.name, "model": args.model,
        "trainable_parameters": trained, "settings": run.record.settings,
    }  # fmt: skip
    said = _("Training {run}: {count} trained numbers on “{model}”.").format(
        run=run.id, count=f"{trained:,}", model=args.model
    )
    return Outcome(document, said)


COMMAND = Command("adapters", N_("open an adapter that was made elsewhere"), _arguments, _run)
