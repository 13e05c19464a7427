"""A trained run opened for use: its model with its update, at any strength."""

from __future__ import annotations

import json
from dataclasses import dataclass

from clip_atelier.engine.core import UserError, _
from clip_atelier.engine.models import Adapter, Model, Models, adapters
from clip_atelier.engine.runs import checkpoints
from clip_atelier.engine.runs.records import RunFolder
from clip_atelier.engine.settings import HardwareSettings


@dataclass(frozen=True)
class AdaptedModel:
    """A run's model and update. `adapter.at(0.0)` is the untouched base.

    Attributes:
        recommended: The strength chosen on the run's validation images.
        content: SHA-256 of the update's tensors.
    """

    run: RunFolder
    clip: Model
    adapter: Adapter
    recommended: float
    content: str

    def dial(self, strength: float | None) -> float:
        """A strength as a share of the recommended one, at which a run's parts are as they were learned.

        Where the run recommends none, its update is left out and the strength is that of the parts.
        """
        if strength is None:
            return 1.0
        return round(strength / self.recommended, 6) if self.recommended else strength

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
    settings = run.settings
    result = run.result
    step = result.best_step if result else _best_step(run)
    recommended = result.strength if result else (1.0 if step else 0.0)
    clip = models.open(settings.model.name, hardware or settings.hardware)
    model = run.record.model
    if model is not None and model.fingerprint != clip.fingerprint:
        raise UserError(
            _("The model “{model}” is not the one the run “{run}” was trained on.").format(
                model=settings.model.name, run=run.id
            ),
            _("Put the first one back, or train anew."),
            "model.name",
        )
    adapter = adapters.attach(clip, settings)
    content = "untrained"
    if step:
        try:
            found = checkpoints.read(run.path / "checkpoints", step)
            adapter.load_state(found.adapter)
            content = json.loads((found.path / "manifest.json").read_bytes())["adapter.safetensors"]
        except BaseException:
            adapters.detach(clip)
            raise
    adapter.set_adapter_scale(recommended if strength is None else strength)
    return AdaptedModel(run, clip, adapter, recommended, content)


def _best_step(run: RunFolder) -> int:
    found, _problems = checkpoints.newest(run.path / "checkpoints")
    if found is None:
        raise UserError(
            _("The run “{run}” has no checkpoint yet.").format(run=run.id),
            _("Let it train until the first check, or resume it."),
            "run",
        )
    return found.state.best_step
