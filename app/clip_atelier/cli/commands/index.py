"""`index`: embeds a folder, only what changed."""

from __future__ import annotations

import argparse
from pathlib import Path

from clip_atelier.cli.arguments import add_lens, model_ref
from clip_atelier.cli.command import Command, Outcome, Session
from clip_atelier.engine.core import N_, _


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folder", type=Path, metavar=_("FOLDER"), help=_("the folder of images; any folder can be searched")
    )
    add_lens(parser)


def _run(args: argparse.Namespace, session: Session) -> Outcome:
    looked = model_ref(args)
    from clip_atelier.engine.models import Models
    from clip_atelier.engine.search import gallery

    work = gallery.index(args.folder, looked, Models(session.home), session.control)
    found = session.drive(work)
    text = _(
        "{images} images: {embedded} embedded, {reused} known already, {skipped} skipped; {seconds:.1f} s"
    )
    return Outcome(found.as_json(), text.format(**found.as_json()))


COMMAND = Command(
    "index", N_("embed a folder for searching; only what changed is computed"), _arguments, _run
)
