"""Every declared setting, tested on arrival: explained, checked, and the same in every form it takes."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest
from peft import LoraConfig

from clip_atelier.engine import settings
from clip_atelier.engine.core import UserError
from clip_atelier.engine.settings import DECLARED, PRESETS, Declared, Effect

ALL = list(DECLARED.values())
NAMES = [d.name for d in ALL]


@pytest.mark.parametrize("declared", ALL, ids=NAMES)
def test_a_setting_explains_itself(declared: Declared) -> None:
    assert declared.title
    assert declared.summary.endswith((".", "?"))
    assert len(declared.summary) < 200
    if declared.kind in ("choice", "choices"):
        assert all(declared.choices.values()), "every choice has an explanation"


@pytest.mark.parametrize("declared", ALL, ids=NAMES)
def test_its_default_is_valid_and_survives_json(declared: Declared) -> None:
    values = json.loads(json.dumps(settings.flat(settings.Settings())))
    assert settings.check({declared.name: values[declared.name]}) == []
    assert settings.build(values) == settings.Settings()


@pytest.mark.parametrize("declared", ALL, ids=NAMES)
def test_it_says_what_it_affects(declared: Declared) -> None:
    assert declared.affects
    assert declared.affects <= set(get_args(Effect))
    assert declared.name in settings.affecting(*declared.affects)


def test_what_a_scan_and_a_split_depend_on() -> None:
    assert set(settings.affecting("split")) == {
        "data.validation", "data.test", "data.split_seed", "evaluation.folds",
    }  # fmt: skip
    assert "train.seed" not in settings.affecting("scan", "split")


def _outside(declared: Declared) -> list[Any]:
    bad: list[Any] = []
    if declared.minimum is not None:
        bad.append(declared.minimum if declared.open_minimum else declared.minimum - 1)
    if declared.maximum is not None:
        bad.append(declared.maximum + 1)
    if declared.kind in ("int", "float"):
        bad += ["many", float("nan")]
    elif declared.kind == "bool":
        bad.append("perhaps")
    elif declared.kind in ("choice", "choices"):
        bad.append("nonesuch")
    return bad


@pytest.mark.parametrize("declared", ALL, ids=NAMES)
def test_values_outside_are_refused_and_name_the_setting(declared: Declared) -> None:
    for value in _outside(declared):
        assert declared.name in [issue.setting for issue in settings.check({declared.name: value})], value
        with pytest.raises(UserError) as caught:
            settings.build({declared.name: value})
        assert caught.value.setting == declared.name
        assert declared.name in caught.value.message


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_valid_and_say_what_they_are_for(name: str) -> None:
    preset = PRESETS[name]
    built = settings.flat(settings.build({}, name))
    for key, value in preset.values.items():
        assert built[key] == (list(value) if isinstance(value, tuple) else value)
    assert preset.title
    assert preset.summary


def test_the_briefs_two_presets() -> None:
    attention = settings.build({}, "attention").lora
    assert (attention.r, attention.lora_alpha, attention.lora_dropout, attention.bias) == (8, 16, 0.1, "none")
    assert attention.target_modules == ("q_proj", "v_proj")
    projection = settings.build({}, "projection").lora
    assert (projection.r, projection.lora_alpha, projection.lora_dropout) == (8, 32, 0.1)
    assert projection.target_modules == ("visual_projection",)


@pytest.mark.parametrize("name", PRESETS)
def test_the_lora_block_passes_to_peft_as_it_is(name: str) -> None:
    lora = settings.build({}, name).lora
    config = LoraConfig(**lora.model_dump())
    for key, value in lora.model_dump().items():
        found = getattr(config, key)
        assert found == (set(value) if isinstance(found, set) else value)


def test_unknown_names_and_presets_are_named() -> None:
    with pytest.raises(UserError, match=r"lora\.rank"):
        settings.build({"lora.rank": 8})
    with pytest.raises(UserError, match="bold"):
        settings.build({}, "bold")


def test_targets_may_be_written_with_plus_or_comma() -> None:
    for written in ("q_proj+v_proj", "q_proj, v_proj", ["q_proj", "v_proj", "q_proj"]):
        assert settings.build({"lora.target_modules": written}).lora.target_modules == ("q_proj", "v_proj")


def test_scaling_is_pefts() -> None:
    assert settings.LoraSettings(r=8, lora_alpha=32).scaling == 4
    assert settings.LoraSettings(r=16, lora_alpha=32, use_rslora=True).scaling == 8
