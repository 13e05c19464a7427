"""What the page of words asks of the engine, as work for a lane."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clip_atelier.engine.core import Control, Work
from clip_atelier.gui.jobs import at_once

if TYPE_CHECKING:
    from clip_atelier.engine.parts import TaughtList
    from clip_atelier.gui.workers import Tools


def list_taught(run: str, tools: Tools, _control: Control) -> Work[TaughtList]:
    """The words that a run was taught."""
    from clip_atelier.engine.parts import taught

    return at_once(lambda: taught.listed(tools.home, run))


def rename_taught(run: str, old: str, new: str, tools: Tools, _control: Control) -> Work[TaughtList]:
    """Gives a taught word another name."""
    from clip_atelier.engine.parts import taught

    return at_once(lambda: taught.rename(tools.home, run, old, new))


def forget_taught(run: str, word: str, tools: Tools, _control: Control) -> Work[TaughtList]:
    """Takes a taught word away."""
    from clip_atelier.engine.parts import taught

    return at_once(lambda: taught.forget(tools.home, run, word))
