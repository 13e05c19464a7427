"""What the Models page asks of the engine, as work for a lane."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clip_atelier.engine import settings
from clip_atelier.engine.core import Control, Work
from clip_atelier.gui.jobs import at_once

if TYPE_CHECKING:
    from clip_atelier.engine.evaluation import ModelComparison
    from clip_atelier.engine.models import ModelInfo
    from clip_atelier.engine.storage import TrashEntry
    from clip_atelier.gui.workers import Tools


def list_models(tools: Tools, _control: Control) -> Work[list[ModelInfo]]:
    """The models at hand."""
    from clip_atelier.engine.models import Models

    return at_once(lambda: Models(tools.home).list())


def remove(name: str, tools: Tools, _control: Control) -> Work[list[TrashEntry]]:
    """Puts an added model into the trash."""
    from clip_atelier.engine.models import Models

    return at_once(lambda: [Models(tools.home).remove(name)])


def compare(folder: Path, values: Mapping[str, Any], tools: Tools, control: Control) -> Work[ModelComparison]:
    """Asks every model at hand about the collection."""
    from clip_atelier.engine.evaluation import compare_models

    wrong = {issue.setting for issue in settings.check(values)}
    chosen = settings.build({name: value for name, value in values.items() if name not in wrong})
    return compare_models(folder, tools.models, control, data=chosen.data, hardware=chosen.hardware)


def download(name: str, tools: Tools, control: Control) -> Work[str]:
    """Fetches a model that the user asked for and brings it into the home; its name."""
    from clip_atelier.engine.models import Models, downloads

    folder = yield from downloads.download(name, tools.home, control)
    added = Models(tools.home).add(folder, name.rpartition("/")[2])
    downloads.discard(folder)
    return added.name
