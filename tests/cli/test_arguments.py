from __future__ import annotations

from typing import Any

import pytest

from clip_atelier.cli.arguments import Parser, add_preset, add_settings, given
from clip_atelier.cli.commands import COMMANDS
from clip_atelier.engine import settings
from clip_atelier.engine.core import UserError, i18n
from clip_atelier.engine.settings import DECLARED, Declared, written


def parse(*arguments: str) -> dict[str, Any]:
    parser = Parser(prog="test")
    add_settings(parser)
    parser.add_argument("folder", nargs="?")
    return given(parser.parse_strictly(arguments))


def another_value(declared: Declared) -> Any:
    """A value that differs from the default and is allowed."""
    if declared.kind == "bool":
        return not declared.default
    if declared.kind == "choice":
        return next(value for value in declared.choices if value != declared.default)
    if declared.kind == "choices":
        return [next(value for value in declared.choices if [value] != list(declared.default))]
    if declared.kind == "text":
        return "1" if declared.name == "train.layers_to_transform" else "a {label}"
    low = declared.minimum or 0
    value = low + 1 if declared.kind == "int" else low + 0.125
    return value + 1 if value in (declared.default, 1) else value


@pytest.mark.parametrize("declared", DECLARED.values(), ids=lambda d: d.name)
def test_every_setting_has_a_flag_that_sets_it(declared: Declared) -> None:
    value = another_value(declared)
    assert settings.flat(settings.build(parse(f"--{declared.name}", written(value))))[declared.name] == value


@pytest.mark.parametrize("declared", DECLARED.values(), ids=lambda d: d.name)
def test_every_flag_explains_itself_in_both_languages(declared: Declared) -> None:
    for language in i18n.LANGUAGES:
        i18n.set_language(language)
        parser = Parser(prog="test")
        add_settings(parser)
        words = " ".join(parser.format_help().split())
        assert f"--{declared.name}" in words
        assert " ".join(i18n._(declared.summary).split()) in words


def test_a_bare_switch_does_not_take_the_folder() -> None:
    assert parse("--lora.use_rslora", "folder") == {"lora.use_rslora": "true"}
    assert parse("--lora.use_rslora", "false", "folder") == {"lora.use_rslora": "false"}
    assert parse("folder", "--lora.use_rslora") == {"lora.use_rslora": "true"}


def test_lists_are_joined_with_plus_or_comma() -> None:
    for text in ("q_proj+v_proj", "q_proj,v_proj"):
        assert parse("--lora.target_modules", text) == {"lora.target_modules": ["q_proj", "v_proj"]}


def test_the_short_model_flag_is_the_model_setting() -> None:
    assert parse("--model", "starter") == {"model.name": "starter"}


def test_a_misspelt_flag_names_the_nearest_one() -> None:
    with pytest.raises(UserError, match=r"--lora\.rr") as caught:
        parse("--lora.rr", "8")
    assert "--lora.r" in caught.value.hint


def test_a_wrong_value_names_the_setting() -> None:
    with pytest.raises(UserError) as caught:
        settings.build(parse("--lora.r", "0"))
    assert caught.value.setting == "lora.r"
    assert "lora.r" in caught.value.message


def test_presets_are_listed_in_the_help() -> None:
    parser = Parser(prog="test")
    add_preset(parser)
    assert all(name in parser.format_help() for name in settings.PRESETS)


@pytest.mark.parametrize("language", i18n.LANGUAGES)
@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: c.name)
def test_every_command_has_help(command: Any, language: str, capsys: pytest.CaptureFixture[str]) -> None:
    from clip_atelier.cli.main import main

    assert main([command.name, "--help", "--language", language]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert i18n._(command.title) in shown
    for common in ("--json", "--home", "--debug"):
        assert common in shown
