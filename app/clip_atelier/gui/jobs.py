"""What the pages ask of the engine, as work for a lane. The engine's heavy modules are imported on the lane."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from clip_atelier.engine import settings
from clip_atelier.engine.core import Control, UserError, Work
from clip_atelier.engine.settings import Settings

if TYPE_CHECKING:
    from clip_atelier.engine.data import Collection, Split
    from clip_atelier.engine.runs import RunSummary
    from clip_atelier.gui.workers import Tools

log = logging.getLogger(__name__)

T = TypeVar("T")


def at_once(call: Callable[[], T]) -> Work[T]:
    """Work that has nothing to tell before its result."""
    yield from ()
    return call()


def read_folder(
    folder: Path, values: Mapping[str, Any], tools: Tools, control: Control
) -> Work[tuple[Collection, Split | None, UserError | None]]:
    """Reads a folder and divides it; a folder that cannot be divided comes with the reason."""
    from clip_atelier.engine.data import scan, scan_cache_file, split

    wrong = {issue.setting for issue in settings.check(values)}
    # Half-typed values elsewhere in the form must not keep a folder from being looked at.
    usable = {name: value for name, value in values.items() if name not in wrong}
    chosen = settings.build(usable) if not settings.check(usable) else Settings()
    collection = yield from scan(folder, chosen.data, control, scan_cache_file(tools.home))
    try:
        return collection, split(collection, chosen.data, chosen.data.split_seed), None
    except UserError as error:
        return collection, None, error


def list_runs(home: Path) -> Work[list[RunSummary]]:
    """One summary for each run, oldest first; a damaged one is among them and says why."""
    from clip_atelier.engine.runs import Runs

    return at_once(lambda: [run.summary() for run in Runs(home).list()])


def add_model(pack: Path, tools: Tools, _control: Control) -> Work[str]:
    """Copies a model out of a pack into the home; its name."""
    from clip_atelier.engine.models import Models

    # Not `tools.models`: that one lives on the compute lane.
    return at_once(lambda: Models(tools.home).add(pack).name)


def add_run(pack: Path, tools: Tools, _control: Control) -> Work[str]:
    """Copies a run out of a pack into the home; its id."""
    from clip_atelier.engine.runs import run_packs

    return at_once(lambda: run_packs.add(pack, tools.home).id)


def warm_up(_tools: Tools, _control: Control) -> Work[None]:
    """Imports what training and searching need."""
    from clip_atelier.engine.search import search  # noqa: F401
    from clip_atelier.engine.training import train  # noqa: F401

    return at_once(lambda: None)
