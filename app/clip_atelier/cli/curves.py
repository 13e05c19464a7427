"""`curves` and `runs curves`: the course of a run as a table, for one's own plots."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clip_atelier.cli.arguments import add_common
from clip_atelier.cli.command import Outcome
from clip_atelier.engine.core import _, paths, tables

if TYPE_CHECKING:
    from clip_atelier.engine.runs import RunFolder


def add_to(what: Any) -> None:
    """`curves` among the commands of `runs`."""
    one: argparse.ArgumentParser = what.add_parser(
        "curves", help=_("print loss and retrieval at every step as a table (CSV)")
    )
    add_common(one)
    add_arguments(one)


def add_arguments(one: argparse.ArgumentParser) -> None:
    """Of which training, and where to."""
    one.add_argument("run", metavar=_("RUN"), help=_("the training's name, as `runs` lists it"))
    one.add_argument(
        "--out", type=Path, metavar=_("FILE"), help=_("write it here instead: .csv, .md or .tex")
    )


def outcome(run: RunFolder, out: Path | None) -> Outcome:
    """The table, or where it was written.

    Raises:
        UserError: the file's suffix names no format, or the run recorded nothing yet.
    """
    if out is not None:
        tables.check_name(out)
    from clip_atelier.engine.runs import curves

    found = curves(run)
    if out is None:
        found.must_hold_something()
        return Outcome(found.as_json(), tables.csv_table(*found.table()).replace("\r\n", "\n").rstrip("\n"))
    found.write(out)
    return Outcome(
        found.as_json() | {"files": [str(out)]}, _("Written: {path}").format(path=paths.shown(out))
    )
