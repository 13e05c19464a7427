"""`words`: which words find their images better or worse after the adaptation."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from clip_atelier.cli.arguments import add_strength, strength
from clip_atelier.cli.command import Command, Outcome, Session
from clip_atelier.cli.text import table
from clip_atelier.engine.core import N_, UserError, _, measured

if TYPE_CHECKING:
    from clip_atelier.engine.evaluation import WordChange


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar=_("RUN"), help=_("the training's name, as `runs` lists it"))
    parser.add_argument(
        "folder",
        type=Path,
        nargs="?",
        metavar=_("FOLDER"),
        help=_("another collection than the training's own"),
    )
    parser.add_argument(
        "--top", type=int, default=10, metavar="N", help=_("how many words to show at each end [10]")
    )
    add_strength(parser)


def _run(args: argparse.Namespace, session: Session) -> Outcome:
    if args.top < 1:
        raise UserError(_("--top must be at least 1."))
    chosen = strength(args)
    from clip_atelier.engine.analysis import word_changes
    from clip_atelier.engine.evaluation import findings
    from clip_atelier.engine.models import Models

    work = word_changes.words(
        session.home, args.run, Models(session.home), session.control, args.folder, strength=chosen
    )
    found = session.drive(work)
    learned = [entry for entry in found.words if entry.moved > 0][: args.top]
    lost = [entry for entry in reversed(found.words) if entry.moved < 0][: args.top]
    wordings = [(t.template, measured(t.base), measured(t.adapted)) for t in found.templates]
    parts = [
        _moved(_("learned"), learned),
        _moved(_("lost"), lost),
        table((_("wording"), _("base"), _("adapted")), wordings, right=(1, 2)),
        "\n".join(findings.words(found)),
    ]
    return Outcome(found.as_json(), "\n\n".join(parts))


def _moved(title: str, entries: Iterable[WordChange]) -> str:
    rows = [(entry.word, entry.before, entry.after, entry.images) for entry in entries]
    return table((title, _("place before"), _("place after"), _("images")), rows, right=(1, 2, 3))


COMMAND = Command("words", N_("list the words that were learned and those that were lost"), _arguments, _run)
