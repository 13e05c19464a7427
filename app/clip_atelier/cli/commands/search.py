"""`search`: finds images by words or by an image, with base and adapted results side by side."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from clip_atelier.cli.arguments import add_lens, model_refs
from clip_atelier.cli.command import Command, Outcome, Session
from clip_atelier.cli.search_listing import compared, listing
from clip_atelier.cli.text import visible
from clip_atelier.engine.core import N_, UserError, _, no_file, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clip_atelier.engine.search import ModelRef, SearchResult


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folder", type=Path, metavar=_("FOLDER"), help=_("the folder of images; any folder can be searched")
    )
    parser.add_argument(
        "--text",
        default="",
        metavar=_("TEXT"),
        help=_("words; horse + stripes and apple - fruit add and take away"),
    )
    parser.add_argument(
        "--without",
        default="",
        metavar=_("TEXT"),
        help=_("words of what is not wanted, divided by commas; it is pushed down the ranking"),
    )
    parser.add_argument(
        "--image",
        type=Path,
        action="append",
        default=[],
        metavar=_("FILE"),
        help=_("an image; may be given with words"),
    )
    parser.add_argument(
        "--batch",
        type=Path,
        metavar=_("FILE"),
        help=_(
            "a text file with one search by words on each line, all answered together; - reads them from standard input"
        ),
    )
    parser.add_argument("--top", type=int, default=10, metavar="N", help=_("how many results [10]"))
    add_lens(parser, several=True)


def _run(args: argparse.Namespace, session: Session) -> Outcome:
    lines = _lines(args)
    if not args.text.strip() and not args.image and lines is None:
        raise UserError(_("There is nothing to search for."), _("Give --text or --image."))
    for file in args.image:  # before the model is opened, which takes long
        if not file.is_file():
            raise no_file(file, "image")
    if args.top < 1:
        raise UserError(_("--top must be at least 1."))
    looked = model_refs(args)
    if lines is not None:
        return _batch(args, session, looked, lines)
    found = [_found(args, session, one) for one in looked]
    if len(found) == 1:
        return Outcome(found[0].as_json(), _with_remarks(found[0], listing(found[0])))
    from clip_atelier.engine.search import ComparedResult, RunAnswer

    answers = (RunAnswer(run=one.run or "", found=result) for one, result in zip(looked, found, strict=True))
    both = ComparedResult(runs=tuple(answers))
    return Outcome(both.as_json(), _with_remarks(found[0], compared(both)))


def _batch(
    args: argparse.Namespace, session: Session, looked: Sequence[ModelRef], lines: Sequence[str]
) -> Outcome:
    if len(looked) > 1:
        raise UserError(
            _("--batch asks one training; several are given."), _("Give --run once, or not at all."), "run"
        )
    from clip_atelier.engine.models import Models
    from clip_atelier.engine.search import search_batch

    many = search_batch(args.folder, lines, looked[0], Models(session.home), session.control, top=args.top)
    answered = session.drive(many)
    texts = [
        f"{answer.text}\n{listing(answer.found) if answer.found else answer.error}"
        for answer in answered.answers
    ]
    return Outcome(answered.as_json(), "\n\n".join(texts))


def _with_remarks(found: SearchResult, text: str) -> str:
    return "\n\n".join([*map(visible, found.remarks), text])


def _found(args: argparse.Namespace, session: Session, looked: ModelRef) -> SearchResult:
    """What one model answers: by a watcher of the folder, where there is one with this model."""
    if looked.hardware is None:
        from clip_atelier.engine.search import Question, ask

        question = Question(
            text=args.text, without=args.without, images=tuple(str(file.absolute()) for file in args.image),
            top=args.top, run=looked.run, strength=looked.strength, model=looked.model,
        )  # fmt: skip
        if (answer := ask(session.home, args.folder, question)) is not None:
            return answer
    from clip_atelier.engine.models import Models
    from clip_atelier.engine.search import parse_query, search

    query = parse_query(args.text, args.image, args.without)
    return session.drive(
        search(args.folder, query, looked, Models(session.home), session.control, top=args.top)
    )


def _lines(args: argparse.Namespace) -> list[str] | None:
    """The lines of `--batch` that hold something; None without it.

    Raises:
        UserError: the file cannot be read or holds nothing, or something else is asked for too.
    """
    if args.batch is None:
        return None
    if args.text.strip() or args.image:
        raise UserError(_("--batch brings its own words; it excludes --text and --image."), "", "batch")
    try:
        text = sys.stdin.read() if str(args.batch) == "-" else args.batch.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise UserError(
            _("“{path}” cannot be read: {reason}.").format(path=shown(args.batch), reason=error),
            _("Give a text file in UTF-8 with one search on each line."),
            "batch",
        ) from error
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        raise UserError(
            _("There is nothing to search for."),
            _("Give a text file in UTF-8 with one search on each line."),
            "batch",
        )
    return lines


COMMAND = Command(
    "search", N_("find images by words or by an image, base and adapted side by side"), _arguments, _run
)
