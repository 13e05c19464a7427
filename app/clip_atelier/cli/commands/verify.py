"""`verify`: is everything in the home as it was written; `--repair` does what `repair` does."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from clip_atelier.cli import console
from clip_atelier.cli.command import DONE, FAILED, Command, Outcome, Session
from clip_atelier.cli.text import table
from clip_atelier.engine.core import N_, UserError, _, paths

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clip_atelier.engine.upkeep import Finding, Repaired


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "packs",
        nargs="*",
        metavar=_("PACK"),
        help=_("check these packs instead of the home; - reads a list of them from standard input"),
    )
    parser.add_argument(
        "--repair", action="store_true", help=_("fix what can be fixed, as `repair` does; nothing is deleted")
    )


def _run(args: argparse.Namespace, session: Session) -> Outcome:
    from clip_atelier.engine.upkeep import repair, verify, verify_packs

    if args.repair:
        if args.packs:
            raise UserError(
                _("A pack cannot be repaired; --repair is for the home."),
                _("Copy the pack again from where it was made."),
                "repair",
            )
        return repaired(session.drive(repair(session.home, session.control)))
    packs = [Path(pack) for pack in console.from_list(args.packs)]
    found = session.drive(
        verify_packs(packs, session.control) if args.packs else verify(session.home, session.control)
    )
    lines = [_("{count} files were checked; all are as they were written.").format(count=found.checked)]
    if found.findings:
        lines = [
            listed(found.findings),
            _("{count} of {all} are damaged.").format(count=len(found.findings), all=found.checked)
            + ("" if args.packs else " " + _("“clip-atelier repair” fixes what it can and deletes nothing.")),
        ]
    if found.in_work:
        lines.append(
            _("Left out, as they are being worked on: {runs}.").format(runs=", ".join(found.in_work))
        )
    return Outcome(found.as_json(), "\n\n".join(lines), FAILED if found.findings else DONE)


def repaired(done: Repaired) -> Outcome:
    """What was repaired, set aside, and left."""
    parts = [
        f"{title}\n\n{listed(findings)}"
        for title, findings in (
            (_("Fixed:"), done.mended),
            (_("Set aside:"), done.set_aside),
            (_("Left as it is:"), done.left),
        )
        if findings
    ]
    if done.folder:
        parts.append(_("What was damaged lies in {folder} now.").format(folder=paths.shown(done.folder)))
    return Outcome(
        done.as_json(), "\n\n".join(parts) or _("There is nothing to repair."), FAILED if done.left else DONE
    )


def listed(findings: Sequence[Finding]) -> str:
    """A table of what is damaged."""
    return table((_("file"), _("what is wrong")), [(one.path, one.reason) for one in findings])


COMMAND = Command(
    "verify",
    N_("check every file of the home against its hash or schema; without --repair nothing is changed"),
    _arguments,
    _run,
)
