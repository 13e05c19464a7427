"""`map` (Python has a function of that name): t-SNE of a folder's embeddings, before and after the adaptation."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

from clip_atelier.cli.arguments import add_lens, model_ref
from clip_atelier.cli.command import Command, Outcome, Session
from clip_atelier.cli.text import table, visible
from clip_atelier.engine.core import N_, UserError, _, measured


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar=_("FOLDER"), help=_("the folder of images"))
    parser.add_argument(
        "--out",
        type=Path,
        metavar=_("FILE"),
        help=_("file to write: .csv for the points, .png for a picture"),
    )
    parser.add_argument(
        "--perplexity",
        type=float,
        default=30.0,
        metavar="X",
        help=_("about how many neighbours a point attends to [30]"),
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help=_("fixes the map [0]"))
    add_lens(parser)


def _run(args: argparse.Namespace, session: Session) -> Outcome:
    if not args.perplexity >= 1:
        raise UserError(_("--perplexity must be at least 1."))
    looked = model_ref(args)
    from clip_atelier.engine.analysis import map_folder
    from clip_atelier.engine.models import Models

    work = map_folder(
        args.folder, looked, Models(session.home), session.control, args.out, args.perplexity, args.seed
    )
    found = session.drive(work)
    scores = table(
        (_("score"), _("value")),
        [(name, measured(value)) for name, value in found.scores.items()],
        right=(1,),
    )
    sizes = Counter(point.group for point in found.points)
    groups = [(name, sizes[number]) for number, name in enumerate(found.groups)]
    told = [table((_("group"), _("drawings")), groups, right=(1,))] if groups else []
    if found.alone:
        told.append(
            _("stand alone: {names}").format(names=", ".join(found.points[n].path for n in found.alone[:10]))
        )
    if found.twins:
        pairs = (f"{found.points[a].path} = {found.points[b].path}" for a, b in found.twins[:10])
        told.append(_("nearly the same: {pairs}").format(pairs=", ".join(pairs)))
    written = [_("written:"), *(f"  {file}" for file in found.files)] if found.files else []
    return Outcome(found.as_json(), "\n".join([*found.reading, "", scores, *map(visible, told), *written]))


COMMAND = Command(
    "map",
    N_("draw the map (t-SNE) of a folder, before and after the adaptation"),
    _arguments,
    _run,
    N_("The scores say how far the map can be trusted, and how much of its motion is noise."),
)
