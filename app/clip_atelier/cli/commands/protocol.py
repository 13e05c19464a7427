"""`protocol`: writes a comparison down so that others can repeat it, and repeats one."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clip_atelier.cli.arguments import add_common, add_preset, add_settings, given
from clip_atelier.cli.command import DONE, FAILED, Command, Outcome, Session
from clip_atelier.cli.text import table
from clip_atelier.engine import settings
from clip_atelier.engine.core import (
    N_,
    UserError,
    _,
    measured,
    must_be_free,
    paths,
    read_document,
    write_document,
)

if TYPE_CHECKING:
    from clip_atelier.engine.experiments import Protocol


def _arguments(parser: argparse.ArgumentParser) -> None:
    what = parser.add_subparsers(dest="what", title=_("commands"), metavar=_("COMMAND"), required=True)
    write = what.add_parser(
        "write", help=_("train with several seeds, and write down all that decides the table, and the table")
    )
    add_common(write)
    write.add_argument("folder", type=Path, metavar=_("FOLDER"), help=_("the folder of drawings"))
    write.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar=_("FILE"),
        help=_("the file to write; nothing is overwritten"),
    )
    write.add_argument("--seeds", type=int, default=3, metavar="N", help=_("train with this many seeds [3]"))
    add_preset(write)
    add_settings(write)
    again = what.add_parser(
        "run", help=_("repeat what a file says, and tell whether the split and the table are the same")
    )
    add_common(again)
    again.add_argument("file", type=Path, metavar=_("FILE"), help=_("what `protocol write` wrote"))
    again.add_argument("folder", type=Path, metavar=_("FOLDER"), help=_("the folder with the same drawings"))
    again.add_argument(
        "--model", metavar=_("MODEL"), help=_("the same model, where it has another name here")
    )
    add_settings(again, ("hardware",))


def _run(args: argparse.Namespace, session: Session) -> Outcome:
    return _write(args, session) if args.what == "write" else _again(args, session)


def _write(args: argparse.Namespace, session: Session) -> Outcome:
    if args.seeds < 1:
        raise UserError(_("--seeds must be at least 1."))
    must_be_free(args.out)
    values = given(args)
    first = settings.build(values, args.preset).train.seed
    from clip_atelier.engine.experiments import lock_protocol
    from clip_atelier.engine.models import Models

    seeds = range(first, first + args.seeds)
    work = lock_protocol(
        args.folder, values, args.preset or "", seeds, session.home, Models(session.home), session.control
    )
    found = session.drive(work)
    write_document(args.out, found)
    paths.share(args.out)
    written = _("Written: {path}").format(path=paths.shown(args.out))
    return Outcome(found.as_json() | {"files": [str(args.out)]}, f"{_listed(found)}\n\n{written}")


def _again(args: argparse.Namespace, session: Session) -> Outcome:
    from clip_atelier.engine.experiments import Protocol, repeat_protocol
    from clip_atelier.engine.models import Models

    try:
        protocol = read_document(args.file, Protocol)
    except OSError as error:
        raise UserError(
            _("“{path}” cannot be read: {reason}.").format(path=paths.shown(args.file), reason=error),
            _("Give a file that `protocol write` wrote."),
            "file",
        ) from error
    own: dict[str, Any] = given(args) | ({"model.name": args.model} if args.model else {})
    work = repeat_protocol(protocol, args.folder, own, session.home, Models(session.home), session.control)
    found = session.drive(work)
    lines = [
        _("The split is the same.") if found.same_split else _("The drawings or the split are others."),
        _("The table is the same.") if found.same_table else _("The table is another one."),
    ]
    parts = [_listed(found.found), "\n".join(lines)]
    for title, changes in ((_("metric"), found.changes), (_("version of"), found.versions)):
        if changes:
            rows = [(one.what, one.written, one.found) for one in changes]
            parts.append(table((title, _("in the file"), _("here")), rows, right=(1, 2)))
    return Outcome(
        found.as_json(), "\n\n".join(parts), DONE if found.same_split and found.same_table else FAILED
    )


def _listed(protocol: Protocol) -> str:
    rows = [
        (row.metric, measured(row.base, row.metric), measured(row.adapted, row.metric), measured(row.spread))
        for row in protocol.table
    ]
    header = (
        _("metric"),
        _("base"),
        _("adapted"),
        _("spread over {count} seeds").format(count=len(protocol.seeds)),
    )
    return table(header, rows, right=(1, 2, 3))


COMMAND = Command(
    "protocol",
    N_("write a comparison down so that others get the same table, and repeat one"),
    _arguments,
    _run,
    N_(
        "The file holds fingerprints of the drawings, their split and the model, the settings, seeds, versions, and the table. It "
        "names no files. Two tables are the same where every metric is, to 0.0001, for each seed."
    ),
)
