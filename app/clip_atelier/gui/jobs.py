"""What the pages ask of the engine, as work for a lane. The engine's heavy modules are imported on the lane."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from clip_atelier.engine import settings
from clip_atelier.engine.core import Control, UserError, Work, _, write_whole
from clip_atelier.engine.settings import Settings

if TYPE_CHECKING:
    from clip_atelier.engine.data import Collection, Split
    from clip_atelier.engine.intake import IntakeSummary
    from clip_atelier.engine.runs import RunSummary
    from clip_atelier.engine.storage import TrashEntry
    from clip_atelier.gui.workers import Tools

log = logging.getLogger(__name__)

T = TypeVar("T")

_ROOM = 3 << 30
"""Bytes of free memory that a process may be started ahead of its need in: a tenth of it is what it takes."""

Make = Callable[["Tools", Control], Work[Any]]
"""What a `Job` is made of."""


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


def delete_runs(runs: Sequence[str], tools: Tools, control: Control) -> Work[list[TrashEntry]]:
    """Puts runs into the trash."""
    from clip_atelier.engine.runs import Runs

    yield from ()
    gone = []
    for run in runs:
        control.boundary()
        gone.append(Runs(tools.home).delete(run))
    return gone


def restore(entries: Sequence[TrashEntry], tools: Tools, _control: Control) -> Work[list[Path]]:
    """Puts things from the trash back where they were."""
    from clip_atelier.engine.storage import Trash

    return at_once(lambda: [Trash(tools.home).restore(entry) for entry in entries])


def trash(tools: Tools, _control: Control) -> Work[list[TrashEntry]]:
    """What is in the trash, the latest first."""
    from clip_atelier.engine.storage import Trash

    return at_once(lambda: Trash(tools.home).entries())


def empty_trash(entries: Sequence[TrashEntry], tools: Tools, _control: Control) -> Work[int]:
    """Deletes these for good; how many."""
    from clip_atelier.engine.storage import Trash

    return at_once(lambda: Trash(tools.home).empty(entries))


def problem_text(tools: Tools, _control: Control) -> Work[str]:
    """The report of a problem as it would be saved."""
    from clip_atelier.engine.upkeep import problem_report

    return at_once(lambda: problem_report(tools.home).text)


def save_text(text: str, file: Path, _tools: Tools, _control: Control) -> Work[None]:
    """Writes a text to a place that the user chose."""
    content = text.encode("utf-8", "backslashreplace")
    return at_once(lambda: write_whole(file, content, _("Choose another place for it.")))


def take_back(summary: IntakeSummary, tools: Tools, _control: Control) -> Work[TrashEntry]:
    """Puts drawings that were cut out of pages into the trash."""
    from clip_atelier.engine.intake import put_back

    return at_once(lambda: put_back(tools.home, summary))


def tidy(tools: Tools, _control: Control) -> Work[None]:
    """Takes out of the trash what has been there for long."""
    from clip_atelier.engine.storage import Trash

    return at_once(lambda: Trash(tools.home).tidy())


def get_trainer_ready(tools: Tools, _control: Control) -> Work[None]:
    """Starts the process of the next training; where memory is short, it begins when it is needed."""
    import psutil

    if psutil.virtual_memory().available > _ROOM:
        tools.get_trainer_ready()
    return at_once(lambda: None)


def device_words(values: Mapping[str, Any], _tools: Tools, _control: Control) -> Work[str]:
    """The name of the device that is computed on under these settings."""
    from clip_atelier.engine.models import device

    found = device.present()
    wanted = values.get("hardware.device", "auto")
    return at_once(lambda: device.Device(wanted if wanted in found else found[0], "fp32", "eager").title())


def warm_up(_tools: Tools, _control: Control) -> Work[None]:
    """Imports what training and searching need."""
    from clip_atelier.engine.search import search  # noqa: F401
    from clip_atelier.engine.training import train  # noqa: F401

    return at_once(lambda: None)
