"""What can be typed, taken from the parser: the commands, their options and arguments, and what each of these takes."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from clip_atelier.engine.core import _
from clip_atelier.engine.settings import DECLARED, PRESETS, Declared

Kind = Literal["none", "text", "words", "file", "folder", "runs", "models", "settings"]

_BOOLEAN: Final = ("true", "false")


@dataclass(frozen=True)
class Value:
    """What an option or an argument takes.

    Attributes:
        kind: One of some `words`; a file or a folder; the name of a run, a model or a setting; any text; or nothing.
        words: What can be typed; only for the kind "words".
        many: Whether several can follow each other.
    """

    kind: Kind
    words: tuple[str, ...] = ()
    many: bool = False


@dataclass(frozen=True)
class Option:
    """An option by all its spellings, with its explanation in a line."""

    names: tuple[str, ...]
    told: str
    value: Value


@dataclass(frozen=True)
class Level:
    """What can follow some words.

    Attributes:
        path: The words before, such as ("runs", "show"); () at the beginning.
        commands: The words that lead to another level -> their titles.
        options: Without the settings.
        settings: The settings that are options here, by their whole names.
        arguments: What stands there without a name, in order.
    """

    path: tuple[str, ...]
    commands: dict[str, str]
    options: tuple[Option, ...]
    settings: tuple[str, ...]
    arguments: tuple[Value, ...]


def grammar(parser: argparse.ArgumentParser, path: tuple[str, ...] = ()) -> list[Level]:
    """All levels of a parser, in the order of the help."""
    commands: dict[str, str] = {}
    options: list[Option] = []
    settings: list[str] = []
    arguments: list[Value] = []
    below: list[Level] = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            commands = {one.dest: _line(one.help) for one in action._choices_actions}
            for name, inner in action.choices.items():
                below += grammar(inner, (*path, name))
        elif action.help == argparse.SUPPRESS:
            continue
        elif not action.option_strings:
            arguments.append(_value(action, path))
        elif action.option_strings[0].removeprefix("--") in DECLARED:
            settings.append(action.dest)
        else:
            options.append(
                Option(
                    tuple(action.option_strings),
                    _line((action.help or "") % vars_of(action)),
                    _value(action, path),
                )
            )
    return [Level(path, commands, tuple(options), tuple(settings), tuple(arguments)), *below]


def value_of(declared: Declared) -> Value:
    """What a setting takes."""
    if declared.kind == "bool":
        return Value("words", _BOOLEAN)
    if declared.name == "model.name":
        return Value("models")
    return Value("words", tuple(declared.choices)) if declared.choices else Value("text")


def vars_of(action: argparse.Action) -> dict[str, Any]:
    """What `%(…)s` in the help of an action can mean."""
    return {**vars(action), "prog": "clip-atelier"}


def _line(text: str | None) -> str:
    """The first line of an explanation."""
    return (text or "").partition("\n")[0].removesuffix(":")


def _value(action: argparse.Action, path: tuple[str, ...]) -> Value:
    if action.nargs == 0:
        return Value("none")
    many = action.nargs in ("*", "+")
    if action.option_strings == ["--preset"]:
        return Value("words", tuple(PRESETS))
    if action.choices is not None:
        return Value("words", tuple(map(str, action.choices)), many)
    return Value(_kind(action, path), (), many)


def _kind(action: argparse.Action, path: tuple[str, ...]) -> Kind:
    """What is meant by the word that stands for the value in the help, such as RUN or FILE."""
    word = action.metavar[-1] if isinstance(action.metavar, tuple) else action.metavar or ""
    known: dict[str, Kind] = {
        _("RUN"): "runs", "OTHER": "runs", _("MODEL"): "models", _("FOLDER"): "folder",
        _("FILE"): "file", "FILE.html": "file", _("PATH"): "file", _("OUT"): "file", _("IMAGE"): "file", _("PACK"): "file",
    }  # fmt: skip
    if action.option_strings == ["--vary"]:
        return "settings"
    if path[:1] == ("models",) and word == _("NAME") and action.dest in ("name", "models"):
        # `models add --name` and `models download` name what is not there yet.
        return "text" if path[1] in ("add", "download") else "models"
    return known.get(word, "text")


@dataclass(frozen=True)
class Meaning:
    """What an option takes.

    Attributes:
        paths: The words after which it is known.
        everywhere: Whether it takes the same after all of them.
    """

    names: tuple[str, ...]
    value: Value
    told: str
    paths: tuple[tuple[str, ...], ...]
    everywhere: bool


def meanings(levels: Sequence[Level]) -> list[Meaning]:
    """Every option once for each of its meanings, those of all levels last; without the settings."""
    found: dict[Option, list[tuple[str, ...]]] = {}
    for level in levels:
        for option in level.options:
            found.setdefault(option, []).append(level.path)
    values: dict[tuple[str, ...], set[Value]] = {}
    for option in found:
        values.setdefault(option.names, set()).add(option.value)
    listed = [
        Meaning(option.names, option.value, option.told, tuple(paths), len(values[option.names]) == 1)
        for option, paths in found.items()
    ]
    return sorted(listed, key=lambda meaning: meaning.everywhere)
