"""`index`: embeds a folder, only what changed; alone, or one shard of it where several processes or machines share the work."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING

from clip_atelier.cli.arguments import add_lens, model_ref
from clip_atelier.cli.command import Command, Outcome, Session
from clip_atelier.cli.text import table
from clip_atelier.engine.core import N_, UserError, _, launch, must_be_free, paths

if TYPE_CHECKING:
    from clip_atelier.engine.search import IndexSummary, PackedSummary, ShardSummary


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
    parser.add_argument(
        "--to",
        type=Path,
        metavar=_("OUT"),
        help=_(
            "also write the embeddings: a folder of .npy files with a table, or Parquet where OUT ends in .parquet. With it "
            "FOLDER may also be WebDataset shards (.tar), which are embedded as they are, each into files of its own"
        ),
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
    from clip_atelier.engine.search import (
        embed_packed,
        gallery,
        index_shard,
        index_together,
        is_packed,
        join_shards,
        vector_files,
    )

    models, control = Models(session.home), session.control
    part = Part(*shard) if shard is not None else None
    if args.to is not None and is_packed(args.folder, control):
        if args.join or args.shards is not None:
            raise UserError(
                _("The embeddings of WebDataset shards are files of their own; there is nothing to join."),
                _("Leave --join and --shards out."),
                "shards",
            )
        return _of_packed(session.drive(embed_packed(args.folder, args.to, looked, models, control, part)))
    if args.to is not None:
        vector_files.must_be_possible(args.to)
        must_be_free(args.to, empty_folder=True)
    if part is not None:
        outcome = _of_shard(
            session.drive(index_shard(args.folder, looked, models, control, part, args.shards))
        )
    elif together:
        outcome = _of_shard(session.drive(index_together(args.folder, looked, models, control, args.shards)))
    elif args.join:
        outcome = _of_index(session.drive(join_shards(args.folder, looked, models, control, args.shards)))
    else:
        outcome = _of_index(session.drive(gallery.index(args.folder, looked, models, control)))
    whole = part is None or outcome.document["joined"] is not None
    if args.to is None or not whole or not launch.leads():
        return outcome
    session.drive(vector_files.write_index(args.folder, looked, models, control, args.to))
    written = _("The embeddings are in {path}.").format(path=paths.shown(args.to))
    return Outcome(outcome.document, f"{outcome.text}\n{written}")


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


def _of_packed(found: PackedSummary) -> Outcome:
    text = _(
        "{files} WebDataset shards: {images} images, {embedded} embedded, {reused} known already, {skipped} skipped; "
        "{seconds:.1f} s"
    ).format(**found.as_json())
    text += "\n" + _("The embeddings are in {path}.").format(path=paths.shown(found.out))
    if found.problems:
        text += "\n\n" + table(
            (_("left out"), _("reason")), [(one.path, one.reason) for one in found.problems]
        )
    if found.missing:
        text += "\n\n" + _("Not complete yet: {names}.").format(
            names=", ".join(map(paths.shown, found.missing))
        )
    return Outcome(found.as_json(), text)


COMMAND = Command(
    "index",
    N_("embed a folder for searching; only what changed is computed"),
    _arguments,
    _run,
    N_("Of a large folder several processes or machines can each embed a shard: docs/large-folders.md."),
)
