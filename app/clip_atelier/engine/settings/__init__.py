"""Every setting, declared once, with presets, validation and the way to and from plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from clip_atelier.engine.core import N_, UserError, _
from clip_atelier.engine.settings.data import DataSettings
from clip_atelier.engine.settings.declare import Declared, Effect, declarations
from clip_atelier.engine.settings.evaluation import EvaluationSettings
from clip_atelier.engine.settings.groups import GROUP_TITLES, Settings
from clip_atelier.engine.settings.hardware import HardwareSettings
from clip_atelier.engine.settings.layer_numbers import layers_written
from clip_atelier.engine.settings.lora import TAKEN_AWAY, LoraSettings
from clip_atelier.engine.settings.migrations import migrated
from clip_atelier.engine.settings.model import ModelSettings
from clip_atelier.engine.settings.presets import PRESETS, Preset, Recommendation, recommended
from clip_atelier.engine.settings.train import TrainSettings

DECLARED: Mapping[str, Declared] = {d.name: d for d in declarations(Settings)}

__all__ = [
    "DECLARED",
    "GROUP_TITLES",
    "PRESETS",
    "TAKEN_AWAY",
    "DataSettings",
    "Declared",
    "Effect",
    "EvaluationSettings",
    "HardwareSettings",
    "Issue",
    "LoraSettings",
    "ModelSettings",
    "Preset",
    "Recommendation",
    "Settings",
    "TrainSettings",
    "affecting",
    "build",
    "check",
    "flat",
    "layers_written",
    "migrated",
    "preset_values",
    "recommended",
    "written",
]  # fmt: skip


@dataclass(frozen=True)
class Issue:
    """What is wrong with one setting, in the user's language."""

    setting: str
    message: str


def affecting(*effects: Effect) -> tuple[str, ...]:
    """Names of the settings that have one of these effects, in order of declaration."""
    return tuple(name for name, declared in DECLARED.items() if declared.affects & set(effects))


def flat(settings: Settings) -> dict[str, Any]:
    """The settings as dotted names and plain values (JSON-able)."""
    return {f"{g}.{k}": v for g, block in settings.model_dump(mode="json").items() for k, v in block.items()}


def written(value: Any) -> str:
    """A setting's value as it is written on the command line, in tables and in the reference: `q_proj+v_proj`."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return "+".join(str(part) for part in value)
    if isinstance(value, float):
        return f"{value:.10g}"
    return "" if value is None else str(value)


def preset_values(name: str) -> dict[str, Any]:
    """The dotted values of a preset.

    Raises:
        UserError: there is no such preset.
    """
    if name not in PRESETS:
        raise UserError(
            _("There is no preset named “{name}”.").format(name=name),
            _("Choose one of: {names}.").format(names=", ".join(PRESETS)),
            "preset",
        )
    return dict(PRESETS[name].values)


def _nested(values: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    nested: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        group, _dot, key = name.partition(".")
        nested.setdefault(group, {})[key] = value
    return nested


def check(values: Mapping[str, Any]) -> list[Issue]:
    """What is wrong with dotted values that may still be half-typed; empty if nothing is."""
    try:
        Settings.model_validate(_nested(migrated(values)))
    except ValidationError as error:
        return [_issue(dict(e)) for e in error.errors()]
    return []


def build(values: Mapping[str, Any], preset: str | None = None) -> Settings:
    """Settings from dotted values over a preset over the defaults.

    Raises:
        UserError: unknown preset or setting, or a value outside its range; names the setting.
    """
    merged = {**(preset_values(preset) if preset else {}), **migrated(values)}
    try:
        return Settings.model_validate(_nested(merged))
    except ValidationError as error:
        issue = _issue(dict(error.errors()[0]))
        raise UserError(
            f"{issue.setting}: {issue.message}",
            _("Change this setting and try again."),
            issue.setting,
        ) from error


_MESSAGES = {
    "greater_than_equal": N_("must be at least {ge}"),
    "greater_than": N_("must be greater than {gt}"),
    "less_than_equal": N_("must be at most {le}"),
    "less_than": N_("must be less than {lt}"),
    "int_parsing": N_("must be a whole number"),
    "int_from_float": N_("must be a whole number"),
    "int_type": N_("must be a whole number"),
    "float_parsing": N_("must be a number"),
    "float_type": N_("must be a number"),
    "finite_number": N_("must be a finite number"),
    "bool_parsing": N_("must be true or false"),
    "bool_type": N_("must be true or false"),
    "literal_error": N_("must be one of {expected}"),
    "extra_forbidden": N_("there is no setting of this name"),
    "too_short": N_("choose at least one"),
    "string_too_short": N_("must not be empty"),
    "string_pattern_mismatch": N_("must contain {{label}}"),
    "value_error": "{error}",
}


def _issue(error: dict[str, Any]) -> Issue:
    where = [str(part) for part in error["loc"]][:2]
    template = _MESSAGES.get(error["type"])
    context = dict(error.get("ctx", {}))
    if error["type"] == "literal_error":  # pydantic joins the last two in English
        context["expected"] = context["expected"].replace(" or ", ", ")
    message = _(template).format(**context) if template else str(error["msg"])
    return Issue(".".join(where), message)
