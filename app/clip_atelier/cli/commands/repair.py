"""`repair`: mends what `verify` finds."""

from __future__ import annotations

import argparse

from clip_atelier.cli.command import DONE, FAILED, Command, Outcome, Session
from clip_atelier.cli.commands.verify import listed
from clip_atelier.engine.core import N_, _, paths


def _arguments(_parser: argparse.ArgumentParser) -> None:
    pass


def _run(_args: argparse.Namespace, session: Session) -> Outcome:
    from clip_atelier.engine.upkeep import repair

    done = session.drive(repair(session.home, session.control))
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


COMMAND = Command(
    "repair",
    N_("fix what verify finds damaged; what cannot be fixed is set aside, nothing is deleted"),
    _arguments,
    _run,
)
