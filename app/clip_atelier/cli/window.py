"""`clip-atelier` without a command: the window where there is a display, else the main job in the terminal."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from clip_atelier.cli.command import STOPPED, Outcome, Session
from clip_atelier.engine.core import Notice, WorkError, _


def has_display() -> bool:
    """Whether a window can be shown: only a Linux or BSD machine without a display server cannot."""
    if sys.platform in ("win32", "darwin"):
        return True
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"))


def show(home: Path, folder: Path | None, language: str | None = None) -> int:
    """Opens the window, on `folder` if one is given, and returns the program's exit code.

    Args:
        home: HOME.
        folder: What to open; the last collection if not given.
        language: The language of this session; the one chosen in the window if not given.

    Raises:
        WorkError: a system library that Qt needs is missing.
    """
    try:
        from clip_atelier.gui import app
    except ImportError as error:
        raise WorkError(
            _("The window cannot open: {reason}.").format(reason=error),
            _("Install the missing system library; the command line works without it (clip-atelier --help)."),
        ) from error
    return app.main(home, folder, language)


def main_job_in_terminal(session: Session) -> Outcome:
    """Adapts the starter to the bundled sample with the Attention preset, and shows what changed."""
    from clip_atelier.cli import report
    from clip_atelier.cli.search_listing import listing
    from clip_atelier.engine import settings, training
    from clip_atelier.engine.core import paths
    from clip_atelier.engine.models import Models
    from clip_atelier.engine.search import ModelRef, parse_query, search

    folder = paths.sample_collection()
    no_display = _(
        "There is no display, so the main job runs here in the terminal: the starter model learns the bundled sample "
        "collection with the preset “attention”. With your own drawings: clip-atelier train FOLDER"
    )
    session.reporter(Notice(text=no_display))
    models = Models(session.home)
    plan = training.Plan(folder, settings.build({"evaluation.folds": 0}, "attention"), session.home, "sample")
    result = session.drive(training.train(plan, models, session.control))
    if result.status == "stopped":
        return Outcome(result.as_json(), report.run(result), STOPPED)
    words = _("cherry blossom")
    looking = search(folder, parse_query(words), ModelRef(run=result.run), models, session.control, top=5)
    found = session.drive(looking)
    heading = _("Example search for “{query}”:").format(query=words)
    return Outcome(
        {**result.as_json(), "search": found.as_json()},
        f"{report.run(result)}\n\n{heading}\n{listing(found)}",
    )
