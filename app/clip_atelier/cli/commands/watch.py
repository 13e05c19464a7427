"""`watch`: keeps a folder ready to be searched while files come and go, and answers searches."""

from __future__ import annotations

import argparse
from pathlib import Path

from clip_atelier.cli.arguments import add_lens, model_ref
from clip_atelier.cli.command import Command, Outcome, Session
from clip_atelier.engine.core import N_, UserError, _


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar=_("FOLDER"), help=_("the folder of drawings"))
    parser.add_argument(
        "--every",
        type=float,
        default=2.0,
        metavar=_("SECONDS"),
        help=_("how often the folder is looked through; less often where that takes long [2]"),
    )
    add_lens(parser)


def _run(args: argparse.Namespace, session: Session) -> Outcome:
    if not args.every > 0:
        raise UserError(_("--every must be more than 0."))
    from clip_atelier.engine.models import Models
    from clip_atelier.engine.search import watch

    looked = model_ref(args)
    done = session.drive(watch(args.folder, looked, Models(session.home), session.control, args.every))
    text = _(
        "Watched until now: {images} drawings, embedded anew {times} times, {answered} searches answered."
    ).format(images=done.images, times=done.times, answered=done.answered)
    return Outcome(done.as_json(), text)


COMMAND = Command(
    "watch",
    N_("keep a folder ready to be searched while files come and go"),
    _arguments,
    _run,
    N_(
        "`search` asks a watcher of its folder where there is one with the same run or model, and answers at once."
    ),
)
