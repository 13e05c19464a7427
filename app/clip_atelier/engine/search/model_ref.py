"""Which model a folder is looked at with, as it is chosen; `gallery.load_model` opens it."""

from __future__ import annotations

from dataclasses import dataclass

from clip_atelier.engine.settings import HardwareSettings


@dataclass(frozen=True)
class ModelRef:
    """A base model, or a run's model with its update.

    Attributes:
        run: The run; None for a base model alone.
        strength: Of the run's update; the recommended one where left out.
        model: The base model's name where there is no run; the starter where left out.
        hardware: Where to compute; as the run's settings say where left out.
    """

    run: str | None = None
    strength: float | None = None
    model: str | None = None
    hardware: HardwareSettings | None = None
