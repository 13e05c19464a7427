"""Writes docs/cli.md, the reference of every command, from the parsers in the code.

Run it after changing a command: `python packaging/cli_reference.py`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from clip_atelier.cli.arguments import add_common
from clip_atelier.cli.command import Command
from clip_atelier.cli.commands import COMMANDS
from clip_atelier.engine.settings import DECLARED, GROUP_TITLES

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "docs" / "cli.md"

_HEAD = """\
# The command line

This page is made from the commands' own parsers by `packaging/cli_reference.py`. Without a command the window opens:
`clip-atelier [FOLDER]`. In a checkout, `python3 run.py` stands for `clip-atelier`. Settings are flags too (`--lora.r 8`);
they are described in [settings.md](settings.md), and the documents that `--json` prints in [schemas](schemas).

Exit codes: 0 done, 1 failed, 2 wrong input, 130 stopped by the user with the work kept.

Every command takes:
"""


def page() -> str:
    """The whole reference page as Markdown."""
    commands = sorted(COMMANDS, key=lambda one: one.name)
    common = argparse.ArgumentParser(add_help=False)
    add_common(common)
    links = ["The commands:\n"] + [f"- [{one.name}](#{one.name}): {one.title}" for one in commands]
    return "\n".join([_HEAD, *_arguments(common), "", *links, "", *map(_section, commands)])


def _section(command: Command) -> str:
    parser = argparse.ArgumentParser(prog=f"clip-atelier {command.name}", add_help=False)
    command.arguments(parser)
    parts = [
        f"## {command.name}",
        f"    {_synopsis(parser)}",
        _sentence(command.title),
        command.detail,
        "\n".join(_arguments(parser)),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _synopsis(parser: argparse.ArgumentParser) -> str:
    """What is typed at least, as in `clip-atelier train FOLDER [options]`."""
    words, options = [parser.prog], False
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            words.append(f"[{'|'.join(action.choices)}]")
        elif action.option_strings and not action.required:
            options = True
        else:
            word = _name(action) + (" …" if action.nargs in ("*", "+") else "")
            words.append(f"[{word}]" if action.nargs in ("?", "*") else word)
    return " ".join(words + (["[options]"] if options else []))


def _arguments(parser: argparse.ArgumentParser) -> list[str]:
    lines, groups = [], []
    for action in parser._actions:
        names = [option.removeprefix("--") for option in action.option_strings]
        if isinstance(action, argparse._SubParsersAction):
            lines += _sub_commands(action)
        elif declared := next((DECLARED[name] for name in names if name in DECLARED), None):
            groups += [declared.group] if declared.group not in groups else []
        elif action.help != argparse.SUPPRESS and action.dest != "help":
            told = (action.help or "").partition(":\n")[0]
            lines.append(f"- `{_name(action)}`: {told}")
    if groups:
        every = "every [setting](settings.md)"
        if groups == list(GROUP_TITLES):
            lines.append(f"- {every}, as `--GROUP.NAME VALUE`")
        else:
            lines += [f"- {every} of the group {group}, as `--{group}.NAME VALUE`" for group in groups]
    return lines


def _sub_commands(action: argparse._SubParsersAction[argparse.ArgumentParser]) -> list[str]:
    lines = []
    for name, inner in action.choices.items():
        arguments = [one for one in inner._actions if one.dest != "help" and one.help != argparse.SUPPRESS]
        own = [one for one in arguments if not one.option_strings]
        told = next((one.help or "" for one in action._choices_actions if one.dest == name), "")
        lines.append(f"- `{' '.join([name, *map(_name, own)])}`: {told}")
        lines += [f"    - `{_name(one)}`: {one.help}" for one in own if one.help]
    return lines


def _name(action: argparse.Action) -> str:
    value = action.metavar or (action.dest.upper() if action.nargs != 0 else "")
    value = " ".join(value) if isinstance(value, tuple) else value
    if action.choices and not action.metavar:
        value = "|".join(map(str, action.choices))
    return " ".join(part for part in (", ".join(action.option_strings), value) if part)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "."


if __name__ == "__main__":
    TARGET.write_text(page(), encoding="utf-8", newline="\n")
