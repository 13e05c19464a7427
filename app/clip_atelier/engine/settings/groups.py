"""All groups of settings together. A new setting is one declaration in its group's file."""

from __future__ import annotations

from clip_atelier.engine.core import N_
from clip_atelier.engine.settings.data import DataSettings
from clip_atelier.engine.settings.declare import Block
from clip_atelier.engine.settings.evaluation import EvaluationSettings
from clip_atelier.engine.settings.hardware import HardwareSettings
from clip_atelier.engine.settings.lora import LoraSettings
from clip_atelier.engine.settings.model import ModelSettings
from clip_atelier.engine.settings.train import TrainSettings


class Settings(Block):
    """Everything a run depends on besides the folder."""

    model: ModelSettings = ModelSettings()
    lora: LoraSettings = LoraSettings()
    train: TrainSettings = TrainSettings()
    data: DataSettings = DataSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    hardware: HardwareSettings = HardwareSettings()

    @property
    def starts_from_pairs(self) -> bool:
        """Whether the update starts from what pairs differ in, where pairs are learned from."""
        return self.train.initialization == "pairs" and "visual_projection" in self.lora.target_modules

    @property
    def starts_from_captions(self) -> bool:
        """Whether the update starts from the closed formula that fits the captions."""
        return self.train.initialization == "captions" and "visual_projection" in self.lora.target_modules


GROUP_TITLES = {
    "model": N_("Model"),
    "lora": N_("LoRA"),
    "train": N_("Training"),
    "data": N_("Collection"),
    "evaluation": N_("Measuring"),
    "hardware": N_("Hardware"),
}
