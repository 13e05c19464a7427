"""What goes into long work while it runs: stop, pause, evaluate now."""

from __future__ import annotations

import threading
from collections.abc import Callable

from clip_atelier.engine.core.errors import Stopped


def _to_nobody() -> None:
    """What watches a control that nobody watches."""


class Control:
    """Read by the engine at step and batch boundaries, set from any thread."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._go = threading.Event()
        self._go.set()
        self._evaluate = threading.Event()
        self._leaving = threading.Event()
        self._told: Callable[[], object] = _to_nobody

    def watch(self, told: Callable[[], object]) -> None:
        """Has `told()` called after whatever is asked for from now on, in the thread that asks."""
        self._told = told

    def stop(self) -> None:
        """Asks the work to end at the next boundary and keep what was done; also ends a pause."""
        self._stop.set()
        self._go.set()
        self._told()

    def leave(self) -> None:
        """Asks the work to end now: as `stop`, but without the comparison that follows a stopped training."""
        self._leaving.set()
        self.stop()

    def finishing(self) -> Control:
        """A control for what is still to be done after a stop: only `leave` ends it."""
        return _Finishing(self)

    def pause(self) -> None:
        """Holds the work at the next boundary until `resume` or `stop`; does nothing once a stop was asked for."""
        self._go.clear()
        # Looked at last, so that a stop in another thread always wins; `stop` sets in that order.
        if self._stop.is_set():
            self._go.set()
        self._told()

    def resume(self) -> None:
        """Lets paused work go on."""
        self._go.set()
        self._told()

    def evaluate_now(self) -> None:
        """Asks training for an evaluation at the next step."""
        self._evaluate.set()
        self._told()

    def toggle(self) -> None:
        """Pauses work that goes on, lets paused work go on."""
        if self.paused:
            self.resume()
        else:
            self.pause()

    @property
    def stopping(self) -> bool:
        """Whether a stop was asked for."""
        return self._stop.is_set()

    @property
    def leaving(self) -> bool:
        """Whether the program is about to end."""
        return self._leaving.is_set()

    @property
    def paused(self) -> bool:
        """Whether the work is, or is about to be, held."""
        return not self._go.is_set()

    def take_evaluate(self) -> bool:
        """Whether an evaluation was asked for since the last call."""
        asked = self._evaluate.is_set()
        self._evaluate.clear()
        return asked

    def boundary(self) -> None:
        """Called by the engine between two pieces of work: waits while paused.

        Raises:
            Stopped: a stop was asked for.
        """
        self._go.wait()
        if self._stop.is_set():
            raise Stopped


class _Finishing(Control):
    def __init__(self, of: Control) -> None:
        super().__init__()
        self._of = of

    def boundary(self) -> None:
        if self._of.leaving:
            raise Stopped
        super().boundary()
