"""`verify`: is everything in the home as it was written."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from clip_atelier.cli import console
from clip_atelier.cli.command import DONE, FAILED, Command, Outcome, Session
from clip_atelier.cli.text import table
from clip_atelier.engine.core import N_, _

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clip_atelier.engine.upkeep import Finding


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "packs",
        nargs="*",
        metavar=_("PACK"),
        help=_("check these packs instead of the home; - reads a list of them from standard input"),
    )


def _run(args: argparse.Namespace, session: Session) -> Outcome:
    from clip_atelier.engine.upkeep import verify, verify_packs

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


def listed(findings: Sequence[Finding]) -> str:
    """A table of what is damaged."""
    return table((_("file"), _("what is wrong")), [(one.path, one.reason) for one in findings])


COMMAND = Command(
    "verify",
    N_("check every file of the home against its hash or schema; nothing is changed"),
    _arguments,
    _run,
)
