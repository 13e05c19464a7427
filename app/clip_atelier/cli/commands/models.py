"""`models`: what weights are at hand; adds a folder; downloads only when asked to."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from clip_atelier.cli.arguments import add_common
from clip_atelier.cli.command import Command, Outcome, Session
from clip_atelier.cli.text import table
from clip_atelier.engine.core import N_, _


def _arguments(parser: argparse.ArgumentParser) -> None:
    what = parser.add_subparsers(dest="what", title=_("commands"), metavar=_("COMMAND"))
    add_common(what.add_parser("list", help=_("list every model at hand (the default)")))
    add = what.add_parser(
        "add", help=_("add a Hugging Face CLIP folder or a model pack, so that it can be named")
    )
    add_common(add)
    add.add_argument("path", type=Path, metavar=_("PATH"))
    download = what.add_parser(
        "download", help=_("download a model from the Hugging Face hub; the only use of the network")
    )
    add_common(download)
    download.add_argument(
        "name", metavar=_("NAME"), help=_("its name on the hub, such as openai/clip-vit-base-patch32")
    )


def _run(args: argparse.Namespace, session: Session) -> Outcome:
    from clip_atelier.engine.models import Models

    models = Models(session.home)
    if args.what == "add":
        models.add(args.path)
    elif args.what == "download":
        from clip_atelier.cli.download import download

        folder = download(args.name, session.home)
        models.add(folder)
        shutil.rmtree(folder)
    found = models.list()
    rows = [
        (i.name, i.family, i.image_size, i.dim, f"{i.parameters:,}", _("bundled") if i.bundled else i.path)
        for i in found
    ]
    header = (_("model"), _("family"), _("image size"), _("embedding size"), _("parameters"), _("place"))
    return Outcome([info.as_dict() for info in found], table(header, rows, right=(2, 3, 4)))


COMMAND = Command("models", N_("list the models at hand; add or download one"), _arguments, _run)
