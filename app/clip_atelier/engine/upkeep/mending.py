"""Repairing a home: what can be made whole again is, the rest is set aside by name. Nothing is deleted.

A damaged file is first moved to HOME/set-aside/TIME/, at the same place below it as it had in the home.
"""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Iterator
from pathlib import Path

import filelock

from clip_atelier.engine.core import (
    Control,
    Finished,
    UserError,
    Work,
    _,
    cannot_write,
    copy_of,
    document_of,
    paths,
    write_document,
    write_whole,
)
from clip_atelier.engine.models import Models, adapters
from clip_atelier.engine.runs import RunFolder, TrainResult, open_run
from clip_atelier.engine.storage import sealing
from clip_atelier.engine.upkeep.findings import Repaired
from clip_atelier.engine.upkeep.places import good_lines
from clip_atelier.engine.upkeep.verifying import (
    SET_ASIDE,
    Checked,
    fault,
    finding,
    run_of,
    things,
    verify,
)


def repair(home: Path, control: Control) -> Work[Repaired]:
    """Checks a home and mends it.

    Raises:
        UserError: there is no such folder, or a window is open on it.
        WorkError: the home cannot be written.
        Stopped: a stop was asked for; what was mended stays so.
    """
    with _alone(home):
        found = yield from verify(home, control)
        damaged = {one.path for one in found.findings}
        aside = _Aside(home)
        done = Repaired(home=str(home), checked=found.checked, in_work=found.in_work)
        for thing in list(things(home)):
            if finding(thing, home, "").path not in damaged or not thing.path.exists():
                continue
            control.boundary()
            done = _repaired(thing, fault(thing), aside, done)
        return done.model_copy(update={"folder": str(aside.folder) if aside.used else ""})


def _repaired(thing: Checked, reason: str, aside: _Aside, done: Repaired) -> Repaired:
    told = finding(thing, aside.home, reason)
    run = run_of(thing.path, aside.home)
    try:
        with run.hold() if run else contextlib.nullcontext():
            mended = _mended(thing, run, aside)
    except (UserError, OSError) as error:
        left = told.model_copy(update={"reason": str(error)})
        return done.model_copy(update={"left": (*done.left, left)})
    if mended:
        told = told.model_copy(update={"repaired": True})
        return done.model_copy(update={"mended": (*done.mended, told)})
    return done.model_copy(update={"set_aside": (*done.set_aside, told)})


def _mended(thing: Checked, run: RunFolder | None, aside: _Aside) -> bool:
    """Moves a damaged thing and makes it anew where that can be done; whether it could."""
    path, copy = thing.path, copy_of(thing.path)
    if copy.is_file() and not fault(Checked(copy, thing.place)):
        aside.take(path)
        write_whole(path, copy.read_bytes())
        return True
    if run is not None and path.name == "run.json":
        # Without its record a run is not one any more: all of it stays together.
        aside.take(run.path)
        return False
    taken = aside.take(path)
    if run is None:
        return False
    if path.name == "events.jsonl":
        write_whole(path, "".join(f"{line}\n" for line in good_lines(taken)).encode())
        return True
    if path.name == "evaluation.json":
        return _evaluation_from_events(run)
    return path.name == "adapter" and _adapter_from_checkpoint(run, aside.home)


def _evaluation_from_events(run: RunFolder) -> bool:
    """The last event of a run that came to an end carries its whole result."""
    ends = [event for event in run.events() if isinstance(event, Finished) and "base" in event.result]
    if not ends:
        return False
    path = run.path / "evaluation.json"
    write_document(path, document_of(dict(ends[-1].result), TrainResult, path))
    return True


def _adapter_from_checkpoint(run: RunFolder, home: Path) -> bool:
    """The adapter is the best checkpoint at the strength that was chosen, as plain PEFT."""
    if run.record.foreign:
        return False  # it was made elsewhere, and no checkpoint holds it
    try:
        opened = open_run(run, Models(home))
    except UserError:
        return False
    try:
        with sealing(run.path / "adapter") as folder:
            opened.adapter.save(folder)
    finally:
        adapters.detach(opened.clip)
    return True


def _together(name: str) -> tuple[str, ...]:
    """The files that are of no use without each other, the named one first."""
    stem, _dot, suffix = name.rpartition(".")
    if suffix == "sqlite":
        return name, f"{name}-wal", f"{name}-shm"
    if stem in ("parts", "taught"):
        return name, f"{stem}.{'json' if suffix == 'safetensors' else 'safetensors'}"
    return (name,)


class _Aside:
    """Where what is damaged goes.

    Args:
        home: The home that it comes from.

    Attributes:
        used: Whether anything was moved.
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        stem = time.strftime("%Y%m%d-%H%M%S")
        names = (stem if number == 1 else f"{stem}-{number}" for number in itertools.count(1))
        self.folder = next(folder for name in names if not (folder := home / SET_ASIDE / name).exists())
        self.used = False

    def take(self, path: Path) -> Path:
        """Moves a file or a folder, with the files that belong to it, and says where it lies now.

        Raises:
            WorkError: it cannot be moved.
        """
        target = self.folder / path.relative_to(self.home)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            for name in _together(path.name):
                if path.with_name(name).exists():
                    path.with_name(name).rename(target.with_name(name))
        except OSError as error:
            raise cannot_write(target, error) from error
        self.used = True
        return target


@contextlib.contextmanager
def _alone(home: Path) -> Iterator[None]:
    """No window is open on the home during the block.

    Raises:
        UserError: one is.
    """
    try:
        lock = filelock.FileLock(home / "window.lock", timeout=0)
        if home.is_dir():
            lock.acquire()
    except filelock.Timeout as error:
        raise UserError(
            _("CLIP Atelier is open on “{folder}”.").format(folder=paths.shown(home)),
            _("Close the window, then repair."),
        ) from error
    except OSError as error:
        raise cannot_write(home, error) from error
    try:
        yield
    finally:
        lock.release()
