"""Stop and pause, in whatever order they come."""

from __future__ import annotations

import threading

import pytest

from clip_atelier.engine.core import Control, Stopped


def _ends(control: Control) -> bool:
    """Whether a boundary is left within a few seconds, by a stop."""
    ended = threading.Event()

    def work() -> None:
        with pytest.raises(Stopped):
            control.boundary()
        ended.set()

    threading.Thread(target=work, daemon=True).start()
    return ended.wait(5)


@pytest.mark.parametrize(
    "order", [("stop",), ("pause", "stop"), ("stop", "pause"), ("stop", "toggle"), ("leave", "pause")]
)
def test_a_stop_is_never_held_by_a_pause(order: tuple[str, ...]) -> None:
    control = Control()
    for one in order:
        getattr(control, one)()
    assert not control.paused
    assert _ends(control)


def test_what_follows_a_stop_is_ended_by_leaving_alone() -> None:
    control = Control()
    control.stop()
    after = control.finishing()
    after.boundary()
    control.leave()
    with pytest.raises(Stopped):
        after.boundary()
