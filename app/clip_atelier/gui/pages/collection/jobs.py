"""What the Collection page asks of the engine, as work for a lane."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clip_atelier.engine.core import Control, UserError, Work
from clip_atelier.gui.jobs import at_once

if TYPE_CHECKING:
    from clip_atelier.engine.data import (
        Backup,
        Captioned,
        Collection,
        ColumnEdit,
        FurtherFolder,
        SavedCaptions,
    )
    from clip_atelier.engine.parts import TaughtList
    from clip_atelier.engine.search import Suggestions
    from clip_atelier.gui.workers import Tools

Make = Callable[["Tools", Control], Work[Any]]
"""What a lane calls to begin a job."""


def save_captions(
    root: Path,
    edits: Mapping[str, tuple[str, ...]],
    columns: Mapping[str, ColumnEdit],
    tools: Tools,
    _control: Control,
) -> Work[SavedCaptions]:
    """Writes edited captions into the folder's table; the table as it was is kept in the home."""
    from clip_atelier.engine.data import save_captions as save

    return at_once(lambda: save(root, edits, tools.home, columns))


def folders_not_there(root: Path, _tools: Tools, _control: Control) -> Work[list[FurtherFolder]]:
    """The further folders of a collection that are missing; none where its list cannot be read, which the reading has told."""
    from clip_atelier.engine.data import further_folders_of

    def missing() -> list[FurtherFolder]:
        try:
            return [one for one in further_folders_of(root) if not one.there]
        except UserError:
            return []

    return at_once(missing)


def backups(root: Path) -> Make:
    """Lists the tables of captions as they were, of all folders of a collection, newest first."""

    def listed(tools: Tools, _control: Control) -> Work[list[Backup]]:
        from clip_atelier.engine.data import backups_of

        return at_once(lambda: backups_of(tools.home, root))

    return listed


def captions_then(collection: Collection, backup: Backup) -> Make:
    """What a backup says about the drawings of a collection."""

    def read(tools: Tools, _control: Control) -> Work[dict[str, tuple[str, ...]]]:
        from clip_atelier.engine.data import CaptionBackups

        return at_once(lambda: CaptionBackups(tools.home, collection.root).captions(backup, collection))

    return read


def restore_captions(backup: Backup) -> Make:
    """Puts a table of captions back in its place."""

    def restore(tools: Tools, _control: Control) -> Work[Path]:
        from clip_atelier.engine.data import CaptionBackups

        return at_once(lambda: CaptionBackups(tools.home, backup.folder).restore(backup))

    return restore


def suggest(
    root: Path,
    run: str,
    model: str,
    told: Mapping[str, Captioned],
    wanted: Sequence[str],
    tools: Tools,
    control: Control,
) -> Work[Suggestions]:
    """Captions for drawings, by a run's model where there is one, else by a model alone."""
    from clip_atelier.engine.search import ModelRef
    from clip_atelier.engine.search import suggest as look

    chosen = ModelRef(run) if run else ModelRef(model=model or None)
    return look(root, chosen, tools.models, control, told=told, wanted=wanted)


def teach(run: str, word: str, images: Sequence[Path], tools: Tools, control: Control) -> Work[TaughtList]:
    """Teaches a run a word for some drawings."""
    from clip_atelier.engine.parts import teaching

    return teaching.teach(tools.home, run, word, images, tools.models, control)
