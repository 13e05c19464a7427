"""`folders`: the further folders of a collection, which lie elsewhere and are read as if they were in it."""

from __future__ import annotations

import argparse
from pathlib import Path

from clip_atelier.cli.arguments import add_common
from clip_atelier.cli.command import Command, Outcome, Session
from clip_atelier.cli.text import table
from clip_atelier.engine.core import N_, _, paths


def _arguments(parser: argparse.ArgumentParser) -> None:
    what = parser.add_subparsers(dest="what", title=_("commands"), metavar=_("COMMAND"), required=True)
    listed = what.add_parser(
        "list",
        help=_(
            "list the further folders of a collection, or, without one, the collections made with `folders new`"
        ),
    )
    new = what.add_parser(
        "new", help=_("make a collection of folders that lie anywhere; nothing is written into them")
    )
    delete = what.add_parser(
        "delete",
        help=_("put a collection made with `folders new` into the trash; its folders stay as they are"),
    )
    _home_arguments(new, delete)
    add = what.add_parser(
        "add", help=_("make a folder that lies elsewhere part of a collection; nothing in it is changed")
    )
    locate = what.add_parser("locate", help=_("say where a further folder is now"))
    remove = what.add_parser(
        "remove", help=_("take a further folder out of a collection; nothing in it is changed")
    )
    for one in (listed, add, locate, remove):
        add_common(one)
        one.add_argument(
            "folder",
            type=Path,
            nargs="?" if one is listed else None,
            metavar=_("FOLDER"),
            help=_("the folder that the collection was opened with"),
        )
    for one in (locate, remove):
        one.add_argument("name", metavar=_("NAME"), help=_("its name, as `folders list` shows it"))
    for one in (add, locate):
        one.add_argument("other", type=Path, metavar=_("OTHER"), help=_("the further folder"))
    add.add_argument(
        "--name",
        default="",
        metavar=_("NAME"),
        help=_("what the paths of its drawings begin with [its own name]"),
    )


def _home_arguments(new: argparse.ArgumentParser, delete: argparse.ArgumentParser) -> None:
    for one in (new, delete):
        add_common(one)
        one.add_argument("name", metavar=_("NAME"), help=_("what the collection is called"))
    new.add_argument(
        "folders",
        type=Path,
        nargs="+",
        metavar=_("FOLDER"),
        help=_(
            "a folder of drawings; those of sketches and of artworks make pairs, by the names of their files"
        ),
    )


def _collections(home: Path, said: str = "") -> Outcome:
    from clip_atelier.engine import data

    kept = data.kept_collections(home)
    rows = [(paths.shown(root.name), paths.shown(root)) for root in kept]
    document = {"schema": 1, "collections": [{"name": root.name, "folder": str(root)} for root in kept]}
    listed = (
        table((_("name"), _("folder")), rows) if rows else _("No collection was made with `folders new`.")
    )
    return Outcome(document, said or listed)


def _run(args: argparse.Namespace, session: Session) -> Outcome:
    from clip_atelier.engine import data

    if args.what == "delete":
        gone = data.delete_collection(session.home, args.name)
        said = _(
            "“{name}” is in the trash; `trash restore` brings it back. Its folders are as they were."
        ).format(name=paths.shown(gone.name))
        return _collections(session.home, said)
    if args.what == "list" and args.folder is None:
        return _collections(session.home)
    folder = args.folder if args.what != "new" else data.new_collection(session.home, args.name, args.folders)
    if args.what == "new":
        said = _("The collection is made. Open it, train on it and search in it as “{folder}”.").format(
            folder=paths.shown(folder)
        )
    elif args.what == "add":
        added = data.add_folder(args.folder, args.other, args.name)
        said = _("“{folder}” is part of the collection now; its drawings are called “{name}/…”.").format(
            folder=paths.shown(added.folder), name=paths.shown(added.name)
        )
    elif args.what == "locate":
        now = data.locate_folder(args.folder, args.name, args.other)
        said = _("“{name}” is looked for in “{folder}” now.").format(
            folder=paths.shown(now.folder), name=paths.shown(now.name)
        )
    elif args.what == "remove":
        former = data.remove_folder(args.folder, args.name)
        said = _(
            "“{name}” is no part of the collection any more. Its drawings and captions stay in “{folder}”."
        ).format(folder=paths.shown(former.folder), name=paths.shown(former.name))
    else:
        said = ""
    kept = data.further_folders_of(folder)
    rows = [
        (paths.shown(one.name), paths.shown(one.folder), "" if one.there else _("not there")) for one in kept
    ]
    document = {
        "schema": 1,
        "folder": str(folder.absolute()),
        "folders": [{"name": one.name, "folder": one.folder, "there": one.there} for one in kept],
    }
    text = said or (
        table((_("name"), _("folder"), ""), rows) if rows else _("The collection has no further folders.")
    )
    return Outcome(document, text)


COMMAND = Command(
    "folders",
    N_("have folders that lie elsewhere as part of a collection"),
    _arguments,
    _run,
)
