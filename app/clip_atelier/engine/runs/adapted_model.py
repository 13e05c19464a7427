"""A trained run opened for use: its update as it is stored, and its model with the update, at any strength."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from clip_atelier.engine.core import UserError, _
from clip_atelier.engine.models import weights
from clip_atelier.engine.runs import checkpoints
from clip_atelier.engine.runs.records import RunFolder
from clip_atelier.engine.runs.results import ModelRecord
from clip_atelier.engine.settings import HardwareSettings
from clip_atelier.engine.storage import digest_of

if TYPE_CHECKING:
    from torch import Tensor

    from clip_atelier.engine.models import Adapter, ClosedModel, Model, Models


@dataclass(frozen=True)
class SavedUpdate:
    """A run's update as its best checkpoint holds it, or one that was made elsewhere.

    Attributes:
        recommended: The strength chosen on the run's validation images.
        content: SHA-256 of the update's tensors; "untrained" where the best is the base.
        tensors: The trained tensors by name; none where the best is the base, or where it was made elsewhere.
    """

    run: RunFolder
    recommended: float
    content: str
    tensors: Mapping[str, Tensor]

    @property
    def untrained(self) -> bool:
        """Whether there is nothing in it, because the best was the base."""
        return not self.tensors and not self.run.record.foreign

    def dial(self, strength: float | None) -> float:
        """A strength as a share of the recommended one, at which a run's parts are as they were learned.

        Where the run recommends none, its update is left out and the strength is that of the parts.
        """
        if strength is None:
            return 1.0
        return round(strength / self.recommended, 6) if self.recommended else strength

    def must_fit(self, model: ClosedModel | Model) -> None:
        """Raises a UserError unless a model is the one that the run was trained on."""
        record = self.run.record.model
        if record is not None and not weights.is_same(record.fingerprint, model.fingerprint, model.folder):
            raise UserError(
                _("The model “{model}” is not the one the training “{run}” was trained on.").format(
                    model=self.run.settings.model.name, run=self.run.id
                ),
                put_back(record, model.folder),
                "model.name",
            )


def saved_update(run: RunFolder) -> SavedUpdate:
    """Reads a run's update; its model is not opened.

    Raises:
        UserError: there is no whole checkpoint.
    """
    result = run.result
    step = 0 if run.record.foreign else result.best_step if result else _best_step(run)
    recommended = result.strength if result else (1.0 if step else 0.0)
    if run.record.foreign:
        from clip_atelier.engine.models import foreign_adapters

        content = digest_of(run.path / "adapter" / foreign_adapters.FILES[1])
        return SavedUpdate(run, recommended, content, {})
    if not step:
        return SavedUpdate(run, recommended, "untrained", {})
    found = checkpoints.read(run.path / "checkpoints", step)
    return SavedUpdate(run, recommended, found.content, found.adapter)


@dataclass(frozen=True)
class AdaptedModel(SavedUpdate):
    """A run's update on its model. `adapter.at(0.0)` is the untouched base."""

    clip: Model
    adapter: Adapter

    def key(self, strength: float) -> str:
        """Name of what the model computes at a strength; "" is the base, whatever the run."""
        return "" if strength == 0 else f"{self.content[:24]}@{strength:.3f}"


def open_run(
    run: RunFolder, models: Models, strength: float | None = None, hardware: HardwareSettings | None = None
) -> AdaptedModel:
    """Opens a run's best checkpoint on its model, at a strength (the recommended one where left out).

    Raises:
        UserError: there is no whole checkpoint, or the model is gone or not the one the run was trained on.
    """
    from clip_atelier.engine.models import adapters, foreign_adapters  # imports PEFT

    saved = saved_update(run)
    clip = models.open(run.settings.model.name, hardware or run.settings.hardware)
    saved.must_fit(clip)
    adapter = (
        foreign_adapters.attach(clip, run.path / "adapter", run.settings)
        if run.record.foreign
        else adapters.attach(clip, run.settings)
    )
    try:
        if saved.tensors:
            adapter.load_state(saved.tensors)
    except BaseException:
        adapters.detach(clip)
        raise
    adapter.set_adapter_scale(saved.recommended if strength is None else strength)
    return AdaptedModel(run, saved.recommended, saved.content, saved.tensors, clip, adapter)


def put_back(model: ModelRecord, folder: Path) -> str:
    """The way out where a run's model is another one now: names the files that changed, where that is known."""
    changed = weights.changed_files(model.files, folder)
    told = _("Changed: {files}.").format(files=changed) + " " if changed else ""
    return told + _("Put the first one back, or train anew.")


def _best_step(run: RunFolder) -> int:
    found, _problems = checkpoints.newest(run.path / "checkpoints")
    if found is None:
        raise UserError(
            _("The training “{run}” has no checkpoint yet.").format(run=run.id),
            _("Let it train until the first check, or resume it."),
            "run",
        )
    return found.state.best_step
