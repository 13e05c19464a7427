"""What the Collection page asks of the engine, as work for a lane."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from clip_atelier.engine.core import Control, Work
from clip_atelier.gui.jobs import at_once

if TYPE_CHECKING:
    from clip_atelier.engine.parts import TaughtList
    from clip_atelier.gui.workers import Tools


def save_captions(
    root: Path, edits: Mapping[str, tuple[str, ...]], _tools: Tools, _control: Control
) -> Work[Path]:
    """Writes edited captions into the folder's table."""
    from clip_atelier.engine.data import captions

    return at_once(lambda: captions.save(root, edits))


def teach(run: str, word: str, images: Sequence[Path], tools: Tools, control: Control) -> Work[TaughtList]:
    """Teaches a run a word for some drawings."""
    from clip_atelier.engine.parts import teaching

    return teaching.teach(tools.home, run, word, images, tools.models, control)
