"""`index`: embeds a folder, only what changed; alone, or one shard of it where several processes or machines share the work."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING

from clip_atelier.cli.arguments import add_lens, model_ref
from clip_atelier.cli.command import Command, Outcome, Session
from clip_atelier.engine.core import N_, UserError, _, launch

if TYPE_CHECKING:
    from clip_atelier.engine.search import IndexSummary, ShardSummary


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folder", type=Path, metavar=_("FOLDER"), help=_("the folder of images; any folder can be searched")
    )
    several = parser.add_mutually_exclusive_group()
    several.add_argument(
        "--shard",
        metavar="K/N",
        help=_(
            "embed only the K-th of N shards of the drawings; whoever completes the last one joins them. Under "
            "“torchrun” or “accelerate launch” each process takes its shard by itself"
        ),
    )
    several.add_argument(
        "--join", action="store_true", help=_("put the complete shards into the index of this home")
    )
    parser.add_argument(
        "--shards",
        type=Path,
        metavar=_("FOLDER"),
        help=_("the folder where shards meet, on a drive that all machines share [below the home]"),
    )
    add_lens(parser)


def _run(args: argparse.Namespace, session: Session) -> Outcome:
    looked = model_ref(args)
    shard = _shard(args.shard) if args.shard is not None else None
    together = shard is None and not args.join and launch.size() > 1
    if args.shards is not None and shard is None and not args.join and not together:
        raise UserError(
            _("--shards is for an index that is made in shards."), _("Add --shard K/N or --join."), "shards"
        )
    from clip_atelier.engine.data import Part
    from clip_atelier.engine.models import Models
    from clip_atelier.engine.search import gallery, index_shard, index_together, join_shards

    models = Models(session.home)
    if shard is not None:
        return _of_shard(
            session.drive(
                index_shard(args.folder, looked, models, session.control, Part(*shard), args.shards)
            )
        )
    if together:
        return _of_shard(
            session.drive(index_together(args.folder, looked, models, session.control, args.shards))
        )
    if args.join:
        joining = join_shards(args.folder, looked, models, session.control, args.shards)
        return _of_index(session.drive(joining))
    return _of_index(session.drive(gallery.index(args.folder, looked, models, session.control)))


def _shard(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text.strip())
    number, count = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 1 <= number <= count:
        raise UserError(
            _("--shard: “{text}” is no shard.").format(text=text),
            _("Write 2/8 for the second of eight."),
            "shard",
        )
    return number, count


def _of_index(found: IndexSummary) -> Outcome:
    return Outcome(found.as_json(), _in_words(found))


def _in_words(found: IndexSummary) -> str:
    text = _(
        "{images} images: {embedded} embedded, {reused} known already, {skipped} skipped; {seconds:.1f} s"
    )
    return text.format(**found.as_json())


def _of_shard(found: ShardSummary) -> Outcome:
    text = _(
        "Shard {shard} of {shards} is complete: {images} images, {embedded} embedded, {reused} known already, "
        "{skipped} skipped; {seconds:.1f} s"
    ).format(**found.as_json())
    if found.joined is not None:
        text += "\n" + _("All shards are joined.") + " " + _in_words(found.joined)
    elif found.missing:
        text += "\n" + _("Still to be done: shard {shards}.").format(
            shards=", ".join(map(str, found.missing))
        )
    else:
        text += "\n" + _("All shards are complete; another process is joining them.")
    return Outcome(found.as_json(), text)


COMMAND = Command(
    "index",
    N_("embed a folder for searching; only what changed is computed"),
    _arguments,
    _run,
    N_("Of a large folder several processes or machines can each embed a shard: docs/large-folders.md."),
)
