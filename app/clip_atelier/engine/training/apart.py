"""Training in a process of its own: the same events, the same result, and no harm to the process that waits for it.

What is asked of the work goes to the trainer as a word. If it does not end in time after a stop, it is ended; if it ends
by itself, that is told as what it is; if it could not write, it begins again from the last checkpoint as soon as there is
room.
"""

from __future__ import annotations

import contextlib
import tempfile
import threading
from pathlib import Path

from clip_atelier.engine import settings
from clip_atelier.engine.core import (
    Control,
    Event,
    Notice,
    NotWritten,
    Phase,
    Saved,
    Started,
    Stopped,
    Work,
    _,
    bounded_json,
    from_line,
    i18n,
    mapped,
)
from clip_atelier.engine.runs import Runs, TrainResult
from clip_atelier.engine.training.orders import Ending, Order
from clip_atelier.engine.training.starting import Plan
from clip_atelier.engine.training.trainer import Trainer

_LOOK = 1.0
"""Seconds between two looks whether there is room again."""

_PIECE = 1 << 20
"""Bytes that are written at once to see whether there is room; as many must fit at least."""


def train_apart(plan: Plan, control: Control, ready: Trainer | None = None) -> Work[TrainResult]:
    """As `train`, in a process of its own: the one that is `ready`, where one is.

    Raises:
        UserError, WorkError, Stopped: as `train`.
        WorkError: also where the process ended in the middle of its work, or could not be started.
    """
    order = Order(
        home=str(plan.home), language=i18n.language(), folder=str(plan.folder), name=plan.name,
        settings=settings.flat(plan.settings),
    )  # fmt: skip
    return _going_on(order, control, ready)


def resume_apart(
    home: Path, run_id: str, control: Control, ready: Trainer | None = None
) -> Work[TrainResult]:
    """As `resume`, in a process of its own; see `train_apart`."""
    return _going_on(Order(home=str(home), language=i18n.language(), run=run_id), control, ready)


def _going_on(order: Order, control: Control, ready: Trainer | None) -> Work[TrainResult]:
    """Does an order, and goes on with its run where it could not be written and can be again."""
    saved = True

    def note(event: Event) -> Event:
        nonlocal order, saved
        if isinstance(event, Started):
            order = Order(home=order.home, language=order.language, run=event.run)
        saved = saved or isinstance(event, Saved)
        return event

    while True:
        try:
            return (yield from mapped(_supervised(order, control, ready), note))
        except NotWritten as error:
            # What cannot be written twice in a row with nothing saved between will not be mended by waiting.
            run = Runs(Path(order.home)).folder / order.run
            deleted = run.parent.is_dir() and not run.is_dir()
            if not order.run or not saved or deleted:
                raise
            saved, ready = False, None
            yield Notice(text=f"{error.message} {error.hint}")
            yield Phase(name="wait", title=_("Waiting for room on the disk; it goes on by itself"))
            _wait_for_room(run, control)


def _wait_for_room(run: Path, control: Control) -> None:
    """Returns when the run's folder is there and takes as much as a checkpoint needs.

    Raises:
        Stopped: a stop was asked for.
    """
    asked = threading.Event()
    control.watch(asked.set)
    while True:
        control.boundary()
        if _has_room(run):
            return
        asked.wait(_LOOK)
        asked.clear()


def _has_room(run: Path) -> bool:
    try:
        # A checkpoint is written beside the older ones before they go.
        sizes = [file.stat().st_size for file in run.glob("checkpoints/*/*")]
        with tempfile.TemporaryFile(dir=run) as probe:
            # Written for real: quotas, limits and drives that went read-only do not show in what is said to be free.
            for _piece in range(1 + 2 * sum(sizes) // _PIECE):
                probe.write(bytes(_PIECE))
            probe.flush()
    except OSError:
        return False
    return True


def _supervised(order: Order, control: Control, ready: Trainer | None) -> Work[TrainResult]:
    """Does an order in a process that is over when this is."""
    trainer = _usable(ready) or Trainer(Path(order.home))
    with contextlib.closing(trainer):
        control.boundary()
        control.watch(trainer.wake)
        trainer.do(order)
        while True:
            trainer.pass_on(control)
            line = trainer.line()
            if line is None:
                break
            if line.startswith('{"kind": '):  # as `to_line` begins
                yield from_line(line)
            elif line:
                return Ending.model_validate(bounded_json(line)).outcome()
        if control.stopping:
            yield Notice(text=_("It did not end in time and was ended. The last checkpoint is kept."))
            raise Stopped
        raise trainer.death()


def _usable(ready: Trainer | None) -> Trainer | None:
    """A trainer that waits and is still there."""
    if ready is None or ready.alive:
        return ready
    ready.close()
    return None
