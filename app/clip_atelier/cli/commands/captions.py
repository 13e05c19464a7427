"""`captions`: suggests captions, exchanges them with other programs, and brings back what was overwritten of a folder's."""

from __future__ import annotations

import argparse
from pathlib import Path

from clip_atelier.cli.arguments import add_common, add_lens, add_settings, given, model_ref
from clip_atelier.cli.command import Command, Outcome, Session
from clip_atelier.cli.text import table, visible
from clip_atelier.engine import settings
from clip_atelier.engine.core import N_, UserError, _, no_folder, paths


def _arguments(parser: argparse.ArgumentParser) -> None:
    what = parser.add_subparsers(dest="what", title=_("commands"), metavar=_("COMMAND"), required=True)
    restore = what.add_parser(
        "restore", help=_("bring back the captions as they were before the last save, or on a date")
    )
    backups = what.add_parser("backups", help=_("list what is kept of a folder's captions"))
    export = what.add_parser(
        "export", help=_("write what a scan understands of the captions, for other programs")
    )
    taken = what.add_parser(
        "import", help=_("take captions from a file into the folder's table; restore takes them back")
    )
    suggest = what.add_parser(
        "suggest", help=_("suggest captions for drawings that have none, and say how far they can be trusted")
    )
    for one in (restore, backups, export, taken, suggest):
        add_common(one)
        one.add_argument("folder", type=Path, metavar=_("FOLDER"), help=_("the folder of drawings"))
    export.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar=_("FILE"),
        help=_("the file to write; nothing is overwritten"),
    )
    export.add_argument(
        "--as",
        dest="kind",
        default="imagefolder",
        choices=("imagefolder", "open_clip", "coco", "kohya", "sidecars"),
        help=_(
            "imagefolder: Hugging Face's table (.csv, .jsonl, .parquet); open_clip: its CSV; coco: COCO captions (.json); "
            "kohya: the meta JSON of sd-scripts; sidecars: a folder with NAME.txt for each drawing [imagefolder]"
        ),
    )
    add_settings(export, ("data",))
    taken.add_argument(
        "file",
        type=Path,
        metavar=_("FILE"),
        help=_(
            "what export wrote, or a table of captions of another program: .csv, .tsv, .jsonl, .json (COCO, kohya) or .parquet"
        ),
    )
    add_settings(taken, ("data",))
    suggest.add_argument(
        "--count", type=int, default=5, metavar="N", help=_("how many suggestions for each drawing [5]")
    )
    suggest.add_argument(
        "--write",
        action="store_true",
        help=_("save the first suggestion of every drawing where it is sure; captions restore takes it back"),
    )
    add_lens(suggest)
    restore.add_argument(
        "date", nargs="?", default="", metavar=_("DATE"), help=_("such as 2026-11-27 or “2026-11-27 05:50”")
    )


def _run(args: argparse.Namespace, session: Session) -> Outcome:
    from clip_atelier.engine.data import CaptionBackups, backups_of, saved_with

    if not args.folder.is_dir():
        raise no_folder(args.folder)
    if args.what == "export":
        return _export(args, session)
    if args.what == "import":
        return _import(args, session)
    if args.what == "suggest":
        return _suggest(args, session)
    backups = CaptionBackups(session.home, args.folder)
    kept = backups_of(session.home, args.folder)
    if args.what == "backups":
        rows = [
            (
                b.date,
                b.name if b.folder == args.folder else paths.shown(b.folder / b.name),
                _("there was no table") if b.absent else f"{b.path.stat().st_size:,}",
            )
            for b in kept
        ]
        text = table((_("date"), _("table"), _("bytes")), rows, right=(2,))
        listed = [
            {"date": b.date, "file": b.name, "folder": str(b.folder), "path": str(b.path), "absent": b.absent}
            for b in kept
        ]
        return Outcome(listed, text if kept else _("Nothing was overwritten so far."))
    backup = backups.fitting(kept, args.date)
    together = saved_with(backup, kept)  # tables of further folders that were saved with it
    rows_back = sum(one.rows() for one in together)
    files = [CaptionBackups(session.home, one.folder).restore(one) for one in together]
    document = {
        "files": [str(file) for file in files], "restored": backup.date, "captions": rows_back, "problems": [],
    }  # fmt: skip
    return Outcome(
        document,
        _("{file} is as it was before {date}. What was there is kept too.").format(
            file=", ".join(map(paths.shown, files)), date=backup.date
        ),
    )


def _export(args: argparse.Namespace, session: Session) -> Outcome:
    from clip_atelier.engine.data import export_captions, scan, scan_cache_file

    data = settings.build(given(args)).data
    found = session.drive(scan(args.folder, data, session.control, scan_cache_file(session.home)))
    files = export_captions(found, args.kind, args.out)
    summary = found.summary()
    document = {
        "files": [str(file) for file in files],
        "captions": found.caption_count,
        "problems": [{"path": one.path, "reason": one.reason} for one in summary.problems],
    }
    return Outcome(
        document,
        _("{captions} captions of {images} drawings are written to {file}.").format(
            captions=found.caption_count, images=len(found.items), file=paths.shown(args.out)
        ),
    )


def _import(args: argparse.Namespace, session: Session) -> Outcome:
    from clip_atelier.engine.data import import_captions, must_be_captions, scan, scan_cache_file

    must_be_captions(args.file)  # before the folder is read, which may take long
    data = settings.build(given(args)).data
    found = session.drive(scan(args.folder, data, session.control, scan_cache_file(session.home)))
    done = import_captions(found, args.file, data, session.home)
    if done.files:
        text = _("Saved in {file}: {count}").format(
            file=", ".join(map(paths.shown, done.files)), count=done.changed
        )
    else:
        text = _("The folder says all of this already; nothing was changed.")
    told = [f"{one.path}: {one.reason}" for one in done.problems]
    return Outcome(done.as_json(), "\n".join([text, *map(visible, told)]))


def _suggest(args: argparse.Namespace, session: Session) -> Outcome:
    from clip_atelier.engine.models import Models
    from clip_atelier.engine.search import suggest

    if args.count < 1:
        raise UserError(_("--count must be at least 1."))
    work = suggest(args.folder, model_ref(args), Models(session.home), session.control, count=args.count)
    found = session.drive(work)
    said = _(
        "Tried on {tried} drawings that have captions: the first suggestion was right for {first}, one of {count} for {among}."
    ).format(tried=found.tried, first=found.first, count=found.count, among=found.among)
    grades = {"sure": _("sure"), "possible": _("possible"), "guess": _("a guess")}
    rows = [
        (
            one.path,
            grades[one.grade],
            _("{right} of {alike}").format(right=one.right, alike=one.alike) if one.alike else "",
            " · ".join(one.captions),
        )
        for one in found.drawings
    ]
    lines = [table((_("drawing"), "", _("the like were right"), _("suggestions")), rows), "", said]
    if args.write:
        from clip_atelier.engine.data import save_captions

        edits = {one.path: one.captions[:1] for one in found.drawings if one.sure}
        if edits:
            saved = save_captions(args.folder, edits, session.home)
            lines.append(_("Saved in {file}: {count}").format(file=paths.shown(saved.file), count=len(edits)))
        else:
            lines.append(_("No suggestion is sure; nothing was written."))
    return Outcome(found.as_json(), "\n".join(lines))


COMMAND = Command(
    "captions",
    N_("exchange captions with other programs, and bring them back as they were before a save"),
    _arguments,
    _run,
)
