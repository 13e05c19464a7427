"""`teach`: gives a run words of one's own for some drawings; lists, renames and forgets them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from clip_atelier.cli import console
from clip_atelier.cli.command import Command, Outcome, Session
from clip_atelier.cli.text import table
from clip_atelier.engine.core import N_, UserError, _

if TYPE_CHECKING:
    from clip_atelier.engine.parts import TaughtList, TaughtWord


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar=_("RUN"), help=_("the training's name, as `runs` lists it"))
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--word",
        nargs="+",
        metavar=(_("WORD"), _("IMAGE")),
        help=_(
            "the word, then the drawings it names; three or more make it sure; - reads a list of them from standard input"
        ),
    )
    what.add_argument("--list", action="store_true", help=_("list the words (the default)"))
    what.add_argument("--rename", nargs=2, metavar=(_("OLD"), _("NEW")), help=_("give a word another name"))
    what.add_argument("--forget", metavar=_("WORD"), help=_("take a word away"))


def _run(args: argparse.Namespace, session: Session) -> Outcome:
    from clip_atelier.engine.parts import taught

    home = session.home
    if args.word is not None:
        from clip_atelier.engine.models import Models
        from clip_atelier.engine.parts import teaching

        word, *images = args.word
        images = console.from_list(images)
        if not images and Path(word).is_file():
            raise UserError(
                _("--word: “{word}” is a file, and there is no word.").format(word=word),
                _("Give the word first: --word NAME IMAGE…"),
                "word",
            )
        work = teaching.teach(home, args.run, word, [Path(p) for p in images], Models(home), session.control)
        found = session.drive(work)
    elif args.rename is not None:
        found = taught.rename(home, args.run, *args.rename)
    elif args.forget is not None:
        found = taught.forget(home, args.run, args.forget)
    else:
        found = taught.listed(home, args.run)
    return Outcome(found.as_json(), listing(found))


def listing(taught: TaughtList) -> str:
    """The words as people read them: how many drawings each names, and how sure it is."""
    if not taught.words:
        return _("The training {run} was taught no word yet.").format(run=taught.run)
    rows = [(word.word, len(word.drawings), _found(word), _SURE[word.sure]()) for word in taught.words]
    return table((_("word"), _("drawings"), _("found"), _("how sure")), rows, right=(1, 2))


def _found(word: TaughtWord) -> str:
    return "–" if word.found is None else f"{word.found}/{len(word.drawings)}"


_SURE = {
    "yes": lambda: _("sure"),
    "unsure": lambda: _("not sure: teach it with more drawings"),
    "too few": lambda: _("too few drawings to be sure"),
}

COMMAND = Command(
    "teach",
    N_("teach a training a word of your own from a few drawings"),
    _arguments,
    _run,
    N_(
        "The word, a name for example, finds these drawings and others like them from then on. Nothing is trained. How "
        "sure it is: each drawing is looked for with the word learned from the others."
    ),
)
