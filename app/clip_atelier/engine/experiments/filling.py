"""Filling a grid: one training per cell and seed, going on after a failure and after a restart."""

from __future__ import annotations

from pathlib import Path

import filelock

from clip_atelier.engine.core import (
    Cell,
    Control,
    Event,
    Started,
    Stopped,
    UserError,
    Work,
    WorkError,
    _,
    cannot_write,
    mapped,
)
from clip_atelier.engine.data import scan, scan_cache_file
from clip_atelier.engine.experiments.grid import Grid
from clip_atelier.engine.experiments.grid_records import GridTable
from clip_atelier.engine.experiments.queue import Queue, QueuedRun
from clip_atelier.engine.models import Models
from clip_atelier.engine.runs import TrainResult


def fill(grid: Grid, home: Path, models: Models, control: Control, *, apart: bool = False) -> Work[GridTable]:
    """Trains what is still missing of a grid and returns its table.

    A cell that fails is noted and the next one begins. Stopping keeps everything: the same call goes on, also within
    the run that was stopped. With `apart`, each cell is trained in a process of its own.

    Raises:
        UserError: the folder or a setting is wrong, or another process is filling the same grid.
    """
    grid.cells()
    data = grid.settings(grid.cells()[0]).data
    collection = yield from scan(grid.folder, data, control, scan_cache_file(home))
    queue = Queue(home, grid, collection.fingerprint)
    lock = filelock.FileLock(queue.path.with_suffix(".lock"))
    try:
        queue.path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except filelock.Timeout as error:
        raise UserError(
            _("Another window or command is filling this grid at the moment."),
            _("Wait for it, or stop it first."),
        ) from error
    except OSError as error:
        raise cannot_write(queue.path, error) from error
    try:
        return (yield from _fill(queue, home, models, control, apart))
    finally:
        lock.release()


def _fill(queue: Queue, home: Path, models: Models, control: Control, apart: bool) -> Work[GridTable]:
    total = len(queue.entries)
    queue.save()
    for number, entry in enumerate(queue.entries, 1):
        if entry.status == "done":
            continue
        if control.stopping:
            return queue.document("stopped")
        entry.status = "running"
        title = queue.title(entry)
        yield Cell(
            number=number, total=total, title=title, status="running", seconds_left=queue.seconds_left()
        )
        try:
            result = yield from _run(queue, entry, home, models, control, apart)
        except Stopped:
            result = TrainResult(status="stopped")
        except Exception as error:  # noqa: BLE001 - one failure, whatever it is, does not end the night
            entry.status, entry.error = "failed", str(error) or type(error).__name__
        else:
            if result.status != "stopped":
                entry.status, entry.result, entry.run = "done", result, result.run or entry.run
        if entry.status == "running":
            entry.status = "waiting"
            queue.save()
            return queue.document("stopped")
        queue.save()
        yield Cell(
            number=number, total=total, title=title, status=entry.status, run=entry.run, message=entry.error,
            seconds_left=queue.seconds_left(),
        )  # fmt: skip
    return queue.document("done")


def _run(
    queue: Queue, entry: QueuedRun, home: Path, models: Models, control: Control, apart: bool
) -> Work[TrainResult]:
    """Goes on with the entry's own unfinished run where there is one, else trains a new one."""
    from clip_atelier.engine import training

    if entry.run:
        try:
            going = (
                training.resume_apart(home, entry.run, control)
                if apart
                else training.resume(home, entry.run, models, control)
            )
            return (yield from _noting(going, queue, entry))
        except WorkError:
            raise
        except UserError:
            # The run was deleted, or has no whole checkpoint: begin again.
            entry.run = ""
    chosen = queue.grid.settings(queue.cells[entry.cell], entry.seed)
    plan = training.Plan(queue.grid.folder, chosen, home, queue.name(entry))
    new = training.train_apart(plan, control) if apart else training.train(plan, models, control)
    return (yield from _noting(new, queue, entry))


def _noting(work: Work[TrainResult], queue: Queue, entry: QueuedRun) -> Work[TrainResult]:
    """Hands a training's events on, and writes the run's name down as soon as it has one."""

    def note(event: Event) -> Event:
        if isinstance(event, Started) and event.run != entry.run:
            entry.run = event.run
            queue.save()
        return event

    return mapped(work, note)
