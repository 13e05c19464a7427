"""`search`: finds images by words or by an image, with base and adapted results side by side."""

from __future__ import annotations

import argparse
import sys
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Final

from clip_atelier.cli.arguments import add_lens, model_ref
from clip_atelier.cli.command import Command, Outcome, Session
from clip_atelier.cli.text import table, visible
from clip_atelier.engine.core import N_, UserError, _, measured, shown

if TYPE_CHECKING:
    from clip_atelier.engine.search import ModelRef, SearchResult

LEARNED: Final = "•"
"""Stands behind a drawing that the run learned from."""


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
    add_lens(parser)


def _run(args: argparse.Namespace, session: Session) -> Outcome:
    lines = _lines(args)
    if not args.text.strip() and not args.image and lines is None:
        raise UserError(_("There is nothing to search for."), _("Give --text or --image."))
    if args.top < 1:
        raise UserError(_("--top must be at least 1."))
    looked = model_ref(args)
    if lines is None and (answer := _of_watcher(args, session, looked)) is not None:
        return answer
    from clip_atelier.engine.models import Models
    from clip_atelier.engine.search import parse_query, search, search_batch

    if lines is not None:
        many = search_batch(args.folder, lines, looked, Models(session.home), session.control, top=args.top)
        answered = session.drive(many)
        texts = [
            f"{answer.text}\n{listing(answer.found) if answer.found else answer.error}"
            for answer in answered.answers
        ]
        return Outcome(answered.as_json(), "\n\n".join(texts))
    query = parse_query(args.text, args.image, args.without)
    work = search(args.folder, query, looked, Models(session.home), session.control, top=args.top)
    found = session.drive(work)
    return Outcome(found.as_json(), "\n\n".join([*map(visible, found.remarks), listing(found)]))


def _of_watcher(args: argparse.Namespace, session: Session, looked: ModelRef) -> Outcome | None:
    """What a watcher of the folder answers; None where there is none with this model."""
    if looked.hardware is not None:
        return None
    from clip_atelier.engine.search import Question, ask

    question = Question(
        text=args.text, without=args.without, images=tuple(str(file.absolute()) for file in args.image),
        top=args.top, run=looked.run, strength=looked.strength, model=looked.model,
    )  # fmt: skip
    found = ask(session.home, args.folder, question)
    if found is None:
        return None
    return Outcome(found.as_json(), "\n\n".join([*map(visible, found.remarks), listing(found)]))


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


def listing(found: SearchResult) -> str:
    """The results as people read them: with a run, base and adapted beside each other and what moved.

    Adapted results that do not fit the words stand apart below the others, each with its place in the ranking.
    """
    base, adapted = found.base, found.adapted
    if adapted is None:
        rows = [(place, hit.path, measured(hit.score)) for place, hit in enumerate(base, 1)]
        return table(("", _("image"), _("score")), rows, right=(0, 2))
    before = [(place, hit.path, measured(hit.score)) for place, hit in enumerate(base, 1)]
    fitting: list[tuple[object, ...]] = []
    apart: list[tuple[object, ...]] = []
    for place, hit in enumerate(adapted, 1):
        path = f"{hit.path} {LEARNED}" if hit.learned else hit.path
        line = (place, path, measured(hit.score), _moved(hit.base_rank, place))
        (apart if hit.fits is False else fitting).append(line)
    if apart:
        after = [*fitting, ("", _("closest, but probably not it:"), "", ""), *apart]
        both = zip_longest(before, after, fillvalue=())
        lines = [(*(left or ("",) * 3), *(right or ("",) * 4)) for left, right in both]
        header = ["", _("base"), _("score"), "", _("adapted"), _("score"), _("moved")]
        text = table(header, lines, right=(0, 2, 3, 5))
    else:
        lines = [(*left, *right[1:]) for left, right in zip(before, fitting, strict=True)]
        header = ["", _("base"), _("score"), _("adapted"), _("score"), _("moved")]
        text = table(header, lines, right=(0, 2, 4))
    if any(hit.learned for hit in adapted):
        text += "\n\n" + _("{mark} the training learned from this drawing").format(mark=LEARNED)
    return text


def _moved(before: int | None, place: int) -> str:
    if before is None or before == place:
        return "="
    return f"↑{before - place}" if before > place else f"↓{place - before}"


COMMAND = Command(
    "search", N_("find images by words or by an image, base and adapted side by side"), _arguments, _run
)
