"""`trash`: what was deleted, for a month; puts it back, or empties the trash."""

from __future__ import annotations

import argparse
import time

from clip_atelier.cli.arguments import add_common
from clip_atelier.cli.command import Command, Outcome, Session
from clip_atelier.cli.text import table
from clip_atelier.engine.core import N_, _, paths, size_words


def _arguments(parser: argparse.ArgumentParser) -> None:
    what = parser.add_subparsers(dest="what", title=_("commands"), metavar=_("COMMAND"))
    add_common(what.add_parser("list", help=_("list what is in the trash (the default)")))
    restore = what.add_parser("restore", help=_("put something back where it was"))
    empty = what.add_parser("empty", help=_("delete everything in the trash, or one thing, for good"))
    for one in (restore, empty):
        add_common(one)
    restore.add_argument("name", metavar=_("NAME"), help=_("its name or number, as `trash list` shows it"))
    empty.add_argument(
        "name", nargs="?", metavar=_("NAME"), help=_("its name or number; everything if left out")
    )


def _run(args: argparse.Namespace, session: Session) -> Outcome:
    from clip_atelier.engine.storage import Trash

    trash = Trash(session.home)
    if args.what == "restore":
        entry = trash.find(args.name)
        place = trash.restore(entry)
        document = {"restored": entry.name, "kind": entry.kind, "path": str(place)}
        return Outcome(document, _("It is back: {path}").format(path=paths.shown(place)))
    if args.what == "empty":
        count = trash.empty(None if args.name is None else [trash.find(args.name)])
        return Outcome({"deleted": count}, _("Deleted for good: {count}").format(count=count))
    trash.tidy()
    entries = trash.entries()
    rows = [
        (e.number, e.kind, e.name, time.strftime("%Y-%m-%d %H:%M", time.localtime(e.thing.deleted)), size_words(e.thing.size))
        for e in entries
    ]  # fmt: skip
    document_rows = [{"number": e.number, **e.thing.as_json(), "path": str(e.folder)} for e in entries]
    header = ("", _("kind"), _("name"), _("deleted"), _("size"))
    return Outcome(document_rows, table(header, rows, right=(0, 4)) if rows else _("The trash is empty."))


COMMAND = Command("trash", N_("list what was deleted, put it back, or empty the trash"), _arguments, _run)
