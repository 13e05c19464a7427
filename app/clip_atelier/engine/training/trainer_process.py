"""The process that trains for a window: does one order, tells its events, and ends when it is told to or left alone."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import queue
import signal
import threading
from pathlib import Path
from typing import TextIO

from clip_atelier.engine import settings
from clip_atelier.engine.core import (
    Control,
    Event,
    PrivateFormatter,
    Work,
    bounded_json,
    drive,
    i18n,
    to_line,
)
from clip_atelier.engine.models import Models
from clip_atelier.engine.runs import TrainResult
from clip_atelier.engine.training.orders import Ending, Order, line_of
from clip_atelier.engine.training.starting import Plan, resume, train

_AT_ONCE = 0.3
"""Seconds within which the order of a training comes that did not start its process ahead."""

ALONE = 4.0
"""Seconds for which a trainer whose window is gone may keep what it has."""


def obey() -> int:
    """Does the order that comes in on the standard input; returns the process's exit code.

    Its words and events go over the standard streams, which nothing else can reach from then on: what a library prints
    goes nowhere. Over the standard error goes where in the program it failed, and nothing that people wrote.
    """
    orders, answers, trouble = _own_streams()
    faulthandler.enable(trouble)
    # Ctrl-C in a terminal reaches every process of it; the window decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    control = Control()
    signal.signal(signal.SIGTERM, lambda _number, _frame: control.leave())
    first: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(
        target=_listen, args=(orders, first, control, trouble), name="orders", daemon=True
    ).start()
    try:
        line = first.get(timeout=_AT_ONCE)
    except queue.Empty:
        # Started ahead: what takes seconds to import is there when the order comes.
        from clip_atelier.engine.training import run  # noqa: F401

        line = first.get()
    if not line:
        return 0
    order = Order.model_validate(bounded_json(line))
    i18n.set_language(order.language)
    window = _Window(answers, control)
    try:
        ending = Ending(how="done", result=drive(_work(order, control), window.tell))
    except BaseException as error:  # noqa: BLE001 - whatever it is, the window says what happened
        ending = Ending.of(error)
        if ending.how == "unexpected":
            kind, trace = type(error), error.__traceback__
            trouble.write(PrivateFormatter().formatException((kind, error, trace)))
            trouble.flush()
    window.say(line_of(ending))
    # Everything is on disk and told: taking torch apart would only keep the window waiting.
    os._exit(0)


def _own_streams() -> tuple[TextIO, TextIO, TextIO]:
    """The three pipes, moved to where no library writes or reads."""
    orders, answers, trouble = (os.dup(number) for number in range(3))
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(nothing, number)
    return (
        os.fdopen(orders, encoding="utf-8", newline="\n"),
        os.fdopen(answers, "w", encoding="utf-8", newline="\n"),
        os.fdopen(trouble, "w", encoding="utf-8", newline="\n", errors="backslashreplace"),
    )


def _work(order: Order, control: Control) -> Work[TrainResult]:
    home = Path(order.home)
    if order.run:
        return resume(home, order.run, Models(home), control)
    plan = Plan(Path(order.folder), settings.build(order.settings), home, order.name)
    return train(plan, Models(home), control)


def _listen(orders: TextIO, first: queue.SimpleQueue[str], control: Control, trouble: TextIO) -> None:
    """Passes on the order and what the window asks for after it, and leaves when the window is gone."""
    asked = {
        "stop": control.stop, "leave": control.leave, "pause": control.pause, "go": control.resume,
        "evaluate": control.evaluate_now,
    }  # fmt: skip
    with contextlib.suppress(OSError):
        first.put(orders.readline())
        for line in orders:
            if line.strip() in asked:
                asked[line.strip()]()
    control.leave()
    # Written in C, this watch needs no turn of the interpreter: it ends the process also in the middle of a long step.
    faulthandler.dump_traceback_later(ALONE, exit=True, file=trouble)


class _Window:
    """Whoever reads the events; when nobody does, the work is left."""

    def __init__(self, answers: TextIO, control: Control) -> None:
        self._answers = answers
        self._control = control

    def tell(self, event: Event) -> None:
        """Hands an event on."""
        self.say(to_line(event))

    def say(self, line: str) -> None:
        """Writes one line."""
        try:
            self._answers.write(line + "\n")
            self._answers.flush()
        except OSError:
            self._control.leave()
