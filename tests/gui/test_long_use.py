"""A window that is used for long keeps no more than one that was used for a little; in full in `faults/soak.py`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from clip_atelier.gui.main_window import MainWindow
from window_use import kept, replay, use

FEW = ("collection", "training", "table")  # all of them are in soak.py: making them takes most of the time


def settles(once: Callable[[], None]) -> bool:
    """Whether a round comes that leaves nothing behind: what is made once and kept is no leak, what grows on is one."""
    before = kept()
    for _round in range(3):
        once()
        after = kept()
        if (
            after.objects <= before.objects
            and after.widgets <= before.widgets
            and after.threads <= before.threads
            and after.handles <= before.handles
        ):
            return True
        before = after
    return False


def test_use_leaves_no_objects_threads_or_handles(
    window: MainWindow, tiny_pairs: Path, tiny_collection: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Only what the window itself keeps is counted: no torch beside it.
    monkeypatch.setattr(type(window.app_model), "warm_up", lambda _self: None)
    use(window, [tiny_pairs, tiny_collection], FEW)
    assert settles(lambda: use(window, [tiny_pairs, tiny_collection], FEW))


@pytest.mark.fault(40)
def test_a_second_replay_leaves_nothing_behind(window: MainWindow, tiny_pairs: Path) -> None:
    replay(window, tiny_pairs, 5000)
    assert settles(lambda: replay(window, tiny_pairs, 5000))
    assert len(window.page("training").live.steps) == 5000
